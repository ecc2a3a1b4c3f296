//! Produce: batches go to the log as they came, and are acknowledged once they are durable.
//!
//! The request is decoded here, not by `kafka-protocol`, so that each partition's batches stay where the socket put
//! them: one that is most of its request goes to the log and to readers without a copy. Partitions are appended one by
//! one, since one may be refused and its neighbour not; a single sync covers them all. Where the log looks into packed
//! or many batches, for keys, that is done apart, and so is the checking of a large request; nothing else of the
//! connection is begun meanwhile.

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use futures::FutureExt;
use headwater_log::{Append, Cleanup, Commit, LogError, Placed, Sequence, Stream};
use headwater_wire::batch::{self, Compression, Header};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::ProduceResponse;
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::KafkaService;
use super::answer::Answer;
use super::apart;
use super::connection::SHARED_BYTES;
use super::error::{self, Broken, text};
use super::table::{Begun, Call, Start, unsigned};

/// The first version with compact lengths and tagged fields.
const FLEXIBLE: i16 = 9;

/// The largest request that is appended by the thread that serves its socket: about half a millisecond of checksums and
/// copying. Producers send as much at most, unless they are told otherwise.
const HERE_BYTES: usize = 1 << 20;

/// Appends at once if there is room, so that requests of one connection keep their order; only the answer waits.
pub(super) fn begin(mut call: Call) -> Result<Start, Broken> {
    let (small, large) = (call.body.len() <= SHARED_BYTES, call.body.len() > HERE_BYTES);
    let service = Arc::clone(&call.client.service);
    let elements_max = service.limits.kafka_request_elements;
    let mut request = decode(&mut call.body, call.version >= FLEXIBLE, small, elements_max).ok_or_else(|| {
        call.malformed(format!("the request is cut off, or has more than {elements_max} topics and partitions"))
    })?;
    if large || request.is_unpacked(&service, small) {
        return Ok(Start::Soon(Box::pin(begin_apart(call, request))));
    }
    let has_room = service.log.room(&request.streams()).now_or_never().is_some();
    let settled = has_room && request.append(&service);
    Ok(Start::Begun(go_on(call, Appended { request, settled, is_apart: false })))
}

/// A request of which everything that there was room for is appended.
struct Appended {
    request: Request,
    /// That was all of it.
    settled: bool,
    /// It is appended apart.
    is_apart: bool,
}

async fn begin_apart(call: Call, request: Request) -> Result<Begun, Broken> {
    let appended = append_apart(&call, request, true).await?;
    Ok(go_on(call, appended))
}

/// Appends on a thread that may take its time, if there is room or it has been waited for.
async fn append_apart(call: &Call, mut request: Request, ask: bool) -> Result<Appended, Broken> {
    let append = move |service: &KafkaService| {
        let has_room = !ask || service.log.room(&request.streams()).now_or_never().is_some();
        let settled = has_room && request.append(service);
        Appended { request, settled, is_apart: true }
    };
    apart::run(&call.client, append).await
}

/// The rest of a request's way.
fn go_on(call: Call, appended: Appended) -> Begun {
    if appended.settled {
        return Begun { alone: false, answer: Box::pin(finish(call, appended.request)) };
    }
    // A refusal for want of room would make clients send again, behind what they sent meanwhile.
    let answer = async move {
        let service = Arc::clone(&call.client.service);
        let Appended { mut request, mut settled, is_apart } = appended;
        while !settled {
            let room = service.log.room(&request.streams());
            room.await;
            if is_apart {
                Appended { request, settled, .. } = append_apart(&call, request, false).await?;
            } else {
                settled = request.append(&service);
            }
        }
        finish(call, request).await
    };
    Begun { alone: true, answer: Box::pin(answer) }
}

struct Request {
    acks: i16,
    /// Why nothing of it can be taken.
    refusal: Option<ResponseError>,
    topics: Vec<Topic>,
    /// The last commit, which covers the others.
    sequence: Option<Sequence>,
}

struct Topic {
    name: StrBytes,
    partitions: Vec<Partition>,
}

struct Partition {
    index: i32,
    batches: BytesMut,
    /// They are the lesser part of a request and share its memory.
    is_lesser: bool,
    /// None until it is settled.
    result: Option<Result<Placed, Refusal>>,
}

struct Refusal {
    code: ResponseError,
    message: String,
    /// The records that are to blame, if it is not the batch as a whole.
    records: Vec<usize>,
}

impl From<LogError> for Refusal {
    fn from(refusal: LogError) -> Self {
        Self::new(error::code(&refusal), refusal.to_string())
    }
}

impl Refusal {
    fn new(code: ResponseError, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), records: Vec::new() }
    }

    fn of(code: ResponseError) -> Self {
        Self::new(code, code.to_string())
    }
}

