//! What lies outside: a server that takes what a rule delivers and remembers it, and that answers what a pipe asks.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

/// An event that came.
#[derive(Clone)]
pub(super) struct Delivery {
    /// The event's number.
    pub number: u64,
    /// The key by which a second delivery is known.
    pub key: String,
}

/// The path of questions.
const ASK: &str = "/ask";

/// A server on a free port, until this is dropped.
pub(super) struct Outside {
    address: SocketAddr,
    came: Arc<Mutex<Vec<Delivery>>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Outside {
    pub(super) fn open() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let came: Arc<Mutex<Vec<Delivery>>> = Arc::default();
        let over: Arc<AtomicBool> = Arc::default();
        let (into, ended) = (Arc::clone(&came), Arc::clone(&over));
        let thread = std::thread::spawn(move || {
            for connection in listener.incoming() {
                if ended.load(Ordering::Acquire) {
                    return;
                }
                let Ok(connection) = connection else { continue };
                let into = Arc::clone(&into);
                // It ends with its one request, or with its patience.
                std::thread::spawn(move || {
                    let _ = take(&connection, &into);
                });
            }
        });
        Ok(Self { address, came, over, thread: Some(thread) })
    }

    /// Where it takes events.
    pub(super) fn url(&self) -> String {
        format!("http://{}/events", self.address)
    }

    /// Where it is asked about arrays of events.
    pub(super) fn ask_url(&self) -> String {
        format!("http://{}{ASK}", self.address)
    }

    /// What came so far.
    pub(super) fn came(&self) -> Vec<Delivery> {
        self.came.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        // Wakes the one that accepts.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Serves one request. None when it breaks off, as it does when the node is killed: then nobody was told that it came.
fn take(connection: &TcpStream, came: &Mutex<Vec<Delivery>>) -> Option<()> {
    connection.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut reader = BufReader::new(connection);
    let mut request = String::new();
    reader.read_line(&mut request).ok()?;
    let (mut length, mut key) = (0, String::new());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let Some((name, value)) = line.split_once(':') else { continue };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "idempotency-key" => value.trim().clone_into(&mut key),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body: Value = serde_json::from_slice(&body).ok()?;
    let answer = if request.split(' ').nth(1) == Some(ASK) {
        Value::Array(body.as_array()?.iter().map(answer_to).collect::<Option<_>>()?).to_string()
    } else {
        let number = body["n"].as_u64()?;
        came.lock().unwrap_or_else(PoisonError::into_inner).push(Delivery { number, key });
        String::new()
    };
    let mut connection = connection;
    let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", answer.len());
    connection.write_all(format!("{head}{answer}").as_bytes()).ok()
}

/// The answer about one event, in which its asker finds the event again.
fn answer_to(event: &Value) -> Option<Value> {
    let number = event["n"].as_u64()?;
    Some(json!({"n": number, "key": event["key"], "twice": number * 2}))
}
