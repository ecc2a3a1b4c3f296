//! Variable-length integers as Protocol Buffers and Kafka write them: 7 bits a byte, low ones first, signed by zigzag.

use bytes::{BufMut, BytesMut};

/// Reads a signed 32-bit integer at `at` and moves `at` behind it; None when the bytes end or the number is too long.
pub(super) fn read_i32(bytes: &[u8], at: &mut usize) -> Option<i32> {
    let raw = u32::try_from(read(bytes, at, 5)?).ok()?;
    Some((raw >> 1).cast_signed() ^ -((raw & 1).cast_signed()))
}

/// Reads a signed 64-bit integer at `at` and moves `at` behind it.
pub(super) fn read_i64(bytes: &[u8], at: &mut usize) -> Option<i64> {
    let raw = read(bytes, at, 10)?;
    Some((raw >> 1).cast_signed() ^ -((raw & 1).cast_signed()))
}

#[inline]
fn read(bytes: &[u8], at: &mut usize, bytes_max: usize) -> Option<u64> {
    let first = *bytes.get(*at)?;
    if first < 0x80 {
        *at += 1;
        return Some(u64::from(first));
    }
    let mut value = u64::from(first & 0x7f);
    for index in 1..bytes_max {
        let byte = *bytes.get(*at + index)?;
        let shift = 7 * index;
        if shift == 63 && byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            *at += index + 1;
            return Some(value);
        }
    }
    None
}

/// Writes a signed integer.
pub(super) fn write(out: &mut BytesMut, value: i64) {
    let mut raw = zigzag(value);
    while raw >= 0x80 {
        out.put_u8((raw & 0x7f) as u8 | 0x80);
        raw >>= 7;
    }
    out.put_u8(raw as u8);
}

/// The bytes that [`write`] will need.
pub(super) const fn size(value: i64) -> usize {
    let bits = 64 - (zigzag(value) | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}