impl Request {
    /// Whether the log looks into batches, and these are packed or many: that of a compacted stream does, for keys.
    fn is_unpacked(&self, service: &KafkaService, small: bool) -> bool {
        let packed = |partition: &Partition| {
            Header::parse(&partition.batches).is_ok_and(|header| header.compression() != Ok(Compression::None))
        };
        self.topics
            .iter()
            .filter(|topic| !small || topic.partitions.iter().any(packed))
            .any(|topic| service.log.stream(&topic.name).is_some_and(|stream| stream.config.cleanup != Cleanup::Delete))
    }

    /// Where what is not settled yet goes.
    fn streams(&self) -> Vec<&str> {
        let unsettled = |topic: &&Topic| topic.partitions.iter().any(|partition| partition.result.is_none());
        self.topics.iter().filter(unsettled).map(|topic| &*topic.name).collect()
    }

    /// Appends, in order, what is not settled yet; false when there is no room for the rest.
    fn append(&mut self, service: &KafkaService) -> bool {
        for topic in &mut self.topics {
            let stream = service.log.stream(&topic.name);
            for partition in topic.partitions.iter_mut().filter(|partition| partition.result.is_none()) {
                let appended = match (&stream, self.refusal) {
                    (_, Some(refusal)) => Err(Refusal::of(refusal)),
                    (None, None) => Err(Refusal::of(ResponseError::UnknownTopicOrPartition)),
                    (Some(stream), None) => match append_one(service, stream, partition) {
                        Ok(None) => return false,
                        Ok(Some(appended)) => Ok(appended),
                        Err(refusal) => Err(refusal),
                    },
                };
                partition.result = Some(appended.map(|(placed, at)| {
                    self.sequence = self.sequence.max(Some(at));
                    placed
                }));
            }
        }
        true
    }
}

/// None when there is no room.
fn append_one(
    service: &KafkaService,
    stream: &Stream,
    partition: &mut Partition,
) -> Result<Option<(Placed, Sequence)>, Refusal> {
    let Ok(index) = u32::try_from(partition.index) else {
        return Err(Refusal::of(ResponseError::UnknownTopicOrPartition));
    };
    let header = Header::parse(&partition.batches).map_err(|fault| LogError::CorruptBatch(fault.to_string()))?;
    if header.total_bytes() < partition.batches.len() {
        // As Kafka does since message format 2.
        let message = "a produce request has exactly one batch for each partition";
        return Err(Refusal::new(ResponseError::InvalidRecord, message));
    }
    if header.is_transactional() {
        return Err(Refusal::new(ResponseError::InvalidTxnState, "there are no transactions yet"));
    }
    if header.is_control() {
        return Err(Refusal::new(ResponseError::InvalidRecord, "control batches are the node's own"));
    }
    if std::mem::take(&mut partition.is_lesser) {
        // The log keeps what it takes, and would keep the whole request for it.
        partition.batches = BytesMut::from(&*partition.batches);
    }
    let batches = std::mem::take(&mut partition.batches);
    let append = Append { stream: stream.name.clone(), partition: index, batches };
    let mut commit = Commit { appends: vec![append], ..Commit::default() };
    let ticket = match service.log.append(&mut commit) {
        Ok(ticket) => ticket,
        Err(LogError::Full(_)) => {
            partition.batches = commit.appends.pop().map(|append| append.batches).unwrap_or_default();
            return Ok(None);
        }
        Err(refusal @ LogError::InvalidRecord(_)) if stream.config.cleanup != Cleanup::Delete => {
            let batch = commit.appends.pop().map(|append| append.batches.freeze()).unwrap_or_default();
            return Err(Refusal {
                records: keyless(&batch, service.limits.batch_decompressed_bytes),
                ..refusal.into()
            });
        }
        Err(refusal) => return Err(refusal.into()),
    };
    let placed = ticket.placed.first().copied().ok_or_else(|| Refusal::of(ResponseError::UnknownServerError))?;
    Ok(Some((placed, ticket.sequence)))
}

/// The records without a key, by their place in the batch: clients report those alone as invalid (KIP-467).
fn keyless(batch: &Bytes, bytes_max: usize) -> Vec<usize> {
    let records = batch::records(batch, bytes_max).into_iter().flatten().enumerate();
    records.filter(|(_, record)| record.as_ref().is_ok_and(|record| record.key.is_none())).map(|(at, _)| at).collect()
}

async fn finish(call: Call, mut request: Request) -> Result<Answer, Broken> {
    let results =
        request.topics.iter_mut().flat_map(|topic| &mut topic.partitions).map(|partition| &mut partition.result);
    if request.acks == 0 {
        // There is no answer that could carry an error; Kafka ends the connection.
        return match results.into_iter().find_map(|result| result.as_ref()?.as_ref().err()) {
            None => Ok(Answer::none()),
            Some(refusal) => Err(Broken::Unheard(refusal.message.clone())),
        };
    }
    if let Some(sequence) = request.sequence
        && let Err(refusal) = call.service().log.durable(sequence).await
    {
        for result in results.filter(|result| matches!(result, Some(Ok(_)))) {
            *result = Some(Err(refusal.clone().into()));
        }
    }
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter().map(|partition| partition_answer(partition, call.version));
        TopicProduceResponse::default().with_name(topic.name.into()).with_partition_responses(partitions.collect())
    });
    call.answer(&ProduceResponse::default().with_responses(topics.collect()))
}

