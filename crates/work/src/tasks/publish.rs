//! `stream:publish`: records of any stream, exactly once.
//!
//! Parameters: `Stream`, and `Value` with an optional `Key` and `Headers`, or a list of those as `Records`. Without a
//! key the records of one call share a partition.

use std::collections::BTreeMap;

use bytes::BytesMut;
use headwater_base::partition_of;
use headwater_log::{Append, Log};
use headwater_wire::batch::{Builder, Compression, HEADER_BYTES};
use serde_json::{Value, json};

use super::{Answer, Call, Internal, Plan, Refusal, Services, failure};
use crate::definition::resource::Service;
use crate::execution::Failure;

/// Room for a record's framing, generous.
const OVERHEAD_BYTES: usize = 32;

/// A record to append.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Record {
    /// Chooses the partition.
    pub key: Option<Vec<u8>>,
    /// The record's value.
    pub value: Vec<u8>,
    /// Its headers.
    pub headers: Vec<(String, Vec<u8>)>,
}

pub(super) fn plan(services: &Services, _: &Service, call: &Call<'_>) -> Result<Plan, Failure> {
    let Some(stream) = call.parameters.get("Stream").and_then(Value::as_str) else {
        return Err(failure::parameters("`Stream` names the stream to publish to"));
    };
    let records = match call.parameters.get("Records") {
        None => vec![record(call.parameters, call)?],
        Some(Value::Array(records)) => records.iter().map(|from| record(from, call)).collect::<Result<_, _>>()?,
        Some(_) => return Err(failure::parameters("`Records` is a list of `{Value, Key?, Headers?}`")),
    };
    let answer = Answer::Known(json!({ "Stream": stream, "Published": records.len() }));
    let appends = appends(services, stream, &records, call)?;
    Ok(Plan::Internal(Internal { appends, ..Internal::new(answer, refused) }))
}

fn record(from: &Value, call: &Call<'_>) -> Result<Record, Failure> {
    let Some(value) = from.get("Value") else { return Err(failure::parameters("a record has no `Value`")) };
    let key = match from.get("Key") {
        None | Some(Value::Null) => None,
        Some(Value::String(key)) => Some(key.clone().into_bytes()),
        Some(Value::Number(key)) => Some(key.to_string().into_bytes()),
        Some(_) => return Err(failure::parameters("`Key` is a text or a number")),
    };
    let mut headers = chain(call);
    for (name, value) in from.get("Headers").and_then(Value::as_object).into_iter().flatten() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        headers.push((name.clone(), text.into_bytes()));
    }
    Ok(Record { key, value: value.to_string().into_bytes(), headers })
}

/// The headers that say what a record came of; without them a rule that triggers itself by way of a workflow would do so
/// for ever.
pub(super) fn chain(call: &Call<'_>) -> Vec<(String, Vec<u8>)> {
    let Some(cause) = call.cause else { return Vec::new() };
    [("ce_causationid", cause.id.clone()), ("ce_hops", cause.hops.to_string())]
        .map(|(name, value)| (name.to_owned(), value.into_bytes()))
        .into()
}

/// Records as appends of a stream, each to the partition of its key.
pub(super) fn appends(
    services: &Services,
    stream: &str,
    records: &[Record],
    call: &Call<'_>,
) -> Result<Vec<Append>, Failure> {
    let log: &dyn Log = services.context.log.as_deref().ok_or_else(|| failure::unwired("streams"))?;
    let Some(stream) = log.stream(stream) else {
        return Err(Failure::new("Stream.NotFound", format!("there is no stream `{stream}`")));
    };
    let limit = stream.config.batch_bytes();
    let partitions = stream.config.partitions.max(1);
    let fallback = partition_of(call.key.as_bytes(), partitions);
    let mut open: BTreeMap<u32, (BytesMut, Builder)> = BTreeMap::new();
    for record in records {
        let bytes = record.bytes();
        if bytes + HEADER_BYTES > limit {
            let fact = format!("a record of {bytes} bytes; the limit of `{}` is {limit}", stream.name);
            return Err(Failure::new("Stream.RecordTooLarge", fact));
        }
        let partition = record.key.as_ref().map_or(fallback, |key| partition_of(key, partitions));
        let (done, builder) =
            open.entry(partition).or_insert_with(|| (BytesMut::new(), Builder::new(Compression::None)));
        if !builder.is_empty() && builder.bytes() + bytes > limit {
            done.unsplit(std::mem::replace(builder, Builder::new(Compression::None)).finish());
        }
        let headers: Vec<(&str, &[u8])> =
            record.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        builder.push(call.now.millis(), record.key.as_deref(), Some(&record.value), &headers);
    }
    let append = |(partition, (mut batches, builder)): (u32, (BytesMut, Builder))| {
        batches.unsplit(builder.finish());
        Append { stream: stream.name.clone(), partition, batches }
    };
    Ok(open.into_iter().map(append).collect())
}

impl Record {
    fn bytes(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len() + 10).sum();
        self.value.len() + self.key.as_ref().map_or(0, Vec::len) + headers + OVERHEAD_BYTES
    }
}

pub(super) fn refused(_: &Service, _: Refusal<'_>) -> Failure {
    failure::parameters("the records were refused")
}
