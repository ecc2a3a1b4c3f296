//! How groups and offsets are kept in the log's space: keys, and the record of a group.
//!
//! ```text
//! 'g' group                                         -> version, group metadata
//! 'o' u16 length, group, u16 length, topic, u32     -> version, offset (see `offsets`)
//! ```

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use headwater_base::Micros;

use super::group::{Group, Member, Phase};
use super::requests::{Identity, Protocol};

/// The longest name of a group.
pub const GROUP_BYTES_MAX: usize = 4096;

/// The longest text of a member: the record says with 16 bits how long each is.
pub(super) const TEXT_BYTES_MAX: usize = u16::MAX as usize;

const VERSION: u8 = 1;

pub(super) fn group_key(group: &str) -> Bytes {
    let mut key = BytesMut::with_capacity(1 + group.len());
    key.put_u8(b'g');
    key.put_slice(group.as_bytes());
    key.freeze()
}

pub(super) const fn is_group(key: &[u8]) -> bool {
    matches!(key.first(), Some(b'g'))
}

/// The group that a key of either kind belongs to.
pub(super) fn group_of(key: &[u8]) -> Option<&str> {
    let (kind, mut rest) = key.split_first()?;
    match kind {
        b'g' => std::str::from_utf8(rest).ok(),
        b'o' => {
            let length = usize::from(rest.try_get_u16().ok()?);
            std::str::from_utf8(rest.get(..length)?).ok()
        }
        _ => None,
    }
}

pub(super) fn offsets_prefix(group: &str) -> Bytes {
    let mut key = BytesMut::with_capacity(64 + group.len());
    key.put_u8(b'o');
    put_text(&mut key, group);
    key.freeze()
}

pub(super) fn offset_key(group: &str, topic: &str, partition: u32) -> Bytes {
    let mut key = BytesMut::with_capacity(9 + group.len() + topic.len());
    key.put_u8(b'o');
    put_text(&mut key, group);
    put_text(&mut key, topic);
    key.put_u32(partition);
    key.freeze()
}

/// Stream and partition of an offset's key.
pub(super) fn offset_place(mut key: &[u8]) -> Option<(String, u32)> {
    key.try_get_u8().ok()?;
    get_text(&mut key)?;
    let topic = get_text(&mut key)?;
    Some((topic, key.try_get_u32().ok()?))
}

pub(super) fn encode(group: &Group) -> Bytes {
    let mut out = BytesMut::with_capacity(256);
    out.put_u8(VERSION);
    out.put_i32(group.generation);
    out.put_i64(group.empty_since.0);
    put_text(&mut out, &group.protocol_type);
    put_text(&mut out, group.protocol.as_deref().unwrap_or_default());
    put_text(&mut out, group.leader.as_deref().unwrap_or_default());
    // A group that is caught between generations keeps its generation only: its members join again.
    let members: &[Member] = if group.phase == Phase::Stable { &group.members } else { &[] };
    out.put_u32(u32::try_from(members.len()).unwrap_or(u32::MAX));
    for member in members {
        put_text(&mut out, &member.identity.member_id);
        out.put_u8(u8::from(member.identity.instance.is_some()));
        put_text(&mut out, member.identity.instance.as_deref().unwrap_or_default());
        put_text(&mut out, &member.client_id);
        put_text(&mut out, &member.client_host);
        out.put_u64(millis(member.session));
        out.put_u64(millis(member.rebalance));
        out.put_u32(u32::try_from(member.protocols.len()).unwrap_or(u32::MAX));
        for protocol in &member.protocols {
            put_text(&mut out, &protocol.name);
            put_bytes(&mut out, &protocol.metadata);
        }
        put_bytes(&mut out, &member.assignment);
    }
    out.freeze()
}

/// Reads a group; its members' sessions begin at `now`.
pub(super) fn decode(mut value: &[u8], now: Duration) -> Option<Group> {
    let from = &mut value;
    if from.try_get_u8().ok()? != VERSION {
        return None;
    }
    let mut group = Group::new(Micros(0));
    group.generation = from.try_get_i32().ok()?;
    group.empty_since = Micros(from.try_get_i64().ok()?);
    group.protocol_type = get_text(from)?;
    group.protocol = Some(get_text(from)?).filter(|text| !text.is_empty());
    group.leader = Some(get_text(from)?).filter(|text| !text.is_empty());
    for _ in 0..from.try_get_u32().ok()? {
        let member_id = get_text(from)?;
        let is_static = from.try_get_u8().ok()? == 1;
        let instance = Some(get_text(from)?).filter(|_| is_static);
        let (client_id, client_host) = (get_text(from)?, get_text(from)?);
        let session = Duration::from_millis(from.try_get_u64().ok()?);
        let rebalance = Duration::from_millis(from.try_get_u64().ok()?);
        let mut protocols = Vec::new();
        for _ in 0..from.try_get_u32().ok()? {
            protocols.push(Protocol { name: get_text(from)?, metadata: get_bytes(from)? });
        }
        group.members.push(Member {
            identity: Identity { member_id, instance },
            client_id,
            client_host,
            session,
            rebalance,
            protocols,
            assignment: get_bytes(from)?,
            deadline: now + session,
            join: None,
            sync: None,
        });
    }
    if !from.is_empty() {
        return None;
    }
    if group.members.is_empty() {
        (group.protocol, group.leader) = (None, None);
    } else {
        group.phase = Phase::Stable;
    }
    Some(group)
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// No text here is longer than [`TEXT_BYTES_MAX`]: a member with a longer one is refused before.
fn put_text(out: &mut BytesMut, text: &str) {
    let bytes = text.as_bytes().get(..TEXT_BYTES_MAX).unwrap_or(text.as_bytes());
    out.put_u16(u16::try_from(bytes.len()).unwrap_or(u16::MAX));
    out.put_slice(bytes);
}

fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    out.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    out.put_slice(bytes);
}

fn get_text(from: &mut &[u8]) -> Option<String> {
    let length = usize::from(from.try_get_u16().ok()?);
    let text = std::str::from_utf8(from.get(..length)?).ok()?.to_owned();
    from.advance(length);
    Some(text)
}

fn get_bytes(from: &mut &[u8]) -> Option<Bytes> {
    let length = from.try_get_u32().ok()? as usize;
    let bytes = Bytes::copy_from_slice(from.get(..length)?);
    from.advance(length);
    Some(bytes)
}
