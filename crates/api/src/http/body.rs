//! Reads a request's body: whole, within a size, within a time, within what all bodies may hold together.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use headwater_base::{Limits, Problem};
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::header::{ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use std::sync::Arc;

use crate::http::fault::{Fault, busy};

/// Bytes that one permit of the bodies' semaphore stands for.
const PERMIT_BYTES: usize = 4096;

/// Room for the bodies of all requests together.
#[derive(Clone, Debug)]
pub struct Bodies(Arc<Semaphore>);

/// A whole body; its room is given back when it is dropped.
#[derive(Debug)]
pub struct Whole {
    /// The bytes.
    pub bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

impl Bodies {
    /// Room for `limits.http_bodies_bytes`.
    pub fn new(limits: &Limits) -> Self {
        Self(Arc::new(Semaphore::new(limits.http_bodies_bytes / PERMIT_BYTES)))
    }

    /// Reads `body` to its end.
    ///
    /// # Errors
    /// `HW-API-006` over `bytes_max`, `HW-API-007` when it is packed, `HW-API-010` when it comes too slowly,
    /// `HW-API-016` when other requests hold all the room, `HW-API-008` when the client breaks off.
    pub async fn read(
        &self,
        headers: &HeaderMap,
        mut body: Body,
        bytes_max: usize,
        limits: &Limits,
    ) -> Result<Whole, Fault> {
        if let Some(coding) = coding(headers) {
            return Err(packed(&coding));
        }
        let declared = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
        if declared.is_some_and(|bytes| bytes > bytes_max) {
            return Err(too_large(declared, bytes_max));
        }
        let pause = Duration::from_millis(limits.http_body_ms);
        let started = Instant::now();
        let mut bytes = BytesMut::with_capacity(declared.unwrap_or(0).min(64 * 1024));
        let mut room: Option<OwnedSemaphorePermit> = None;
        let mut permits = 0;
        loop {
            let share = Duration::from_secs(bytes.len() as u64 / limits.http_body_bytes_per_s.max(1));
            let until = (Instant::now() + pause).min(started + pause + share);
            let frame = match tokio::time::timeout_at(until, body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => {
                    return Err(Problem::new("HW-API-008", "the body broke off").because(error).into());
                }
                Ok(None) => break,
                Err(_) => return Err(too_slow(bytes.len(), limits)),
            };
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > bytes_max {
                return Err(too_large(None, bytes_max));
            }
            bytes.extend_from_slice(&data);
            let wanted = bytes.len().div_ceil(PERMIT_BYTES);
            if wanted > permits {
                let more = u32::try_from(wanted - permits).unwrap_or(u32::MAX);
                let Ok(permit) = self.0.clone().try_acquire_many_owned(more) else {
                    return Err(busy(format!(
                        "the bodies of all requests together hold {} bytes, which is the limit",
                        limits.http_bodies_bytes
                    )));
                };
                match &mut room {
                    Some(room) => room.merge(permit),
                    None => room = Some(permit),
                }
                permits = wanted;
            }
        }
        Ok(Whole { bytes: bytes.freeze(), _room: room })
    }
}

/// The content coding that a body is said to be packed with (RFC 9110, section 8.4); None where its bytes are as they are.
fn coding(headers: &HeaderMap) -> Option<String> {
    let all = headers.get_all(CONTENT_ENCODING).iter();
    let mut codings = all.map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_ascii_lowercase());
    codings.find(|coding| !matches!(coding.as_str(), "" | "identity"))
}

/// Without this an event's packed bytes would be kept as its payload, and what they are packed with would be lost.
fn packed(coding: &str) -> Fault {
    let shown: String = coding.chars().take(40).collect();
    let fact = format!("the body is packed with `{}`", shown.escape_debug());
    Fault::from(Problem::new("HW-API-007", fact).help("send it as it is, without `content-encoding`"))
        .header(ACCEPT_ENCODING, HeaderValue::from_static("identity"))
        .header(CONNECTION, HeaderValue::from_static("close"))
}

fn too_large(bytes: Option<usize>, limit: usize) -> Fault {
    let fact = match bytes {
        Some(bytes) => format!("the body has {bytes} bytes; the limit is {limit}"),
        None => format!("the body has more than {limit} bytes, which is the limit"),
    };
    // The rest of the body will not be read, so the connection cannot be used again.
    Fault::from(Problem::new("HW-API-006", fact).help("send it in several requests"))
        .header(CONNECTION, HeaderValue::from_static("close"))
}

fn too_slow(bytes: usize, limits: &Limits) -> Fault {
    Fault::from(Problem::new("HW-API-010", format!("the body stopped coming after {bytes} bytes")).help(format!(
        "send at least {} bytes/s without pauses over {} ms",
        limits.http_body_bytes_per_s, limits.http_body_ms
    )))
    .header(CONNECTION, HeaderValue::from_static("close"))
}

/// The charset that a body is said to be in, in lower case.
pub fn charset(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    text.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches('"').to_ascii_lowercase();
        name.trim().eq_ignore_ascii_case("charset").then_some(value)
    })
}

/// The media type of a body without its parameters, in lower case; empty when there is none.
pub fn media_type(headers: &HeaderMap) -> String {
    let text = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}