fn partition_answer(partition: Partition, version: i16) -> PartitionProduceResponse {
    let answer = PartitionProduceResponse::default().with_index(partition.index);
    match partition.result.unwrap_or_else(|| Err(Refusal::of(ResponseError::UnknownServerError))) {
        Ok(placed) => answer
            .with_base_offset(placed.first)
            .with_log_append_time_ms(placed.append_time.map_or(-1, |time| time.millis()))
            .with_log_start_offset(if version >= 5 { placed.log_start } else { -1 }),
        Err(refusal) => {
            let answer = answer
                .with_error_code(refusal.code.code())
                .with_base_offset(-1)
                .with_log_append_time_ms(-1)
                .with_log_start_offset(-1);
            if version < 8 {
                return answer;
            }
            let records = refusal.records.iter().map(|at| {
                BatchIndexAndErrorMessage::default().with_batch_index(i32::try_from(*at).unwrap_or(i32::MAX))
            });
            answer.with_record_errors(records.collect()).with_error_message(Some(text(refusal.message)))
        }
    }
}

/// Reads a request; the batches are cut out of `body`, or copied when it is `small` and shares its memory.
/// An element takes far more memory than the bytes that announce it, so there may be `elements_max`.
fn decode(body: &mut BytesMut, flexible: bool, small: bool, elements_max: usize) -> Option<Request> {
    let (mut left, total) = (elements_max, body.len());
    let transactional = read_text(body, flexible)?.is_some();
    let acks = body.try_get_i16().ok()?;
    body.try_get_i32().ok()?; // the time-out: nothing here waits for another node
    let count = read_count(body, flexible, &mut left)?;
    let mut topics = Vec::with_capacity(count.min(body.len() / 4));
    for _ in 0..count {
        let name = read_text(body, flexible)??;
        let count = read_count(body, flexible, &mut left)?;
        let mut partitions = Vec::with_capacity(count.min(body.len() / 8));
        for _ in 0..count {
            let index = body.try_get_i32().ok()?;
            let bytes = read_length(body, flexible, 4)?.unwrap_or(0);
            if bytes > body.len() {
                return None;
            }
            let batches = if small {
                let copy = BytesMut::from(body.get(..bytes)?);
                body.advance(bytes);
                copy
            } else {
                body.split_to(bytes)
            };
            let is_lesser = !small && bytes < total / 2;
            partitions.push(Partition { index, batches, is_lesser, result: None });
            read_tags(body, flexible)?;
        }
        topics.push(Topic { name, partitions });
        read_tags(body, flexible)?;
    }
    read_tags(body, flexible)?;
    let refusal = if !(-1..=1).contains(&acks) {
        Some(ResponseError::InvalidRequiredAcks)
    } else if transactional {
        Some(ResponseError::InvalidTxnState)
    } else {
        None
    };
    Some(Request { acks, refusal, topics, sequence: None })
}

/// How many elements follow; None when more than are `left` do.
fn read_count(body: &mut BytesMut, flexible: bool, left: &mut usize) -> Option<usize> {
    let count = read_length(body, flexible, 4)?.unwrap_or(0);
    *left = left.checked_sub(count)?;
    Some(count)
}

/// A length of `width` bytes, or a compact one; the inner None stands for null.
fn read_length(body: &mut BytesMut, flexible: bool, width: usize) -> Option<Option<usize>> {
    let length = match (flexible, width) {
        (true, _) => i64::from(unsigned(body)?) - 1,
        (false, 2) => i64::from(body.try_get_i16().ok()?),
        (false, _) => i64::from(body.try_get_i32().ok()?),
    };
    match length {
        -1 => Some(None),
        length => usize::try_from(length).ok().map(Some),
    }
}

fn read_text(body: &mut BytesMut, flexible: bool) -> Option<Option<StrBytes>> {
    let Some(length) = read_length(body, flexible, 2)? else { return Some(None) };
    let bytes = body.get(..length)?;
    let text = std::str::from_utf8(bytes).ok()?.to_owned();
    body.advance(length);
    Some(Some(StrBytes::from_string(text)))
}

fn read_tags(body: &mut BytesMut, flexible: bool) -> Option<()> {
    if !flexible {
        return Some(());
    }
    for _ in 0..unsigned(body)? {
        unsigned(body)?;
        let bytes = unsigned(body)? as usize;
        if bytes > body.len() {
            return None;
        }
        body.advance(bytes);
    }
    Some(())
}

#[cfg(test)]
mod tests;
