//! One client's connection: frames in, answers out, in the order of the requests.
//!
//! Requests are taken one at a time, as Kafka does, but for Produce: many may wait for the disk at once, so that one
//! sync acknowledges them all. Answers are written before more is read, which is all the back-pressure there is: a
//! client that does not read is not read from.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesOrdered;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, watch};

use super::KafkaService;
use super::answer::Answer;
use super::error::Broken;
use super::table;

/// Room for a read when the next frame's size is not known. Frames up to this size share memory with their
/// neighbours, so that what outlives a request is copied out of them.
pub(super) const SHARED_BYTES: usize = 16 * 1024;

/// Serves one client until it leaves, breaks the protocol, or `stop` says so.
pub(super) async fn run(
    socket: TcpStream,
    peer: SocketAddr,
    service: Arc<KafkaService>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Broken> {
    socket.set_nodelay(true)?;
    let (reader, mut writer) = socket.into_split();
    let mut frames = Frames { reader, buffer: BytesMut::new(), limit: service.limits.kafka_request_bytes };
    let client = Arc::new(Client { service: Arc::clone(&service), peer, wake: Arc::new(Notify::new()) });
    let idle = Duration::from_millis(service.limits.kafka_idle_ms);
    let mut pending: FuturesOrdered<BoxFuture<'static, Result<Answer, Broken>>> = FuturesOrdered::new();
    let mut waiting: VecDeque<BytesMut> = VecDeque::new();
    // Whether a request that must be alone is under way.
    let mut alone = false;
    loop {
        if pending.is_empty() {
            alone = false;
        }
        while !alone && pending.len() < service.limits.kafka_pipelined_requests {
            let Some(frame) = waiting.pop_front() else { break };
            let begun = table::begin(frame, &client)?;
            alone = begun.alone;
            pending.push_back(begun.answer);
        }
        tokio::select! {
            biased;
            Some(answer) = pending.next() => {
                let answer = answer?;
                write(&mut writer, answer, idle).await?;
            }
            frame = frames.next(), if waiting.is_empty() => match frame? {
                Some(frame) => waiting.push_back(frame),
                None => return Ok(()),
            },
            () = stopped(&mut stop) => return Ok(()),
            () = tokio::time::sleep(idle), if pending.is_empty() => return Err(Broken::Idle(service.limits.kafka_idle_ms)),
        }
    }
}

/// Resolves when it is time to stop, or nobody is left to say so.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// A connection's side that requests see.
pub(super) struct Client {
    pub(super) service: Arc<KafkaService>,
    pub(super) peer: SocketAddr,
    /// Woken by the log; one per connection, since one fetch waits at a time.
    pub(super) wake: Arc<Notify>,
}

async fn write(writer: &mut OwnedWriteHalf, mut answer: Answer, patience: Duration) -> Result<(), Broken> {
    while answer.has_remaining() {
        let step = tokio::time::timeout(patience, writer.write_buf(&mut answer)).await;
        let written = step.map_err(|_| Broken::Idle(u64::try_from(patience.as_millis()).unwrap_or(u64::MAX)))??;
        if written == 0 {
            return Err(std::io::Error::from(std::io::ErrorKind::WriteZero).into());
        }
    }
    Ok(())
}

/// Cuts frames off a socket.
struct Frames {
    reader: OwnedReadHalf,
    buffer: BytesMut,
    limit: usize,
}

impl Frames {
    /// The next frame without its length; None when the client has left between frames. May be dropped and called
    /// again without losing bytes.
    async fn next(&mut self) -> Result<Option<BytesMut>, Broken> {
        loop {
            let needed = match self.buffer.first_chunk() {
                None => 4,
                Some(length) => {
                    let length = i32::from_be_bytes(*length);
                    let bytes = usize::try_from(length).ok().filter(|bytes| (8..=self.limit).contains(bytes));
                    let bytes = bytes.ok_or(Broken::FrameSize { bytes: length, limit: self.limit })?;
                    if self.buffer.len() >= bytes + 4 {
                        self.buffer.advance(4);
                        let frame = self.buffer.split_to(bytes);
                        if self.buffer.is_empty() {
                            // A silent connection holds no memory.
                            self.buffer = BytesMut::new();
                        }
                        return Ok(Some(frame));
                    }
                    bytes + 4
                }
            };
            if self.buffer.is_empty() {
                self.reader.readable().await?;
            }
            let missing = needed - self.buffer.len();
            if missing > SHARED_BYTES {
                // A large frame gets memory of its own, in steps, so that announcing one costs nothing.
                let step = missing.min((self.buffer.len() * 2).max(1 << 20));
                self.buffer.reserve(step);
                let read = (&mut self.reader).take(missing as u64).read_buf(&mut self.buffer).await?;
                if read == 0 {
                    return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
                }
                continue;
            }
            self.buffer.reserve(missing.max(SHARED_BYTES - self.buffer.len().min(SHARED_BYTES)));
            if self.reader.read_buf(&mut self.buffer).await? == 0 {
                if self.buffer.is_empty() {
                    return Ok(None);
                }
                return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
            }
        }
    }
}
