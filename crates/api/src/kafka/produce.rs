//! Produce: batches go to the log as they came, and are acknowledged once they are durable.
//!
//! The request is decoded here, not by `kafka-protocol`, so that each partition's batches stay where the socket put
//! them and can be handed over as memory of their own. Partitions are appended one by one, since one may be refused
//! and its neighbour not; a single sync covers them all.

use bytes::{Buf, BytesMut};
use futures::FutureExt;
use headwater_base::Name;
use headwater_log::{Append, Commit, Log, LogError, Placed, Sequence};
use headwater_wire::batch::Header;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::ProduceResponse;
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::answer::Answer;
use super::connection::SHARED_BYTES;
use super::error::{self, Broken, text};
use super::table::{Begun, Call, unsigned};

/// The first version with compact lengths and tagged fields.
const FLEXIBLE: i16 = 9;

/// Appends at once if there is room, so that requests of one connection keep their order; only the answer waits.
pub(super) fn begin(mut call: Call) -> Result<Begun, Broken> {
    let small = call.body.len() <= SHARED_BYTES;
    let request = decode(&mut call.body, call.version >= FLEXIBLE, small)
        .ok_or_else(|| call.malformed("the request is cut off".into()))?;
    let has_room = call.service().log.room().now_or_never().is_some();
    if has_room {
        let (appended, acks) = (append(&*call.service().log, request.topics, request.refusal), request.acks);
        return Ok(Begun { alone: false, answer: Box::pin(finish(call, appended, acks)) });
    }
    let answer = async move {
        call.service().log.room().await;
        let appended = append(&*call.service().log, request.topics, request.refusal);
        finish(call, appended, request.acks).await
    };
    Ok(Begun { alone: true, answer: Box::pin(answer) })
}

struct Request {
    acks: i16,
    /// Why nothing of it can be taken.
    refusal: Option<ResponseError>,
    topics: Vec<Topic>,
}

struct Topic {
    name: StrBytes,
    partitions: Vec<(i32, BytesMut)>,
}

struct Appended {
    topics: Vec<(StrBytes, Vec<(i32, Result<Placed, Refusal>)>)>,
    /// The last commit, which covers the others.
    sequence: Option<Sequence>,
}

struct Refusal {
    code: ResponseError,
    message: String,
}

impl From<LogError> for Refusal {
    fn from(refusal: LogError) -> Self {
        Self { code: error::code(&refusal), message: refusal.to_string() }
    }
}

impl Refusal {
    fn of(code: ResponseError) -> Self {
        Self { code, message: code.to_string() }
    }
}

fn append(log: &dyn Log, topics: Vec<Topic>, refusal: Option<ResponseError>) -> Appended {
    let mut sequence = None;
    let topics = topics.into_iter().map(|topic| {
        let stream = log.stream(&topic.name);
        let partitions = topic.partitions.into_iter().map(|(partition, batches)| {
            let result = match (&stream, refusal) {
                (_, Some(refusal)) => Err(Refusal::of(refusal)),
                (None, None) => Err(Refusal::of(ResponseError::UnknownTopicOrPartition)),
                (Some(stream), None) => append_one(log, &stream.name, partition, batches),
            };
            let placed = result.map(|(placed, at)| {
                sequence = sequence.max(Some(at));
                placed
            });
            (partition, placed)
        });
        let partitions = partitions.collect();
        (topic.name, partitions)
    });
    let topics = topics.collect();
    Appended { topics, sequence }
}

fn append_one(log: &dyn Log, stream: &Name, partition: i32, batches: BytesMut) -> Result<(Placed, Sequence), Refusal> {
    let Ok(partition) = u32::try_from(partition) else {
        return Err(Refusal::of(ResponseError::UnknownTopicOrPartition));
    };
    let header = Header::parse(&batches).map_err(|fault| LogError::CorruptBatch(fault.to_string()))?;
    if header.total_bytes() < batches.len() {
        // As Kafka does since message format 2.
        let message = "a produce request has exactly one batch for each partition".into();
        return Err(Refusal { code: ResponseError::InvalidRecord, message });
    }
    if header.is_transactional() {
        let message = "there are no transactions yet".into();
        return Err(Refusal { code: ResponseError::InvalidTxnState, message });
    }
    if header.is_control() {
        let message = "control batches are the node's own".into();
        return Err(Refusal { code: ResponseError::InvalidRecord, message });
    }
    let append = Append { stream: stream.clone(), partition, batches };
    let ticket = log.append(&Commit { appends: vec![append], ..Commit::default() })?;
    let placed = ticket.placed.first().copied().ok_or_else(|| Refusal::of(ResponseError::UnknownServerError))?;
    Ok((placed, ticket.sequence))
}

async fn finish(call: Call, mut appended: Appended, acks: i16) -> Result<Answer, Broken> {
    if acks == 0 {
        // There is no answer that could carry an error; Kafka ends the connection.
        let refused =
            appended.topics.iter().flat_map(|(_, partitions)| partitions).find_map(|(_, result)| result.as_ref().err());
        return match refused {
            None => Ok(Answer::none()),
            Some(refusal) => Err(call.malformed(format!("refused without an answer: {}", refusal.message))),
        };
    }
    if let Some(sequence) = appended.sequence
        && let Err(refusal) = call.service().log.durable(sequence).await
    {
        for (_, result) in appended.topics.iter_mut().flat_map(|(_, partitions)| partitions) {
            if result.is_ok() {
                *result = Err(refusal.clone().into());
            }
        }
    }
    let topics = appended.topics.into_iter().map(|(name, partitions)| {
        let partitions =
            partitions.into_iter().map(|(index, result)| partition_answer(index, result, call.version)).collect();
        TopicProduceResponse::default().with_name(name.into()).with_partition_responses(partitions)
    });
    call.answer(&ProduceResponse::default().with_responses(topics.collect()))
}

fn partition_answer(index: i32, result: Result<Placed, Refusal>, version: i16) -> PartitionProduceResponse {
    let answer = PartitionProduceResponse::default().with_index(index);
    match result {
        Ok(placed) => answer
            .with_base_offset(placed.first)
            .with_log_append_time_ms(placed.append_time.map_or(-1, |time| time.millis()))
            .with_log_start_offset(if version >= 5 { placed.log_start } else { -1 }),
        Err(refusal) => {
            let mut answer = answer
                .with_error_code(refusal.code.code())
                .with_base_offset(-1)
                .with_log_append_time_ms(-1)
                .with_log_start_offset(-1);
            if version < 8 {
                return answer;
            }
            answer.error_message = Some(text(refusal.message.clone()));
            if refusal.code == ResponseError::InvalidRecord {
                let record =
                    BatchIndexAndErrorMessage::default().with_batch_index_error_message(Some(text(refusal.message)));
                answer.record_errors.push(record);
            }
            answer
        }
    }
}

/// Reads a request; the batches are cut out of `body`, or copied when it is `small` and shares its memory.
fn decode(body: &mut BytesMut, flexible: bool, small: bool) -> Option<Request> {
    let transactional = read_text(body, flexible)?.is_some();
    let acks = body.try_get_i16().ok()?;
    body.try_get_i32().ok()?; // the time-out: nothing here waits for another node
    let count = read_length(body, flexible, 4)?.unwrap_or(0);
    let mut topics = Vec::with_capacity(count.min(body.len() / 4));
    for _ in 0..count {
        let name = read_text(body, flexible)??;
        let count = read_length(body, flexible, 4)?.unwrap_or(0);
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
            partitions.push((index, batches));
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
    body.is_empty().then_some(Request { acks, refusal, topics })
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
