//! `GET /v1/streams/{name}/events`: a stream's records as NDJSON, with `follow` without end; and
//! `GET /v1/streams/{name}/partitions`: where each partition begins and ends.
//!
//! Reads durable records only. What it is NOT: a consumer group; nothing is remembered about who has read what.

use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use bytes::{BufMut, Bytes, BytesMut};
use headwater_base::{Micros, Problem};
use headwater_log::{Log, Offset, Stream, View};
use headwater_wire::base64;
use headwater_wire::batch::{Header, Record, records};
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use serde_json::json;
use serde_json::value::RawValue;
use tokio::sync::{Notify, watch};

use crate::http::Api;
use crate::http::answer;
use crate::http::aside::aside;
use crate::http::fault::Fault;
use crate::http::ingest::find_stream;
use crate::http::query::{Query, refused};

/// Query parameters of this address.
pub const QUERY: &[&str] = &["partition", "from", "max", "follow"];

/// Bytes read from a partition at a time.
const READ_BYTES: usize = 256 * 1024;

/// Where a reader begins.
pub(super) enum Begin {
    Earliest,
    Latest,
    /// So many records before the end.
    Last(i64),
    Offset(Offset),
    Time(Micros),
}

/// A reader of some partitions of a stream.
struct Tail {
    log: Arc<dyn Log>,
    stream: Arc<Stream>,
    /// Partition and next offset; the front one is read next.
    places: VecDeque<(u32, Offset)>,
    left: u64,
    follow: bool,
    decompressed_max: usize,
    changed: Arc<Notify>,
    stop: watch::Receiver<bool>,
}

/// Gives a stream's records.
pub async fn tail(State(api): State<Arc<Api>>, Path(name): Path<String>, request: Request) -> Result<Response, Fault> {
    let stream = find_stream(&*api.log, &name)?;
    let query = Query::parse(request.uri().query(), QUERY)?;
    let from = Begin::parse("from", query.text("from").unwrap_or("earliest"))?;
    let partitions = chosen(&stream, query.read("partition", "a partition's number")?);
    let (log, of) = (Arc::clone(&api.log), Arc::clone(&stream));
    let place = move |partition| from.offset(&*log, &of, partition).map(|offset| (partition, offset));
    let places = aside(move || partitions.into_iter().map(place).collect::<Result<VecDeque<_>, Fault>>()).await??;
    let tail = Tail {
        log: api.log.clone(),
        stream,
        places,
        left: query.read::<u64>("max", "a number of records")?.unwrap_or(u64::MAX),
        follow: query.flag("follow")?,
        decompressed_max: api.limits.batch_decompressed_bytes,
        changed: Arc::new(Notify::new()),
        stop: api.stop.clone(),
    };
    let chunks = futures::stream::unfold(tail, Tail::chunk);
    let mut response = Response::new(Body::from_stream(chunks));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    Ok(response)
}

