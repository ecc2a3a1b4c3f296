//! The footer of a Parquet file, looked at before it is decoded.
//!
//! The decoder takes memory for as many elements as a list says that it has, and where that is not to be had the process
//! ends: nothing can catch it. So each length has to fit into the bytes that are there. What it is NOT: a decoder; what the
//! values mean is not looked at. Pages have heads of their own ([`super::pages`]).
//!
//! # Source
//! Apache Thrift, "Thrift Compact protocol encoding"; Apache Parquet, "File Format".

use bytes::Buf as _;
use parquet::errors::ParquetError;
use parquet::file::reader::ChunkReader;

/// The largest footer.
const BYTES_MAX: u32 = 32 * 1024 * 1024;
/// What ends a file: the length of the footer before it, and a word.
const END_BYTES: usize = 8;
/// Lists and structs within each other; a footer has six.
const DEPTH_MAX: u32 = 32;
/// Columns within each other: the decoder goes into them by calling itself, as far as there is a stack.
const GROUPS_MAX: usize = 64;

/// Looks at the footer of a file.
///
/// # Errors
/// What is wrong with it.
pub(super) fn examine(file: &impl ChunkReader) -> Result<(), ParquetError> {
    let broken = |fact: String| Err(ParquetError::General(fact));
    let end = file.len().saturating_sub(END_BYTES as u64);
    let mut tail = file.get_bytes(end, END_BYTES)?;
    let length = tail.get_u32_le();
    if &*tail != b"PAR1" {
        return broken("it does not end as a Parquet file does".to_owned());
    }
    if length > BYTES_MAX {
        return broken(format!("its footer has {length} bytes; the limit is {BYTES_MAX}"));
    }
    let Some(begin) = end.checked_sub(u64::from(length)) else {
        return broken("its footer begins before the file does".to_owned());
    };
    let footer = file.get_bytes(begin, length as usize)?;
    if Left(&footer).value(STRUCT, DEPTH_MAX).is_none() {
        return broken("its footer says lengths that it does not have".to_owned());
    }
    if schema(&mut Left(&footer)).is_none() {
        return broken(format!("its columns are no tree, or one of more than {GROUPS_MAX} levels"));
    }
    Ok(())
}

pub(super) const I32: u8 = 5;
const LIST: u8 = 9;
pub(super) const STRUCT: u8 = 12;
/// Fields of `FileMetaData` and of `SchemaElement`.
const SCHEMA: i64 = 2;
const CHILDREN: i64 = 5;

/// Goes through the columns that a footer has, each behind the group that it is in.
fn schema(left: &mut Left<'_>) -> Option<()> {
    fields(left, |left, id, kind| {
        if id != SCHEMA {
            return passed(left, kind);
        }
        let head = left.byte()?;
        if kind != LIST || head & 15 != STRUCT {
            return None;
        }
        let count = if head >> 4 == 15 { left.count()? } else { usize::from(head >> 4) };
        // Of each group that is not at its end, how many columns it still gets.
        let mut groups: Vec<u64> = Vec::new();
        for _ in 0..count {
            while groups.last() == Some(&0) {
                groups.pop();
            }
            if let Some(missing) = groups.last_mut() {
                *missing -= 1;
            }
            let mut children = None;
            fields(left, |left, id, kind| match (id, kind, children) {
                (CHILDREN, I32, None) => {
                    children = Some(left.number()?);
                    Some(())
                }
                (CHILDREN, ..) => None,
                _ => passed(left, kind),
            })?;
            // A whole number is written as twice itself, and an odd one is below zero.
            let children = children.unwrap_or_default();
            if children % 2 == 1 || groups.len() == GROUPS_MAX {
                return None;
            }
            groups.extend((children > 0).then_some(children / 2));
        }
        Some(())
    })
}

/// Goes through the fields of a struct.
fn fields(left: &mut Left<'_>, mut each: impl FnMut(&mut Left<'_>, i64, u8) -> Option<()>) -> Option<()> {
    let mut id = 0_i64;
    loop {
        let head = left.byte()?;
        if head & 15 == 0 {
            return Some(());
        }
        id = match head >> 4 {
            0 => {
                let number = left.number()?;
                let half = i64::try_from(number >> 1).ok()?;
                if number & 1 == 0 { half } else { -1 - half }
            }
            on => id.checked_add(i64::from(on))?,
        };
        each(left, id, head & 15)?;
    }
}

