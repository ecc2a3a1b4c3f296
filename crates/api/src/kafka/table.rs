//! The one list of APIs served: key, versions, shape, handler. ApiVersions answers from it.

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use futures::future::BoxFuture;
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion};

use super::answer::Answer;
use super::connection::Client;
use super::error::Broken;
use super::shape::{self, BLOB, Field, I8, I16, I32, I64, TEXT, UUID, list, plain};
use super::{
    KafkaService, cluster, commits, configs, fetch, groups, metadata, offsets, partitions, produce, producers, topics,
    versions,
};

/// One API.
pub(super) struct Api {
    pub(super) key: i16,
    /// The first version that clients are told of.
    pub(super) advertised: i16,
    /// The first version served.
    min: i16,
    /// The last version.
    pub(super) max: i16,
    /// The first version with tagged fields (KIP-482).
    flexible: i16,
    /// None where the handler checks for itself.
    shape: Option<&'static [Field]>,
    run: Run,
}

/// How a request is handled.
enum Run {
    /// Alone on its connection.
    Alone(fn(Call) -> BoxFuture<'static, Result<Answer, Broken>>),
    /// Begun in order; only its answer waits.
    Pipelined(fn(Call) -> Result<Start, Broken>),
}

/// How a request begins.
pub(super) enum Start {
    /// It has.
    Begun(Begun),
    /// Something is done apart first, and no other request begins meanwhile.
    Soon(BoxFuture<'static, Result<Begun, Broken>>),
}

/// A request under way.
pub(super) struct Begun {
    /// No other request may begin before it is answered.
    pub(super) alone: bool,
    pub(super) answer: BoxFuture<'static, Result<Answer, Broken>>,
}

/// A request.
pub(super) struct Call {
    pub(super) client: Arc<Client>,
    pub(super) key: i16,
    pub(super) version: i16,
    pub(super) correlation: i32,
    /// The client's name for itself.
    pub(super) client_id: Bytes,
    pub(super) body: BytesMut,
}

const NEVER: i16 = i16::MAX;

macro_rules! alone {
    ($handler:path) => {
        Run::Alone(|call| Box::pin($handler(call)))
    };
}

/// Every API, by key.
pub(super) static APIS: &[Api] = &[
    // Produce 0-2 is advertised and refused: without it older clients of librdkafka send uncompressed (KAFKA-18659).
    Api { key: 0, advertised: 0, min: 3, max: 12, flexible: 9, shape: None, run: Run::Pipelined(produce::begin) },
    api(1, 4, 12, 12, FETCH, alone!(fetch::answer)),
    api(2, 1, 7, 6, LIST_OFFSETS, alone!(offsets::list)),
    api(3, 0, 12, 9, METADATA, alone!(metadata::answer)),
    api(8, 2, 9, 8, OFFSET_COMMIT, alone!(commits::commit)),
    api(9, 1, 9, 6, OFFSET_FETCH, alone!(commits::fetch)),
    api(10, 0, 6, 3, FIND_COORDINATOR, alone!(cluster::find_coordinator)),
    api(11, 0, 9, 6, JOIN_GROUP, alone!(groups::join)),
    api(12, 0, 4, 4, &[TEXT, I32, TEXT, TEXT.since(3)], alone!(groups::heartbeat)),
    api(13, 0, 5, 4, &[TEXT, TEXT.until(2), list(&[TEXT, TEXT, TEXT.since(5)]).since(3)], alone!(groups::leave)),
    api(14, 0, 5, 4, SYNC_GROUP, alone!(groups::sync)),
    api(15, 0, 6, 5, &[plain(&TEXT), I8.since(3)], alone!(groups::describe)),
    api(16, 0, 5, 3, &[plain(&TEXT).since(4), plain(&TEXT).since(5)], alone!(groups::list)),
    api(18, 0, 4, 3, &[TEXT.since(3), TEXT.since(3)], alone!(versions::answer)),
    api(19, 2, 7, 5, CREATE_TOPICS, alone!(topics::create)),
    api(20, 1, 6, 4, &[plain(&TEXT).until(5), list(&[TEXT, UUID]).since(6), I32], alone!(topics::delete)),
    api(21, 0, 2, 2, &[list(&[TEXT, list(&[I32, I64])]), I32], alone!(partitions::delete_records)),
    api(22, 0, 5, 2, &[TEXT, I32, I64.since(3), I16.since(3)], alone!(producers::init)),
    api(23, 2, 4, 4, &[I32.since(3), list(&[TEXT, list(&[I32, I32, I32])])], alone!(offsets::for_leader_epoch)),
    api(32, 1, 4, 4, &[list(&[I8, TEXT, plain(&TEXT)]), I8, I8.since(3)], alone!(configs::describe)),
    api(33, 0, 2, 2, &[list(&[I8, TEXT, list(&[TEXT, TEXT])]), I8], alone!(configs::alter)),
    api(37, 0, 3, 2, &[list(&[TEXT, I32, list(&[plain(&I32)])]), I32, I8], alone!(partitions::create)),
    api(42, 0, 2, 2, &[plain(&TEXT)], alone!(groups::delete)),
    api(44, 0, 1, 1, &[list(&[I8, TEXT, list(&[TEXT, I8, TEXT])]), I8], alone!(configs::alter_some)),
    api(47, 0, 0, NEVER, &[TEXT, list(&[TEXT, list(&[I32])])], alone!(commits::delete)),
    api(60, 0, 2, 0, &[I8, I8.since(1), I8.since(2)], alone!(cluster::describe)),
];

const FETCH: &[Field] = &[
    I32,
    I32,
    I32,
    I32,
    I8,
    I32.since(7),
    I32.since(7),
    list(&[TEXT, list(&[I32, I32.since(9), I64, I32.since(12), I64.since(5), I32])]),
    list(&[TEXT, plain(&I32)]).since(7),
    TEXT.since(11),
];
const LIST_OFFSETS: &[Field] = &[I32, I8.since(2), list(&[TEXT, list(&[I32, I32.since(4), I64])])];
const METADATA: &[Field] = &[list(&[UUID.since(10), TEXT]), I8.since(4), I8.since(8).until(10), I8.since(8)];
const OFFSET_COMMIT: &[Field] =
    &[TEXT, I32, TEXT, TEXT.since(7), I64.until(4), list(&[TEXT, list(&[I32, I64, I32.since(6), TEXT])])];
const OFFSET_FETCH: &[Field] = &[
    TEXT.until(7),
    list(&[TEXT, plain(&I32)]).until(7),
    list(&[TEXT, TEXT.since(9), I32.since(9), list(&[TEXT, plain(&I32)])]).since(8),
    I8.since(7),
];
const FIND_COORDINATOR: &[Field] = &[TEXT.until(3), I8.since(1), plain(&TEXT).since(4)];
const JOIN_GROUP: &[Field] = &[TEXT, I32, I32.since(1), TEXT, TEXT.since(5), TEXT, list(&[TEXT, BLOB]), TEXT.since(8)];
const SYNC_GROUP: &[Field] = &[TEXT, I32, TEXT, TEXT.since(3), TEXT.since(5), TEXT.since(5), list(&[TEXT, BLOB])];
const CREATE_TOPICS: &[Field] = &[list(&[TEXT, I32, I16, list(&[I32, plain(&I32)]), list(&[TEXT, TEXT])]), I32, I8];

const fn api(key: i16, min: i16, max: i16, flexible: i16, shape: &'static [Field], run: Run) -> Api {
    Api { key, advertised: min, min, max, flexible, shape: Some(shape), run }
}

/// Reads a frame's header, checks its body, and begins its work.
pub(super) fn begin(mut frame: BytesMut, client: &Arc<Client>) -> Result<Start, Broken> {
    // A frame has at least these 8 bytes.
    let (key, version, correlation) = (frame.get_i16(), frame.get_i16(), frame.get_i32());
    let malformed = |fault: &str| Broken::Malformed { key, version, fault: fault.to_owned() };
    let api = APIS.iter().find(|api| api.key == key);
    let Some(api) = api.filter(|api| (api.min..=api.max).contains(&version)) else {
        if key == versions::KEY {
            let answer = versions::unknown(correlation);
            return Ok(Start::Begun(Begun { alone: true, answer: Box::pin(async { answer }) }));
        }
        return Err(Broken::Unserved { key, version });
    };
    let flexible = version >= api.flexible;
    let client_id = client_id(&mut frame).ok_or_else(|| malformed("the client id is cut off"))?;
    if flexible {
        skip_tags(&mut frame).ok_or_else(|| malformed("the header's tagged fields are cut off"))?;
    }
    if let Some(fields) = api.shape {
        let elements_max = client.service.limits.kafka_request_elements;
        shape::check(&frame, fields, version, flexible, elements_max).map_err(|fault| malformed(&fault))?;
    }
    let call = Call { client: Arc::clone(client), key, version, correlation, client_id, body: frame };
    match api.run {
        Run::Alone(run) => Ok(Start::Begun(Begun { alone: true, answer: run(call) })),
        Run::Pipelined(run) => run(call),
    }
}

impl Call {
    pub(super) fn service(&self) -> &KafkaService {
        &self.client.service
    }

