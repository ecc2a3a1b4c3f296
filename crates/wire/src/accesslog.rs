//! Lines of web server access logs, in Apache's and nginx's "combined" format, as JSON objects.
//!
//! ```text
//! 83.149.9.216 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 203023 "http://referer/" "Mozilla/5.0"
//! ```
//! becomes `remote_addr, ident, user, time` (RFC 3339, UTC) `, method, path, protocol, status, bytes, referer,
//! user_agent`. A `-` becomes null, and 0 for `bytes`, where Apache writes it instead of 0. The "common" format, which
//! ends after the bytes, is read too; fields added behind the user agent are not looked at.
//!
//! What it is NOT: it does not judge values; an address may be a host name and a status any number of three digits.
//!
//! # Source
//! Apache HTTP Server 2.4, `mod_log_config`, "Format Notes" (escapes); nginx, `ngx_http_log_module`.

use std::borrow::Cow;

use headwater_base::Micros;
use serde_json::{Map, Value};

/// Where and why a line is not an access log line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at byte `{at}`: {fault}")]
pub struct Fault {
    /// Bytes before the fault.
    pub at: usize,
    /// What was expected.
    pub fault: &'static str,
}

/// Reads one line, without or with its line end, and answers the text of a JSON object.
///
/// # Errors
/// A line that is cut off or of another format.
pub fn combined(line: &[u8]) -> Result<String, Fault> {
    let mut reader = Reader { line: line.trim_ascii_end(), at: 0 };
    let mut out = Map::with_capacity(12);
    let mut put = |name: &str, value: Value| out.insert(name.to_owned(), value);
    put("remote_addr", text(reader.word("the client's address")?));
    reader.space()?;
    put("ident", nullable(reader.word("the ident")?));
    reader.space()?;
    put("user", nullable(reader.word("the user")?));
    reader.space()?;
    put("time", Value::String(reader.time()?.to_string()));
    reader.space()?;
    let request = reader.quoted("the request line in quotes")?;
    let (method, path, protocol, odd) = request_line(&request);
    put("method", method);
    put("path", path);
    put("protocol", protocol);
    if let Some(odd) = odd {
        put("request", odd);
    }
    reader.space()?;
    put("status", reader.number(3, 3, "a status of three digits")?.into());
    reader.space()?;
    let bytes = if reader.take(b'-') { 0 } else { reader.number(1, 18, "the bytes sent")? };
    put("bytes", bytes.into());
    if reader.at == reader.line.len() {
        put("referer", Value::Null);
        put("user_agent", Value::Null);
    } else {
        reader.space()?;
        put("referer", nullable(&reader.quoted("the referer in quotes")?));
        reader.space()?;
        put("user_agent", nullable(&reader.quoted("the user agent in quotes")?));
        if reader.at != reader.line.len() {
            reader.space()?;
        }
    }
    Ok(Value::Object(out).to_string())
}

