//! The items of an array, in both of the protocol's formats. Arrays of more than one dimension are none here, and what
//! becomes of an item takes some hundred bytes, of which a client may send four: arrays have so many.
//!
//! # Source
//! PostgreSQL 17, `array_recv` and `array_in` in `src/backend/utils/adt/arrayfuncs.c`.

use std::borrow::Cow;
use std::iter::Peekable;
use std::str::Chars;

/// The most items.
pub const ITEMS_MAX: usize = 1 << 20;

/// An item as it was sent; none for a null.
pub type Item<'a> = Option<Cow<'a, [u8]>>;

/// What an array is that is not read.
pub enum Refused {
    /// One of so many dimensions.
    Deep(i32),
    /// One of more items than there may be.
    Long,
}

/// The items of an array in the binary format: how many dimensions it has, whether it has nulls, the type of its items; of
/// each dimension its length and its first index; the items, each with its length before it. None of bytes that are none.
pub fn received(bytes: &[u8], kind: u32) -> Option<Result<Vec<Item<'_>>, Refused>> {
    let mut rest = bytes;
    let (dimensions, _, of) = (number(&mut rest)?, number(&mut rest)?, number(&mut rest)?);
    if dimensions > 1 {
        return Some(Err(Refused::Deep(dimensions)));
    }
    if dimensions < 0 || u32::try_from(of) != Ok(kind) {
        return None;
    }
    let mut items = Vec::new();
    if dimensions == 1 {
        let (length, _) = (number(&mut rest)?, number(&mut rest)?);
        for _ in 0..u32::try_from(length).ok()? {
            let size = number(&mut rest)?;
            if items.len() == ITEMS_MAX {
                return Some(Err(Refused::Long));
            }
            if size == -1 {
                items.push(None);
                continue;
            }
            let (item, behind) = rest.split_at_checked(usize::try_from(size).ok()?)?;
            items.push(Some(Cow::Borrowed(item)));
            rest = behind;
        }
    }
    rest.is_empty().then_some(Ok(items))
}

fn number(rest: &mut &[u8]) -> Option<i32> {
    let (number, behind) = rest.split_first_chunk::<4>()?;
    *rest = behind;
    Some(i32::from_be_bytes(*number))
}

/// The items of an array as text, `{1,"a b",NULL}`. None of a text that is none.
pub fn written(text: &str) -> Option<Result<Vec<Item<'static>>, Refused>> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    let mut items = Vec::new();
    if inner.trim().is_empty() {
        return Some(Ok(items));
    }
    let mut rest = inner.chars().peekable();
    loop {
        if items.len() == ITEMS_MAX {
            return Some(Err(Refused::Long));
        }
        items.push(one(&mut rest)?.map(|item| Cow::Owned(item.into_bytes())));
        match rest.next() {
            Some(',') => {}
            Some(_) => return None,
            None => return Some(Ok(items)),
        }
    }
}

/// The next item, up to what is behind it.
fn one(rest: &mut Peekable<Chars<'_>>) -> Option<Option<String>> {
    skip_space(rest);
    let mut item = String::new();
    if rest.next_if_eq(&'"').is_some() {
        loop {
            match rest.next()? {
                '"' => break,
                '\\' => item.push(rest.next()?),
                other => item.push(other),
            }
        }
        skip_space(rest);
        return Some(Some(item));
    }
    let mut is_escaped = false;
    while let Some(next) = rest.next_if(|next| *next != ',') {
        match next {
            '\\' => {
                is_escaped = true;
                item.push(rest.next()?);
            }
            '{' | '}' | '"' => return None,
            other => item.push(other),
        }
    }
    let item = item.trim_end();
    match item {
        "" => None,
        null if !is_escaped && null.eq_ignore_ascii_case("null") => Some(None),
        item => Some(Some(item.to_owned())),
    }
}

fn skip_space(rest: &mut Peekable<Chars<'_>>) {
    while rest.next_if(char::is_ascii_whitespace).is_some() {}
}
