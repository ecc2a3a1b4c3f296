//! Fetch: durable batches, straight from the log, waiting for new ones as long as the client wants.
//!
//! The answer is put together by hand, so that none but tiny batches are copied. Fetch sessions are not kept: every
//! answer has session 0, which tells clients to ask in full each time.

use std::collections::{HashMap, VecDeque};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use headwater_base::Name;
use headwater_log::{Batches, Ends, Log, LogError, View};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::FetchRequest;
use kafka_protocol::protocol::StrBytes;

use super::KafkaService;
use super::answer::{Answer, Budget};
use super::apart;
use super::error::{self, Broken};
use super::table::Call;

/// The most that one answer holds, but for its first batch.
const ANSWER_BYTES_MAX: usize = 8 << 20;
/// Batches below this size are copied: a socket takes some dozens of pieces at a time, which are to be worth its while.
const PIECE_BYTES_MIN: usize = 512;
/// The longest wait, whatever the client says.
const WAIT_MS_MAX: i32 = 60_000;

pub(super) async fn answer(mut call: Call) -> Result<Answer, Broken> {
    let request: FetchRequest = call.decode()?;
    if request.session_id != 0 && request.session_epoch > 0 {
        return Ok(encode(&call, ResponseError::FetchSessionIdNotFound.code(), Vec::new()));
    }
    let topics: Arc<[Topic]> = look_up(&call, &request).into();
    let wait = Duration::from_millis(u64::try_from(request.max_wait_ms.clamp(0, WAIT_MS_MAX)).unwrap_or(0));
    let bytes_max = usize::try_from(request.max_bytes).unwrap_or(0).min(ANSWER_BYTES_MAX);
    // More than an answer holds would never come.
    let bytes_min = usize::try_from(request.min_bytes).unwrap_or(0).min(bytes_max);
    let mut found = find(&call, &topics, bytes_max).await?;
    if found.bytes < bytes_min
        && !found.failed
        && !wait.is_zero()
        && topics.iter().any(|topic| !topic.partitions.is_empty())
    {
        let mut patience = pin!(tokio::time::sleep(wait));
        loop {
            let wake = Arc::clone(&call.client.wake);
            let mut woken = pin!(wake.notified());
            woken.as_mut().enable();
            if !listen(&call, &found) {
                found = find(&call, &topics, bytes_max).await?;
                break;
            }
            // What waits holds no memory: nobody would count it.
            found.topics.clear();
            let is_over = tokio::select! {
                () = &mut patience => true,
                () = woken => false,
            };
            found = find(&call, &topics, bytes_max).await?;
            if is_over || found.bytes >= bytes_min || found.failed {
                break;
            }
        }
    }
    let budget = Budget { bytes: found.bytes, total: Arc::clone(&call.service().fetched_bytes) };
    budget.total.fetch_add(budget.bytes, Ordering::Relaxed);
    let mut answer = encode(&call, 0, found.topics);
    answer.budget = Some(budget);
    Ok(answer)
}

/// What is asked for.
struct Topic {
    name: StrBytes,
    stream: Option<Name>,
    partitions: Vec<Wanted>,
}

struct Wanted {
    index: i32,
    from: i64,
    bytes_max: usize,
    leader_epoch: i32,
}

/// Where batches may come from.
#[derive(Clone, Copy)]
enum Reach {
    Memory,
    Files,
}

/// What is there.
#[derive(Default)]
struct Found {
    topics: Vec<FoundTopic>,
    bytes: usize,
    /// A partition has an error, which the client should learn at once.
    failed: bool,
}

struct FoundTopic {
    name: StrBytes,
    stream: Option<Name>,
    partitions: Vec<FoundPartition>,
}

struct FoundPartition {
    index: i32,
    error: i16,
    ends: Option<Ends>,
    batches: Batches,
}

/// Reads on this thread what memory has, as all that consumers at the end of the log want; what is in files, apart.
async fn find(call: &Call, topics: &Arc<[Topic]>, bytes_max: usize) -> Result<Found, Broken> {
    if let Some(found) = read(call.service(), topics, bytes_max, Reach::Memory) {
        return Ok(found);
    }
    let topics = Arc::clone(topics);
    let found = apart::run(&call.client, move |service| read(service, &topics, bytes_max, Reach::Files)).await?;
    Ok(found.unwrap_or_default())
}

