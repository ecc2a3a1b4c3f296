//! A JSON file: the elements of an array, or the fields of an object as `{Key, Value}`, one by one.
//!
//! The text around the items is walked byte by byte, by brackets and quotes; only an item itself is parsed, and only
//! an item is held.

use std::io::BufRead;

use serde_json::{Value, json};

use super::{Config, failed, parse};
use crate::execution::Failure;

/// What stands behind the last item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Container {
    Array,
    Object,
}

/// The items of a file.
pub(super) struct Elements<R> {
    bytes: Bytes<R>,
    container: Container,
    first: bool,
    item_bytes_max: usize,
    depth_max: usize,
}

impl<R: BufRead> Elements<R> {
    /// Goes to where the items begin.
    ///
    /// # Errors
    /// The pointer leads nowhere, or to what holds no items.
    pub fn open(source: R, config: &Config) -> Result<Self, Failure> {
        let mut bytes = Bytes { source, at: 0, bytes_max: config.item_bytes_max };
        if bytes.peek()? == Some(0xef) {
            for expected in [0xef, 0xbb, 0xbf] {
                bytes.expect(expected)?;
            }
        }
        for step in &config.pointer {
            bytes.descend(step)?;
        }
        bytes.blank()?;
        let container = match bytes.next()? {
            Some(b'[') => Container::Array,
            Some(b'{') => Container::Object,
            _ => return Err(failed("the items are neither an array nor an object")),
        };
        let (item_bytes_max, depth_max) = (config.item_bytes_max, config.depth_max);
        Ok(Self { bytes, container, first: true, item_bytes_max, depth_max })
    }

    fn read(&mut self) -> Result<Option<Value>, Failure> {
        let close = if self.container == Container::Array { b']' } else { b'}' };
        self.bytes.blank()?;
        if self.bytes.peek()? == Some(close) {
            return Ok(None);
        }
        if !std::mem::replace(&mut self.first, false) {
            self.bytes.expect(b',')?;
            self.bytes.blank()?;
        }
        let key = match self.container {
            Container::Array => None,
            Container::Object => Some(self.bytes.key()?),
        };
        let mut text = Vec::new();
        self.bytes.value(Some(&mut text), self.item_bytes_max)?;
        let value = parse(&text, self.depth_max)?;
        Ok(Some(match key {
            None => value,
            Some(key) => json!({ "Key": key, "Value": value }),
        }))
    }
}

impl<R: BufRead> Iterator for Elements<R> {
    type Item = Result<Value, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// The bytes of a JSON text.
struct Bytes<R> {
    source: R,
    at: u64,
    bytes_max: usize,
}

impl<R: BufRead> Bytes<R> {
    fn peek(&mut self) -> Result<Option<u8>, Failure> {
        let ahead = self.source.fill_buf().map_err(|error| failed(format!("the disk says: {error}")))?;
        Ok(ahead.first().copied())
    }

    fn next(&mut self) -> Result<Option<u8>, Failure> {
        let byte = self.peek()?;
        if byte.is_some() {
            self.source.consume(1);
            self.at += 1;
        }
        Ok(byte)
    }

    fn blank(&mut self) -> Result<(), Failure> {
        while matches!(self.peek()?, Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.next()?;
        }
        Ok(())
    }

    fn expect(&mut self, expected: u8) -> Result<(), Failure> {
        match self.next()? {
            Some(byte) if byte == expected => Ok(()),
            _ => Err(self.malformed(&format!("`{}` is missing", expected as char))),
        }
    }

    fn malformed(&self, fact: &str) -> Failure {
        failed(format!("the file is no JSON at byte {}: {fact}", self.at))
    }

    /// Goes to the value at a field of the object, or an element of the array, that begins here.
    fn descend(&mut self, step: &str) -> Result<(), Failure> {
        self.blank()?;
        let missing = || failed(format!("`ItemsPointer` leads nowhere at `{step}`"));
        match self.next()? {
            Some(b'{') => {
                self.blank()?;
                if self.peek()? == Some(b'}') {
                    return Err(missing());
                }
                loop {
                    if self.key()? == step {
                        return Ok(());
                    }
                    self.value(None, usize::MAX)?;
                    self.blank()?;
                    if self.next()? != Some(b',') {
                        return Err(missing());
                    }
                    self.blank()?;
                }
            }
            Some(b'[') => {
                let index: usize = step.parse().map_err(|_| missing())?;
                self.blank()?;
                if self.peek()? == Some(b']') {
                    return Err(missing());
                }
                for _ in 0..index {
                    self.value(None, usize::MAX)?;
                    self.blank()?;
                    if self.next()? != Some(b',') {
                        return Err(missing());
                    }
                    self.blank()?;
                }
                Ok(())
            }
            _ => Err(missing()),
        }
    }

    /// Reads a field's name and the colon behind it.
    fn key(&mut self) -> Result<String, Failure> {
        if self.peek()? != Some(b'"') {
            return Err(self.malformed("a field's name is missing"));
        }
        let mut text = Vec::new();
        self.value(Some(&mut text), self.bytes_max)?;
        let key = serde_json::from_slice(&text).map_err(|_| self.malformed("a field's name is no text"))?;
        self.blank()?;
        self.expect(b':')?;
        self.blank()?;
        Ok(key)
    }

    /// Walks over a value, and keeps its text if asked to.
    fn value(&mut self, mut keep: Option<&mut Vec<u8>>, bytes_max: usize) -> Result<(), Failure> {
        let (mut depth, mut quoted, mut escaped, mut length) = (0_u64, false, false, 0_usize);
        while let Some(byte) = self.peek()? {
            let ends =
                depth == 0 && !quoted && matches!(byte, b',' | b']' | b'}' | b':' | b' ' | b'\t' | b'\r' | b'\n');
            if ends {
                break;
            }
            self.next()?;
            length += 1;
            if length > bytes_max {
                return Err(failed(format!("an item of more than {bytes_max} bytes")));
            }
            if let Some(text) = keep.as_deref_mut() {
                text.push(byte);
            }
            match (quoted, byte) {
                (true, _) if escaped => escaped = false,
                (true, b'\\') => escaped = true,
                (true, b'"') => {
                    quoted = false;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                (true, _) => {}
                (false, b'"') => quoted = true,
                (false, b'[' | b'{') => depth += 1,
                (false, b']' | b'}') => {
                    depth -= 1;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                (false, _) => {}
            }
        }
        if depth > 0 || quoted || length == 0 {
            return Err(self.malformed("it ends inside a value"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
