//! Input cut into records: by lines, or by the rules of CSV.

use std::io::{BufRead, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use headwater_base::Problem;
use headwater_kernel::port::{Source, SourceRecord};
use headwater_wire::accesslog;

/// A longer line is a fault; its rest is passed over.
pub const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What may stand before a text in UTF-8.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// How a line becomes a JSON object's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// It is one.
    Ndjson,
    /// Apache's and nginx's combined access log.
    Combined,
}

/// A source of lines.
pub struct Lines<R> {
    input: R,
    name: String,
    format: Format,
    line: u64,
    buffer: Vec<u8>,
    progress: Progress,
}

/// How far the input below all decoders has been read.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Bytes read.
    pub done: Arc<AtomicU64>,
    /// Bytes there are, where that is known.
    pub total: Option<u64>,
}

/// Counts what is read through it.
pub struct Counted<R> {
    inner: R,
    done: Arc<AtomicU64>,
}

impl<R> Counted<R> {
    /// Counts into `progress`.
    pub fn new(inner: R, progress: &Progress) -> Self {
        Self { inner, done: Arc::clone(&progress.done) }
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.done.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

impl Progress {
    /// (done, total) for a progress bar.
    pub fn read(&self) -> (u64, Option<u64>) {
        (self.done.load(Ordering::Relaxed), self.total)
    }
}

impl<R: BufRead + Send> Lines<R> {
    /// Lines of `input`, which is called `name` in errors.
    pub const fn new(input: R, name: String, format: Format, progress: Progress) -> Self {
        Self { input, name, format, line: 0, buffer: Vec::new(), progress }
    }

    /// Reads one line into the buffer. None at the end; else whether it had its line end.
    fn line(&mut self) -> Result<Option<bool>, Problem> {
        self.buffer.clear();
        let mut limited = self.input.by_ref().take(LINE_BYTES_MAX as u64 + 1);
        let read = limited.read_until(b'\n', &mut self.buffer).map_err(|error| unreadable(&self.name, &error))?;
        if read == 0 {
            return Ok(None);
        }
        self.line += 1;
        // Files of some systems begin with it, and it is no part of what they say.
        if self.line == 1 && self.buffer.starts_with(BYTE_ORDER_MARK) {
            self.buffer.drain(..BYTE_ORDER_MARK.len());
        }
        let ended = self.buffer.last() == Some(&b'\n');
        if ended {
            self.buffer.pop();
            self.buffer.pop_if(|byte| *byte == b'\r');
        } else if read > LINE_BYTES_MAX {
            self.skip_line()?;
        }
        Ok(Some(ended))
    }

    fn skip_line(&mut self) -> Result<(), Problem> {
        loop {
            let chunk = self.input.fill_buf().map_err(|error| unreadable(&self.name, &error))?;
            if chunk.is_empty() {
                return Ok(());
            }
            let end = memchr::memchr(b'\n', chunk);
            let count = end.map_or(chunk.len(), |at| at + 1);
            self.input.consume(count);
            if end.is_some() {
                return Ok(());
            }
        }
    }
}

impl<R: BufRead + Send> Source for Lines<R> {
    fn next(&mut self, count: usize) -> Result<Vec<SourceRecord>, Problem> {
        let mut records = Vec::with_capacity(count.min(4_096));
        while records.len() < count {
            let Some(ended) = self.line()? else { break };
            if self.buffer.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let position = self.line;
            if self.buffer.len() > LINE_BYTES_MAX {
                let shown = Bytes::copy_from_slice(self.buffer.get(..1_024).unwrap_or_default());
                let fault = Some(format!("line {position} has over {LINE_BYTES_MAX} bytes, which is the limit"));
                records.push(SourceRecord { value: shown, position, fault });
                continue;
            }
            let (value, fault) = match self.format {
                Format::Ndjson => (Bytes::copy_from_slice(&self.buffer), None),
                Format::Combined => match accesslog::combined(&self.buffer) {
                    Ok(text) => (Bytes::from(text), None),
                    Err(fault) => {
                        let cut = if ended { "" } else { ", and the file ends inside the line" };
                        (Bytes::copy_from_slice(&self.buffer), Some(format!("line {position}: {fault}{cut}")))
                    }
                },
            };
            records.push(SourceRecord { value, position, fault });
        }
        Ok(records)
    }

    fn progress(&self) -> (u64, Option<u64>) {
        self.progress.read()
    }
}

/// The input cannot be read any further.
pub fn unreadable(name: &str, error: &dyn std::fmt::Display) -> Problem {
    Problem::new("HW-CONNECT-030", format!("`{name}` cannot be read: {error}"))
}