fn look_up(call: &Call, request: &FetchRequest) -> Vec<Topic> {
    let mut topics: Vec<Topic> = Vec::with_capacity(request.topics.len());
    // A partition that is named twice is read once, as it was named last: so does Kafka.
    let (mut topic_places, mut places) = (HashMap::new(), HashMap::new());
    for named in &request.topics {
        let at = *topic_places.entry(&named.topic).or_insert(topics.len());
        if at == topics.len() {
            let stream = call.service().log.stream(&named.topic).map(|stream| stream.name.clone());
            let partitions = Vec::with_capacity(named.partitions.len());
            topics.push(Topic { name: named.topic.0.clone(), stream, partitions });
        }
        let Some(topic) = topics.get_mut(at) else { continue };
        for partition in &named.partitions {
            let wanted = Wanted {
                index: partition.partition,
                from: partition.fetch_offset,
                bytes_max: usize::try_from(partition.partition_max_bytes).unwrap_or(0),
                leader_epoch: partition.current_leader_epoch,
            };
            let place = *places.entry((at, wanted.index)).or_insert(topic.partitions.len());
            match topic.partitions.get_mut(place) {
                Some(before) => *before = wanted,
                None => topic.partitions.push(wanted),
            }
        }
    }
    topics
}

/// None where something is out of reach.
fn read(service: &KafkaService, topics: &[Topic], bytes_max: usize, reach: Reach) -> Option<Found> {
    let held = service.fetched_bytes.load(Ordering::Relaxed);
    let budget = service.limits.kafka_fetch_bytes;
    // Clients that do not take their answers have used it all up twice: they go soon, see `connection`.
    let none_left = held > budget.saturating_mul(2);
    let mut left = bytes_max.min(budget.saturating_sub(held));
    let mut found = Found { topics: Vec::with_capacity(topics.len()), bytes: 0, failed: false };
    for topic in topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for wanted in &topic.partitions {
            // The log gives one batch at least, so the first gets through whatever its size, and no other may.
            let share = if found.bytes == 0 && !none_left { left.max(1) } else { left };
            let bytes_max = share.min(wanted.bytes_max.max(1));
            let partition = match read_one(&*service.log, topic.stream.as_ref(), wanted, bytes_max, reach) {
                Ok(None) => return None,
                Ok(Some((batches, ends))) if found.bytes > 0 && batches.bytes() > left => {
                    FoundPartition { index: wanted.index, error: 0, ends: Some(ends), batches: Batches::new() }
                }
                Ok(Some((batches, ends))) => {
                    FoundPartition { index: wanted.index, error: 0, ends: Some(ends), batches }
                }
                Err(error) => {
                    found.failed = true;
                    FoundPartition { index: wanted.index, error: error.code(), ends: None, batches: Batches::new() }
                }
            };
            found.bytes += partition.batches.bytes();
            left = left.saturating_sub(partition.batches.bytes());
            partitions.push(partition);
        }
        found.topics.push(FoundTopic { name: topic.name.clone(), stream: topic.stream.clone(), partitions });
    }
    Some(found)
}

fn read_one(
    log: &dyn Log,
    stream: Option<&Name>,
    wanted: &Wanted,
    bytes_max: usize,
    reach: Reach,
) -> Result<Option<(Batches, Ends)>, ResponseError> {
    let stream = stream.ok_or(ResponseError::UnknownTopicOrPartition)?;
    let partition = u32::try_from(wanted.index).map_err(|_| ResponseError::UnknownTopicOrPartition)?;
    check_epoch(wanted.leader_epoch)?;
    if bytes_max == 0 {
        // The answer is full: the ends are still news.
        let ends = log.ends(stream, partition).map_err(|refusal| error::code(&refusal))?;
        return Ok(Some((Batches::new(), ends)));
    }
    let fetched = match reach {
        Reach::Memory => log.read_in_memory(stream, partition, wanted.from, bytes_max, View::Durable),
        Reach::Files => log.read(stream, partition, wanted.from, bytes_max, View::Durable).map(Some),
    };
    match fetched {
        Ok(fetched) => Ok(fetched.map(|fetched| (fetched.batches, fetched.ends))),
        // A reader of appended offsets, such as one that was told of them by a pipeline, is early, not wrong.
        Err(LogError::OffsetOutOfRange { wanted: offset, .. }) => {
            let ends = log.ends(stream, partition).map_err(|refusal| error::code(&refusal))?;
            if offset > ends.durable && offset <= ends.appended {
                Ok(Some((Batches::new(), ends)))
            } else {
                Err(ResponseError::OffsetOutOfRange)
            }
        }
        Err(refusal) => Err(error::code(&refusal)),
    }
}