/// Gives the ends of a stream's partitions.
pub async fn partitions(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Fault> {
    let stream = find_stream(&*api.log, &name)?;
    Query::parse(request.uri().query(), &[])?;
    let mut rows = Vec::new();
    for partition in 0..stream.config.partitions {
        let ends = api.log.ends(&stream.name, partition)?;
        rows.push(json!({
            "partition": partition,
            "start": ends.start,
            "end": ends.durable,
            "records": ends.durable - ends.start,
        }));
    }
    Ok(answer::json(StatusCode::OK, &json!({ "stream": stream.name, "partitions": rows })))
}

/// The one partition that is named, or all of a stream.
pub(super) fn chosen(stream: &Stream, partition: Option<u32>) -> Vec<u32> {
    partition.map_or_else(|| (0..stream.config.partitions).collect(), |partition| vec![partition])
}

impl Begin {
    /// Reads the query parameter `name`; `HW-API-009` when it is no such place.
    pub(super) fn parse(name: &str, text: &str) -> Result<Self, Problem> {
        Ok(match text {
            "earliest" => Self::Earliest,
            "latest" => Self::Latest,
            _ => match (text.parse::<i64>(), Micros::parse_rfc3339(text)) {
                (Ok(offset), _) if offset >= 0 => Self::Offset(offset),
                (Ok(back), _) => Self::Last(back.saturating_neg()),
                (_, Some(time)) => Self::Time(time),
                _ => {
                    return Err(refused(
                        name,
                        text,
                        "`earliest`, `latest`, an offset, `-N` for the last N, or an RFC 3339 time",
                    ));
                }
            },
        })
    }

    /// The offset that is meant in a partition. Of a time it may read the disk.
    pub(super) fn offset(&self, log: &dyn Log, stream: &Stream, partition: u32) -> Result<Offset, Fault> {
        let ends = log.ends(&stream.name, partition)?;
        Ok(match *self {
            Self::Earliest => ends.start,
            Self::Latest => ends.durable,
            Self::Last(count) => ends.durable.saturating_sub(count).max(ends.start),
            Self::Offset(offset) => offset.max(ends.start),
            Self::Time(time) => {
                log.find_time(&stream.name, partition, time)?.map_or(ends.durable, |(offset, _)| offset)
            }
        })
    }
}

impl Tail {
    /// The next lines, and what goes on behind them; None at the end, or when the node stops.
    async fn chunk(self) -> Option<(Result<Bytes, std::io::Error>, Self)> {
        let mut tail = self;
        loop {
            if tail.left == 0 {
                return None;
            }
            // Reading may wait for the disk, and writing a quarter of a megabyte as JSON takes milliseconds.
            let reading = aside(move || {
                let read = tail.read();
                (tail, read)
            });
            let read;
            // A panic ends the connection, so that the client does not take it for the end of the stream.
            (tail, read) = reading.await.ok()?;
            match read {
                Ok(Some(lines)) => return Some((Ok(lines), tail)),
                Ok(None) => {}
                // The status is sent already; breaking off tells the client that something went wrong.
                Err(fault) => return Some((Err(std::io::Error::other(fault.problem.to_string())), tail)),
            }
            if !tail.follow || *tail.stop.borrow() {
                return None;
            }
            for (partition, next) in &tail.places {
                let registered =
                    tail.log.wake_after(&tail.stream.name, *partition, *next, View::Durable, &tail.changed);
                registered.ok()?;
            }
            tokio::select! {
                () = tail.changed.notified() => {}
                _ = tail.stop.changed() => return None,
            }
        }
    }

    /// Lines of the first partition that has records; None when all are at their ends.
    fn read(&mut self) -> Result<Option<Bytes>, Fault> {
        for _ in 0..self.places.len() {
            let Some((partition, from)) = self.places.pop_front() else { break };
            let (lines, next) = self.lines(partition, from)?;
            self.places.push_back((partition, next));
            if !lines.is_empty() {
                return Ok(Some(lines.freeze()));
            }
        }
        Ok(None)
    }

    fn lines(&mut self, partition: u32, from: Offset) -> Result<(BytesMut, Offset), Fault> {
        let ends = self.log.ends(&self.stream.name, partition)?;
        let mut next = from.max(ends.start);
        let mut out = BytesMut::new();
        if next >= ends.durable {
            return Ok((out, next));
        }
        let fetched = self.log.read(&self.stream.name, partition, next, READ_BYTES, View::Durable)?;
        for batch in fetched.batches.each() {
            let (header, bytes) = batch.map_err(|error| corrupt(&self.stream, partition, next, &error))?;
            if !header.is_control() {
                self.batch(&header, &bytes, partition, next, &mut out)?;
            }
            next = next.max(header.last_offset() + 1);
            if self.left == 0 {
                break;
            }
        }
        Ok((out, next))
    }

    fn batch(
        &mut self,
        header: &Header,
        bytes: &Bytes,
        partition: u32,
        from: Offset,
        out: &mut BytesMut,
    ) -> Result<(), Fault> {
        let records = records(bytes, self.decompressed_max)
            .map_err(|error| corrupt(&self.stream, partition, header.base_offset, &error))?;
        for record in records {
            let record = record.map_err(|error| corrupt(&self.stream, partition, header.base_offset, &error))?;
            if record.offset < from || self.left == 0 {
                continue;
            }
            self.left -= 1;
            line(out, partition, &record);
        }
        Ok(())
    }
}

fn corrupt(stream: &Stream, partition: u32, offset: Offset, error: &dyn std::fmt::Display) -> Fault {
    Fault::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        Problem::new("HW-API-017", format!("cannot read `{}` partition {partition} at offset {offset}", stream.name))
            .because(error),
    )
}

/// One record as a JSON object on a line. JSON values are shown as they are, other text as a string, bytes as base64.
fn line(out: &mut BytesMut, partition: u32, record: &Record) {
    let mut writer = out.writer();
    let time = Micros::from_millis(record.timestamp);
    let _ = write!(writer, "{{\"partition\":{partition},\"offset\":{},\"time\":\"{time}\"", record.offset);
    if let Some(key) = &record.key {
        member(out, "key", key, false);
    }
    if !record.headers.is_empty() {
        out.put_slice(b",\"headers\":{");
        for (index, (name, value)) in record.headers.iter().enumerate() {
            if index > 0 {
                out.put_u8(b',');
            }
            text(out, &String::from_utf8_lossy(name));
            out.put_u8(b':');
            text(out, &String::from_utf8_lossy(value.as_deref().unwrap_or_default()));
        }
        out.put_u8(b'}');
    }
    match &record.value {
        Some(value) => member(out, "value", value, true),
        None => out.put_slice(b",\"value\":null"),
    }
    out.put_slice(b"}\n");
}

fn member(out: &mut BytesMut, name: &str, bytes: &Bytes, json: bool) {
    out.put_slice(b",\"");
    out.put_slice(name.as_bytes());
    if json && let Ok(raw) = serde_json::from_slice::<&RawValue>(bytes) {
        out.put_slice(b"\":");
        // A value may be spread over lines; an NDJSON line may not.
        out.extend(raw.get().bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')));
        return;
    }
    match std::str::from_utf8(bytes) {
        Ok(valid) => {
            out.put_slice(b"\":");
            text(out, valid);
        }
        Err(_) => {
            out.put_slice(b"Base64\":\"");
            out.put_slice(base64::encode(bytes).as_bytes());
            out.put_u8(b'"');
        }
    }
}

fn text(out: &mut BytesMut, text: &str) {
    // Writing to memory cannot fail.
    let _ = serde_json::to_writer(out.writer(), text);
}
