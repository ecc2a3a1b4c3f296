//! A small Kafka client for the solutions' own traffic: produce with acks=all, fetch, offsets, metadata.
//!
//! What it is NOT: a client library. It talks to one broker, without groups, security or retries, in the oldest
//! versions that carry RecordBatch v2 (none of them flexible), so that a request is a few lines of big-endian fields
//! and the load generator spends its time on events. Outside clients are tested elsewhere.
//!
//! # Source
//! Apache Kafka protocol guide: Produce v3, Fetch v4, ListOffsets v1, Metadata v1, InitProducerId v0.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use headwater_base::Problem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// An answer larger than this is not read.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A connection that asks one thing at a time.
pub struct Client {
    sender: Sender,
    receiver: Receiver,
}

/// The sending half: requests may follow each other without waiting for answers.
pub struct Sender {
    stream: OwnedWriteHalf,
    buffer: BytesMut,
    correlation: i32,
}

/// The receiving half: answers come in the order of the requests.
pub struct Receiver {
    stream: OwnedReadHalf,
    correlation: i32,
}

/// What a fetch gave for one partition.
pub struct Fetched {
    /// The partition.
    pub partition: u32,
    /// One past the last durable record.
    pub end: i64,
    /// Whole batches, the last of which may be cut off.
    pub batches: Bytes,
}

/// A partition's answer to a produce request.
#[derive(Clone, Copy, Debug)]
pub struct Acked {
    /// The partition.
    pub partition: u32,
    /// Offset of the first record.
    pub offset: i64,
}

impl Client {
    /// Connects to `address` (`127.0.0.1:9092`).
    ///
    /// # Errors
    /// `HW-CLI-203` when nobody listens there.
    pub async fn connect(address: &str) -> Result<Self, Problem> {
        let stream = TcpStream::connect(address).await.map_err(|error| {
            broken(format!("no Kafka listener at `{address}`")).because(error).help("start a node: `headwater up`")
        })?;
        stream.set_nodelay(true).map_err(io)?;
        let (reader, writer) = stream.into_split();
        Ok(Self {
            sender: Sender { stream: writer, buffer: BytesMut::new(), correlation: 0 },
            receiver: Receiver { stream: reader, correlation: 0 },
        })
    }

    /// Takes the connection apart, for requests that do not wait for each other.
    pub fn split(self) -> (Sender, Receiver) {
        (self.sender, self.receiver)
    }

    /// Number of partitions of a stream, which is created if the node allows it.
    ///
    /// # Errors
    /// `HW-CLI-203`.
    pub async fn partitions(&mut self, stream: &str) -> Result<u32, Problem> {
        self.sender
            .send(3, 1, |out| {
                out.put_i32(1);
                text(out, stream);
            })
            .await?;
        let mut answer = self.receiver.next().await?;
        let answer = &mut answer;
        for _ in 0..array(answer)? {
            skip(answer, 4)?;
            take_text(answer)?;
            skip(answer, 4)?;
            take_text(answer)?;
        }
        skip(answer, 4)?;
        let mut count = 0;
        // Asked for one stream, the answer holds one.
        if array(answer)? > 0 {
            check(i16_of(answer)?, stream)?;
            take_text(answer)?;
            skip(answer, 1)?;
            count = u32::try_from(array(answer)?).unwrap_or(0);
        }
        if count == 0 { Err(broken(format!("stream `{stream}` has no partitions"))) } else { Ok(count) }
    }

    /// Produces batches and waits until they are durable.
    ///
    /// # Errors
    /// `HW-CLI-203`.
    pub async fn produce(&mut self, stream: &str, batches: &[(u32, BytesMut)]) -> Result<Vec<Acked>, Problem> {
        self.sender.produce(stream, batches).await?;
        self.receiver.produced().await
    }