/// The one leader has epoch 0; clients that know a later one are ahead of it.
pub(super) const fn check_epoch(epoch: i32) -> Result<(), ResponseError> {
    if epoch > 0 { Err(ResponseError::UnknownLeaderEpoch) } else { Ok(()) }
}

/// Asks to be woken by each partition; false when one is gone.
fn listen(call: &Call, found: &Found) -> bool {
    let log = &call.service().log;
    found.topics.iter().all(|topic| {
        topic.partitions.iter().all(|partition| match (&topic.stream, partition.ends, u32::try_from(partition.index)) {
            (Some(stream), Some(ends), Ok(index)) => {
                log.wake_after(stream, index, ends.durable, View::Durable, &call.client.wake).is_ok()
            }
            _ => false,
        })
    })
}

/// FetchResponse, versions 4 to 12.
fn encode(call: &Call, error: i16, topics: Vec<FoundTopic>) -> Answer {
    let version = call.version;
    let flexible = version >= 12;
    let mut out = Pieces { head: BytesMut::with_capacity(256), done: VecDeque::new(), first: None };
    out.head.put_i32(0);
    out.head.put_i32(call.correlation);
    out.tags(flexible);
    out.head.put_i32(0);
    if version >= 7 {
        out.head.put_i16(error);
        out.head.put_i32(0);
    }
    out.count(topics.len(), flexible);
    for topic in topics {
        out.text(&topic.name, flexible);
        out.count(topic.partitions.len(), flexible);
        for partition in topic.partitions {
            out.head.put_i32(partition.index);
            out.head.put_i16(partition.error);
            out.head.put_i64(partition.ends.map_or(-1, |ends| ends.durable));
            out.head.put_i64(partition.ends.map_or(-1, |ends| ends.stable));
            if version >= 5 {
                out.head.put_i64(partition.ends.map_or(-1, |ends| ends.start));
            }
            // No transaction has been aborted.
            out.count(0, flexible);
            if version >= 11 {
                out.head.put_i32(-1);
            }
            out.count(partition.batches.bytes(), flexible);
            partition.batches.into_iter().for_each(|piece| out.piece(piece));
            out.tags(flexible);
        }
        out.tags(flexible);
    }
    out.tags(flexible);
    out.finish()
}

/// An answer in the making: what has been written here, between batches that are the log's.
struct Pieces {
    head: BytesMut,
    done: VecDeque<Bytes>,
    /// The first stretch of `head`, with room for the length.
    first: Option<BytesMut>,
}

impl Pieces {
    fn tags(&mut self, flexible: bool) {
        if flexible {
            self.head.put_u8(0);
        }
    }

    fn count(&mut self, count: usize, flexible: bool) {
        if !flexible {
            self.head.put_i32(i32::try_from(count).unwrap_or(i32::MAX));
            return;
        }
        let mut value = count + 1;
        while value >= 0x80 {
            self.head.put_u8((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.head.put_u8(value as u8);
    }

    fn text(&mut self, text: &StrBytes, flexible: bool) {
        if flexible {
            self.count(text.len(), true);
        } else {
            self.head.put_i16(i16::try_from(text.len()).unwrap_or(i16::MAX));
        }
        self.head.put_slice(text.as_bytes());
    }

    fn piece(&mut self, bytes: Bytes) {
        if bytes.len() < PIECE_BYTES_MIN {
            self.head.put_slice(&bytes);
            return;
        }
        let written = self.head.split();
        if self.first.is_none() {
            self.first = Some(written);
        } else if !written.is_empty() {
            self.done.push_back(written.freeze());
        }
        self.done.push_back(bytes);
    }

    fn finish(mut self) -> Answer {
        match self.first.take() {
            None => Answer::of_pieces(self.head, self.done),
            Some(first) => {
                self.done.push_back(self.head.freeze());
                Answer::of_pieces(first, self.done)
            }
        }
    }
}
