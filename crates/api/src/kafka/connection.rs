//! One client's connection: frames in, answers out, in the order of the requests.
//!
//! Requests are taken one at a time, as Kafka does, but for Produce: many may wait for the disk at once, so that one
//! sync acknowledges them all. Answers are written before more is read, which is all the back-pressure there is: a
//! client that does not read is not read from.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesOrdered;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, OwnedSemaphorePermit, watch};

use super::KafkaService;
use super::answer::Answer;
use super::error::Broken;
use super::table::{self, Start};

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
    let mut frames = Frames { reader, buffer: BytesMut::new(), room: None, service: Arc::clone(&service) };
    let client = Arc::new(Client { service: Arc::clone(&service), peer, wake: Arc::new(Notify::new()) });
    let idle = Duration::from_millis(service.limits.kafka_idle_ms);
    let mut pending: FuturesOrdered<BoxFuture<'static, Result<Answer, Broken>>> = FuturesOrdered::new();
    let mut waiting: VecDeque<Frame> = VecDeque::new();
    // Whether a request that must be alone is under way.
    let mut alone = false;
    loop {
        if pending.is_empty() {
            alone = false;
        }
        while !alone && pending.len() < service.limits.kafka_pipelined_requests {
            let Some(frame) = waiting.pop_front() else { break };
            let begun = match table::begin(frame.bytes, &client)? {
                Start::Begun(begun) => begun,
                Start::Soon(beginning) => beginning.await?,
            };
            alone = begun.alone;
            pending.push_back(Box::pin(async move {
                let answer = begun.answer.await;
                drop(frame.room);
                answer
            }));
        }
        tokio::select! {
            biased;
            Some(answer) = pending.next() => {
                let answer = answer?;
                write(&mut writer, answer, &service).await?;
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

/// Writes an answer as the client takes it. A client that takes nothing has as long as one that says nothing, but less
/// when answers like this one use up the memory for all.
async fn write(writer: &mut OwnedWriteHalf, mut answer: Answer, service: &KafkaService) -> Result<(), Broken> {
    let limits = &service.limits;
    let turn = limits.kafka_stalled_ms.min(limits.kafka_idle_ms).max(1);
    let mut stalled_ms = 0;
    while answer.has_remaining() {
        match tokio::time::timeout(Duration::from_millis(turn), writer.write_buf(&mut answer)).await {
            Ok(written) => {
                if written? == 0 {
                    return Err(std::io::Error::from(std::io::ErrorKind::WriteZero).into());
                }
                stalled_ms = 0;
            }
            Err(_) => {
                stalled_ms += turn;
                let scarce = service.fetched_bytes.load(Ordering::Relaxed) > limits.kafka_fetch_bytes;
                if scarce || stalled_ms >= limits.kafka_idle_ms {
                    return Err(Broken::Idle(stalled_ms));
                }
            }
        }
    }
    Ok(())
}

/// A request, and the share of the memory for large ones that it takes until it is answered.
struct Frame {
    bytes: BytesMut,
    room: Option<OwnedSemaphorePermit>,
}

/// Cuts frames off a socket.
struct Frames {
    reader: OwnedReadHalf,
    buffer: BytesMut,
    /// For the frame that is being read.
    room: Option<OwnedSemaphorePermit>,
    service: Arc<KafkaService>,
}

impl Frames {
    /// The next frame without its length; None when the client has left between frames. May be dropped and called
    /// again without losing bytes.
    async fn next(&mut self) -> Result<Option<Frame>, Broken> {
        let limit = self.service.limits.kafka_request_bytes;
        loop {
            let needed = match self.buffer.first_chunk() {
                None => 4,
                Some(length) => {
                    let length = i32::from_be_bytes(*length);
                    let bytes = usize::try_from(length).ok().filter(|bytes| (8..=limit).contains(bytes));
                    let bytes = bytes.ok_or(Broken::FrameSize { bytes: length, limit })?;
                    if self.buffer.len() >= bytes + 4 {
                        self.buffer.advance(4);
                        let frame = self.buffer.split_to(bytes);
                        if self.buffer.is_empty() {
                            // A silent connection holds no memory.
                            self.buffer = BytesMut::new();
                        }
                        return Ok(Some(Frame { bytes: frame, room: self.room.take() }));
                    }
                    bytes + 4
                }
            };
            if self.buffer.is_empty() {
                self.reader.readable().await?;
            }
            let missing = needed - self.buffer.len();
            if missing > SHARED_BYTES || self.room.is_some() {
                if self.room.is_none() {
                    self.room = Some(self.room_for(needed).await?);
                }
                // A large frame gets memory of its own, in steps, so that announcing one costs nothing, and in the end no
                // more than it needs: the log keeps what it takes of a frame together with all memory of that.
                if self.buffer.len() == self.buffer.capacity() {
                    let step = missing.min((self.buffer.len() * 2).max(1 << 20));
                    let mut larger = BytesMut::with_capacity(self.buffer.len() + step);
                    larger.extend_from_slice(&self.buffer);
                    self.buffer = larger;
                }
                let patience_ms = self.service.limits.kafka_stalled_ms;
                let mut rest = (&mut self.reader).take(missing as u64);
                let read =
                    tokio::time::timeout(Duration::from_millis(patience_ms), rest.read_buf(&mut self.buffer)).await;
                if read.map_err(|_| Broken::Idle(patience_ms))?? == 0 {
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

    /// Waits for a share of the memory for large requests.
    async fn room_for(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Broken> {
        let share = bytes.min(self.service.limits.kafka_requests_bytes) / 1_024;
        let room = Arc::clone(&self.service.request_room).acquire_many_owned(u32::try_from(share).unwrap_or(u32::MAX));
        room.await.map_err(|_| std::io::Error::other("the listener is closed").into())
    }
}

#[cfg(test)]
mod tests;