    /// The request's message.
    pub(super) fn decode<M: Decodable>(&mut self) -> Result<M, Broken> {
        let mut body = std::mem::take(&mut self.body).freeze();
        M::decode(&mut body, self.version).map_err(|error| self.malformed(error.to_string()))
    }

    pub(super) const fn malformed(&self, fault: String) -> Broken {
        Broken::Malformed { key: self.key, version: self.version, fault }
    }

    /// The answer that carries `message`.
    pub(super) fn answer<M: Encodable + HeaderVersion>(&self, message: &M) -> Result<Answer, Broken> {
        Answer::of(message, self.version, self.correlation)
    }
}

fn client_id(frame: &mut BytesMut) -> Option<Bytes> {
    let length = frame.try_get_i16().ok()?;
    let length = usize::try_from(length).unwrap_or(0);
    (length <= frame.len()).then(|| Bytes::copy_from_slice(&frame.split_to(length)))
}

fn skip_tags(frame: &mut BytesMut) -> Option<()> {
    for _ in 0..unsigned(frame)? {
        unsigned(frame)?;
        let bytes = unsigned(frame)? as usize;
        if bytes > frame.len() {
            return None;
        }
        frame.advance(bytes);
    }
    Some(())
}

/// An unsigned number of variable length.
pub(super) fn unsigned(frame: &mut BytesMut) -> Option<u32> {
    let mut value = 0u64;
    for shift in [0, 7, 14, 21, 28] {
        let byte = frame.try_get_u8().ok()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return u32::try_from(value).ok();
        }
    }
    None
}
