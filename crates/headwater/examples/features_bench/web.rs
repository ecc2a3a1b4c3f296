//! One connection over HTTP, request after request, for programs that measure: no pool, no retries, nothing that would
//! have to be told apart from the node's own time.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection.
pub struct Web {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Web {
    /// Connects to an address such as `127.0.0.1:8080`.
    pub async fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("an option");
        Self { stream, buffer: Vec::new() }
    }

    /// The status and the body of an answer. `head` is more lines of the request's head, each with its end.
    pub async fn ask(&mut self, method: &str, path: &str, head: &str, body: &str) -> (u16, String) {
        let length = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
        let request = format!("{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{length}{head}\r\n{body}");
        self.stream.write_all(request.as_bytes()).await.expect("sent");
        self.buffer.clear();
        loop {
            assert!(self.stream.read_buf(&mut self.buffer).await.expect("an answer") > 0, "the node hung up");
            let Some(end) = self.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { continue };
            let head = std::str::from_utf8(&self.buffer[..end]).expect("text").to_ascii_lowercase();
            let length: Option<usize> =
                head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
            let whole = end + 4 + length.unwrap_or(0);
            if self.buffer.len() >= whole {
                let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
                return (status, String::from_utf8_lossy(&self.buffer[end + 4..whole]).into_owned());
            }
        }
    }
}