    /// A new producer's id and epoch, under which batches may be sent again and count once.
    ///
    /// # Errors
    /// `HW-CLI-203`.
    pub async fn producer(&mut self) -> Result<(i64, i16), Problem> {
        self.sender
            .send(22, 0, |out| {
                out.put_i16(-1);
                out.put_i32(60_000);
            })
            .await?;
        let mut answer = self.receiver.next().await?;
        let answer = &mut answer;
        skip(answer, 4)?;
        check(i16_of(answer)?, "(a producer's id)")?;
        Ok((i64_of(answer)?, i16_of(answer)?))
    }

    /// Fetches from several partitions, waiting up to `wait_ms` for anything new.
    ///
    /// # Errors
    /// `HW-CLI-203`.
    pub async fn fetch(&mut self, stream: &str, from: &[(u32, i64)], wait_ms: i32) -> Result<Vec<Fetched>, Problem> {
        self.sender
            .send(1, 4, |out| {
                out.put_i32(-1);
                out.put_i32(wait_ms);
                out.put_i32(1);
                out.put_i32(16 * 1024 * 1024);
                out.put_i8(1);
                out.put_i32(1);
                text(out, stream);
                out.put_i32(i32::try_from(from.len()).unwrap_or(0));
                for (partition, offset) in from {
                    out.put_u32(*partition);
                    out.put_i64(*offset);
                    out.put_i32(4 * 1024 * 1024);
                }
            })
            .await?;
        let mut answer = self.receiver.next().await?;
        let answer = &mut answer;
        skip(answer, 4)?;
        let mut fetched = Vec::new();
        for _ in 0..array(answer)? {
            take_text(answer)?;
            for _ in 0..array(answer)? {
                let partition = i32_of(answer)? as u32;
                check(i16_of(answer)?, stream)?;
                let end = i64_of(answer)?;
                skip(answer, 8)?;
                let aborted = array(answer)?;
                skip(answer, aborted * 16)?;
                let length = usize::try_from(i32_of(answer)?).unwrap_or(0);
                if answer.remaining() < length {
                    return Err(broken("the node's answer ends too early".to_owned()));
                }
                fetched.push(Fetched { partition, end, batches: answer.split_to(length) });
            }
        }
        Ok(fetched)
    }

    /// The offsets at one end of each partition: -2 the first, -1 one past the last.
    ///
    /// # Errors
    /// `HW-CLI-203`.
    pub async fn offsets(&mut self, stream: &str, partitions: u32, which: i64) -> Result<Vec<i64>, Problem> {
        self.sender
            .send(2, 1, |out| {
                out.put_i32(-1);
                out.put_i32(1);
                text(out, stream);
                out.put_u32(partitions);
                for partition in 0..partitions {
                    out.put_u32(partition);
                    out.put_i64(which);
                }
            })
            .await?;
        let mut answer = self.receiver.next().await?;
        let answer = &mut answer;
        let mut offsets = vec![0; partitions as usize];
        for _ in 0..array(answer)? {
            take_text(answer)?;
            for _ in 0..array(answer)? {
                let partition = i32_of(answer)? as usize;
                check(i16_of(answer)?, stream)?;
                skip(answer, 8)?;
                let offset = i64_of(answer)?;
                if let Some(place) = offsets.get_mut(partition) {
                    *place = offset;
                }
            }
        }
        Ok(offsets)
    }
}

impl Sender {
    /// Sends a produce request with acks=all; [`Receiver::produced`] gives its answer.
    ///
    /// # Errors
    /// `HW-CLI-203`.
    pub async fn produce(&mut self, stream: &str, batches: &[(u32, BytesMut)]) -> Result<(), Problem> {
        self.send(0, 3, |out| {
            out.put_i16(-1);
            out.put_i16(-1);
            out.put_i32(30_000);
            out.put_i32(1);
            text(out, stream);
            out.put_i32(i32::try_from(batches.len()).unwrap_or(0));
            for (partition, batch) in batches {
                out.put_u32(*partition);
                out.put_i32(i32::try_from(batch.len()).unwrap_or(0));
                out.extend_from_slice(batch);
            }
        })
        .await
    }