/// Passes over a field's value; flags have none.
pub(super) fn passed(left: &mut Left<'_>, kind: u8) -> Option<()> {
    if matches!(kind, 1 | 2) { Some(()) } else { left.value(kind, DEPTH_MAX) }
}

/// What is left to be looked at. Methods give None for what cannot be.
pub(super) struct Left<'a>(pub(super) &'a [u8]);

impl Left<'_> {
    /// Passes over a value; flags in structs are in their heads, and have none.
    fn value(&mut self, kind: u8, depth: u32) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match kind {
            1..=3 => self.pass(1),
            4..=6 => self.number().map(drop),
            7 => self.pass(8),
            8 => {
                let bytes = self.count()?;
                self.pass(bytes)
            }
            9 | 10 => {
                let head = self.byte()?;
                let count = if head >> 4 == 15 { self.count()? } else { usize::from(head >> 4) };
                (0..count).try_for_each(|_| self.value(head & 15, depth))
            }
            11 => {
                let count = self.count()?;
                let head = if count == 0 { 0 } else { self.byte()? };
                (0..count).try_for_each(|_| {
                    self.value(head >> 4, depth)?;
                    self.value(head & 15, depth)
                })
            }
            STRUCT => loop {
                let head = self.byte()?;
                match head & 15 {
                    0 => return Some(()),
                    _ if head >> 4 == 0 => self.number().map(drop)?,
                    _ => {}
                }
                match head & 15 {
                    1 | 2 => {}
                    kind => self.value(kind, depth)?,
                }
            },
            13 => self.pass(16),
            _ => None,
        }
    }

    /// How many bytes or elements come, each of a byte at least.
    fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.number()?).ok()?;
        (count <= self.0.len()).then_some(count)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn pass(&mut self, bytes: usize) -> Option<()> {
        self.0 = self.0.get(bytes..)?;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn told(footer: &[u8]) -> Option<String> {
        let length = u32::try_from(footer.len()).unwrap().to_le_bytes();
        let file = [b"PAR1", footer, &length, b"PAR1"].concat();
        examine(&Bytes::from(file)).err().map(|error| error.to_string())
    }

    /// A version, and a list of structs that is as long as its head says.
    fn list(head: &[u8], structs: usize) -> Vec<u8> {
        [&[0x15, 2, 0x19], head, &vec![0; structs], &[0]].concat()
    }

    #[test]
    fn a_list_is_no_longer_than_the_footer() {
        let lengths = Some("Parquet error: its footer says lengths that it does not have".to_owned());
        assert_eq!(told(&list(&[0x3c], 3)), None);
        assert_eq!(told(&list(&[0xfc, 20], 20)), None);
        assert_eq!(told(&list(&[0xfc, 0xff, 0xff, 0xff, 0xff, 7], 3)), lengths, "two thousand million of them");
        assert_eq!(told(&list(&[0x3c], 1)), lengths);
        assert_eq!(told(&[0x18, 3, b'a', b'b', b'c', 0]), None);
        assert_eq!(told(&[0x18, 4, b'a', b'b', b'c']), lengths);
        assert_eq!(told(&[0x1c; 200]), lengths, "structs in structs");
        assert_eq!(told(&[]), lengths);
    }

    #[test]
    fn columns_are_a_tree_that_is_not_too_high() {
        // Groups of one column each, and a column; then a group of three columns.
        let nested = |groups: usize| {
            let groups = [0x55_u8, 2, 0].repeat(groups);
            let count = u8::try_from(groups.len() / 3 + 5).unwrap();
            [&[0x29, 0xfc, count], &groups[..], &[0], &[0x55, 6, 0, 0, 0, 0], &[0]].concat()
        };
        let high = Some("Parquet error: its columns are no tree, or one of more than 64 levels".to_owned());
        assert_eq!(told(&nested(60)), None);
        assert_eq!(told(&nested(64)), high);
        assert_eq!(told(&[0x29, 0x1c, 0x55, 2, 0x05, 10, 4, 0, 0]), high, "two numbers of children");
        assert_eq!(told(&[0x29, 0x15, 2, 0]), high, "columns that are numbers");
    }
}
