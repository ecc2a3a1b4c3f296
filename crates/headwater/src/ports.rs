//! A node's ports, and claims to sets of them for nodes that run beside others, as trials and tests need them.
//!
//! What it is NOT: a way for the node that people run to find ports; that one has the usual ones or says who has them.
//! It uses the standard library alone, since `xtask` compiles this file too.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io::{Error, ErrorKind, Result};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};

/// The port of HTTP without an offset.
pub const HTTP: u16 = 8080;

/// The port of Kafka without an offset; no other usual port is higher.
pub const KAFKA: u16 = 9092;

/// The port of AWS clients without an offset.
pub const AWS: u16 = 4566;

/// The port of PostgreSQL clients without an offset.
pub const POSTGRES: u16 = 5433;

/// The ports of a node without an offset.
pub const ALL: [u16; 4] = [HTTP, KAFKA, AWS, POSTGRES];

/// The lowest offset that is claimed, above the offsets that people choose by hand.
const LOWEST: u16 = 1000;

/// The port from which Linux takes the near ends of connections, unless it is set otherwise.
const EPHEMERAL: u16 = 32_768;

/// All ports of one offset, ours until this is dropped, whether or not the node that has them is running.
///
/// Two things take a port that a killed node will want again. Another claim does not: the UDP ports of the same numbers
/// stand for the TCP ports and are held here. A client's connection does not either, since offsets are chosen so that
/// all ports are below those that the system gives to connections.
#[derive(Debug)]
pub struct Claim {
    offset: u16,
    _held: Vec<UdpSocket>,
}

impl Claim {
    /// Claims the ports of an offset at which all of them are free.
    ///
    /// # Errors
    /// `AddrNotAvailable` when a thousand offsets, drawn at random, are all in use.
    pub fn new() -> Result<Self> {
        let highest = u64::from(ephemeral().saturating_sub(KAFKA).max(LOWEST + 1));
        let random = RandomState::new();
        (0..1000_u32)
            .map(|draw| random.hash_one(draw) % (highest - u64::from(LOWEST)) + u64::from(LOWEST))
            .filter_map(|offset| u16::try_from(offset).ok())
            .find_map(|offset| Some(Self { offset, _held: held(offset).ok()? }))
            .ok_or_else(|| Error::new(ErrorKind::AddrNotAvailable, "no offset at which all ports of a node are free"))
    }

    /// What is added to each usual port.
    pub fn offset(&self) -> u16 {
        self.offset
    }
}

/// The UDP ports of an offset, when they and the TCP ports are free.
fn held(offset: u16) -> Result<Vec<UdpSocket>> {
    ALL.into_iter()
        .map(|port| {
            let address = (Ipv4Addr::LOCALHOST, port + offset);
            let claim = UdpSocket::bind(address)?;
            TcpListener::bind(address)?;
            Ok(claim)
        })
        .collect()
}

/// The first port that the system may give to a connection's near end.
fn ephemeral() -> u16 {
    std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_whitespace().next()?.parse().ok())
        .unwrap_or(EPHEMERAL)
}

#[cfg(test)]
#[path = "ports/tests.rs"]
mod tests;
