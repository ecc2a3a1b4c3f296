//! IP addresses in events and patterns, and the blocks that `cidr` names.
//!
//! What it is NOT: a resolver. Only literal addresses count, in the forms RFC 4291 and dotted decimal without leading
//! zeros allow; an IPv4 address written as `::ffff:0102:0304` is an IPv4 address.

use std::net::{Ipv4Addr, Ipv6Addr};

/// An address as its family and number; addresses of one family are ordered as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Address {
    pub v6: bool,
    pub number: u128,
}

/// Reads a literal address.
pub(crate) fn parse(text: &[u8]) -> Option<Address> {
    // The longest form has 39 characters; each form has a dot or a colon among the first five.
    if text.len() > 39 || !text.iter().take(5).any(|byte| matches!(byte, b'.' | b':')) {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    if text.contains(':') {
        let all_hex = text.bytes().all(|byte| byte == b':' || byte.is_ascii_hexdigit());
        let address = text.parse::<Ipv6Addr>().ok().filter(|_| all_hex)?;
        return Some(match address.to_ipv4_mapped() {
            Some(inner) => Address { v6: false, number: u128::from(u32::from(inner)) },
            None => Address { v6: true, number: u128::from(address) },
        });
    }
    let address = text.parse::<Ipv4Addr>().ok()?;
    Some(Address { v6: false, number: u128::from(u32::from(address)) })
}

/// The first and the last address of a block; the first is the one that was written, masked or not.
///
/// # Errors
/// Says what is wrong, in the service's words.
pub(crate) fn block(text: &str) -> Result<(Address, Address), String> {
    let Some((base, bits)) = text.split_once('/').filter(|(_, bits)| !bits.contains('/')) else {
        return Err("Malformed CIDR, one '/' required".to_owned());
    };
    let bits: i32 = bits.parse().map_err(|_| "Malformed CIDR, mask bits must be an integer".to_owned())?;
    if bits < 0 {
        return Err("Malformed CIDR, mask bits must not be negative".to_owned());
    }
    let Some(first) = parse(base.as_bytes()) else {
        return Err(format!("Nonstandard IP address: {base}"));
    };
    let (width, family) = if first.v6 { (128, "IPv6") } else { (32, "IPv4") };
    if bits >= width {
        return Err(format!("{family} mask bits must be < {width}"));
    }
    let free = u128::MAX.checked_shr(128 - u32::try_from(width - bits).unwrap_or(0)).unwrap_or(0);
    Ok((first, Address { number: first.number | free, ..first }))
}

#[cfg(test)]
mod tests;