    async fn send(&mut self, api: i16, version: i16, body: impl FnOnce(&mut BytesMut)) -> Result<(), Problem> {
        self.buffer.clear();
        self.buffer.put_i32(0);
        self.buffer.put_i16(api);
        self.buffer.put_i16(version);
        self.buffer.put_i32(self.correlation);
        text(&mut self.buffer, "headwater-solution");
        body(&mut self.buffer);
        let length = u32::try_from(self.buffer.len() - 4).unwrap_or(0);
        if let Some(place) = self.buffer.get_mut(..4) {
            place.copy_from_slice(&length.to_be_bytes());
        }
        self.correlation += 1;
        self.stream.write_all(&self.buffer).await.map_err(io)
    }
}

impl Receiver {
    /// The answer to the next produce request.
    ///
    /// # Errors
    /// `HW-CLI-203`, also when the node refused the records.
    pub async fn produced(&mut self) -> Result<Vec<Acked>, Problem> {
        let mut answer = self.next().await?;
        let answer = &mut answer;
        let mut acked = Vec::new();
        for _ in 0..array(answer)? {
            let stream = take_text(answer)?;
            for _ in 0..array(answer)? {
                let partition = i32_of(answer)? as u32;
                check(i16_of(answer)?, &stream)?;
                let offset = i64_of(answer)?;
                skip(answer, 8)?;
                acked.push(Acked { partition, offset });
            }
        }
        Ok(acked)
    }

    async fn next(&mut self) -> Result<Bytes, Problem> {
        let length = self.stream.read_u32().await.map_err(io)? as usize;
        if length > ANSWER_BYTES_MAX {
            return Err(broken(format!("the node's answer has {length} bytes; the limit is {ANSWER_BYTES_MAX}")));
        }
        let mut answer = BytesMut::zeroed(length);
        self.stream.read_exact(&mut answer).await.map_err(io)?;
        let mut answer = answer.freeze();
        let correlation = i32_of(&mut answer)?;
        if correlation != self.correlation {
            return Err(broken(format!("the node answered request {correlation}, not {}", self.correlation)));
        }
        self.correlation += 1;
        Ok(answer)
    }
}

fn broken(fact: String) -> Problem {
    Problem::new("HW-CLI-203", fact)
}

fn io(error: std::io::Error) -> Problem {
    broken("the connection to the node broke".to_owned()).because(error)
}

fn check(code: i16, stream: &str) -> Result<(), Problem> {
    match code {
        0 => Ok(()),
        code => Err(broken(format!("the node refused a request for stream `{stream}` with Kafka error {code}"))),
    }
}

fn text(out: &mut BytesMut, text: &str) {
    out.put_i16(i16::try_from(text.len()).unwrap_or(0));
    out.extend_from_slice(text.as_bytes());
}

fn need(answer: &Bytes, bytes: usize) -> Result<(), Problem> {
    if answer.remaining() < bytes { Err(broken("the node's answer ends too early".to_owned())) } else { Ok(()) }
}

fn skip(answer: &mut Bytes, bytes: usize) -> Result<(), Problem> {
    need(answer, bytes)?;
    answer.advance(bytes);
    Ok(())
}

fn i16_of(answer: &mut Bytes) -> Result<i16, Problem> {
    need(answer, 2)?;
    Ok(answer.get_i16())
}

fn i32_of(answer: &mut Bytes) -> Result<i32, Problem> {
    need(answer, 4)?;
    Ok(answer.get_i32())
}

fn i64_of(answer: &mut Bytes) -> Result<i64, Problem> {
    need(answer, 8)?;
    Ok(answer.get_i64())
}

/// An array's length; null counts as empty.
fn array(answer: &mut Bytes) -> Result<usize, Problem> {
    Ok(usize::try_from(i32_of(answer)?).unwrap_or(0))
}

fn take_text(answer: &mut Bytes) -> Result<String, Problem> {
    let length = usize::try_from(i16_of(answer)?).unwrap_or(0);
    need(answer, length)?;
    Ok(String::from_utf8_lossy(&answer.split_to(length)).into_owned())
}