struct Reader<'a> {
    line: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a [u8] {
        self.line.get(self.at..).unwrap_or_default()
    }

    const fn fault<T>(&self, fault: &'static str) -> Result<T, Fault> {
        Err(Fault { at: self.at, fault })
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.line.get(self.at) == Some(&byte);
        self.at += usize::from(there);
        there
    }

    fn space(&mut self) -> Result<(), Fault> {
        match self.line.get(self.at) {
            Some(b' ') => {
                self.at += 1;
                Ok(())
            }
            Some(_) => self.fault("expected a space"),
            None => self.fault("the line is cut off"),
        }
    }

    fn word(&mut self, fault: &'static str) -> Result<&'a [u8], Fault> {
        let rest = self.rest();
        let length = memchr::memchr(b' ', rest).unwrap_or(rest.len());
        if length == 0 {
            return self.fault(fault);
        }
        self.at += length;
        Ok(rest.get(..length).unwrap_or_default())
    }

    fn number(&mut self, digits_min: usize, digits_max: usize, fault: &'static str) -> Result<u64, Fault> {
        let rest = self.rest();
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits < digits_min || digits > digits_max {
            return self.fault(fault);
        }
        self.at += digits;
        Ok(rest.iter().take(digits).fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
    }

    /// `[17/May/2015:10:05:03 +0000]`
    fn time(&mut self) -> Result<Micros, Fault> {
        const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
        let parse = |raw: &[u8]| {
            let raw = std::str::from_utf8(raw.first_chunk::<28>()?).ok()?;
            let (day, rest) = raw.strip_prefix('[')?.split_once('/')?;
            let (month, rest) = rest.split_once('/')?;
            let month = 1 + MONTHS.chunks(3).position(|name| name == month.as_bytes())?;
            let (year, rest) = rest.split_once(':')?;
            let (clock, zone) = rest.strip_suffix(']')?.split_once(' ')?;
            let (hours, minutes) = zone.split_at_checked(3)?;
            Micros::parse_rfc3339(&format!("{year}-{month:02}-{day}T{clock}{hours}:{minutes}"))
        };
        let Some(time) = parse(self.rest()) else {
            return self.fault("expected a time such as `[17/May/2015:10:05:03 +0000]`");
        };
        self.at += 28;
        Ok(time)
    }

    /// A text in quotes; a quote and a backslash within it follow a backslash.
    fn quoted(&mut self, fault: &'static str) -> Result<Cow<'a, [u8]>, Fault> {
        if !self.take(b'"') {
            return self.fault(fault);
        }
        let rest = self.rest();
        let mut end = 0;
        loop {
            end += match memchr::memchr2(b'"', b'\\', rest.get(end..).unwrap_or_default()) {
                Some(length) => length,
                None => {
                    self.at = self.line.len();
                    return self.fault("the line is cut off inside quotes");
                }
            };
            if rest.get(end) == Some(&b'"') {
                break;
            }
            end += 2;
        }
        self.at += end + 1;
        Ok(unescape(rest.get(..end).unwrap_or_default()))
    }
}

fn unescape(raw: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\\', raw).is_none() {
        return Cow::Borrowed(raw);
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter().copied().enumerate();
    while let Some((at, byte)) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next() {
            Some((_, b'n')) => out.push(b'\n'),
            Some((_, b't')) => out.push(b'\t'),
            Some((_, b'r')) => out.push(b'\r'),
            Some((_, b'x')) => match raw.get(at + 2..at + 4).and_then(hex) {
                Some(decoded) => {
                    out.push(decoded);
                    bytes.nth(1);
                }
                None => out.extend_from_slice(b"\\x"),
            },
            Some((_, other)) => out.push(other),
            None => out.push(byte),
        }
    }
    Cow::Owned(out)
}

fn hex(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Method, path, protocol; and the line itself when it is no request line, as broken clients send them.
fn request_line(line: &[u8]) -> (Value, Value, Value, Option<Value>) {
    let nothing = (Value::Null, Value::Null, Value::Null);
    let odd = |line| (nothing.0, nothing.1, nothing.2, Some(nullable(line)));
    let Some(first) = memchr::memchr(b' ', line) else { return odd(line) };
    let (method, rest) = (line.get(..first).unwrap_or_default(), line.get(first + 1..).unwrap_or_default());
    if method.is_empty() || !method.iter().all(|byte| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_')) {
        return odd(line);
    }
    match memchr::memrchr(b' ', rest) {
        Some(last) if rest.get(last + 1..).is_some_and(|protocol| protocol.starts_with(b"HTTP/")) => (
            text(method),
            text(rest.get(..last).unwrap_or_default()),
            text(rest.get(last + 1..).unwrap_or_default()),
            None,
        ),
        _ => (text(method), text(rest), Value::Null, None),
    }
}

fn text(raw: &[u8]) -> Value {
    Value::String(String::from_utf8_lossy(raw).into_owned())
}

fn nullable(raw: &[u8]) -> Value {
    if matches!(raw, b"-" | b"") { Value::Null } else { text(raw) }
}

#[cfg(test)]
mod tests;
