//! Events as prepared text with slots: rendering is copying, so that the generator stays out of the measurement's way.

use std::net::Ipv4Addr;

use headwater_base::Micros;

use super::actors::{Agent, Event, Kind};
use super::random::Random;
use super::templates::{BROWSERS, QUERIES, SCRIPTS, STREETS, TEXTS};
use super::world::{COLOURS, THINGS, World, choice};

/// What is filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    Id,
    Time,
    Kind,
    Address,
    Agent,
    User,
    Visitor,
    Device,
    Listing,
    Ok,
    Email,
    Price,
    Query,
    Title,
    Street,
    Small,
    Hex,
}

impl Slot {
    fn named(name: &str) -> Self {
        match name {
            "id" => Self::Id,
            "time" => Self::Time,
            "kind" => Self::Kind,
            "ip" => Self::Address,
            "agent" => Self::Agent,
            "user" => Self::User,
            "visitor" => Self::Visitor,
            "device" => Self::Device,
            "listing" => Self::Listing,
            "ok" => Self::Ok,
            "email" => Self::Email,
            "price" => Self::Price,
            "query" => Self::Query,
            "title" => Self::Title,
            "street" => Self::Street,
            "hex" => Self::Hex,
            _ => Self::Small,
        }
    }
}

enum Part {
    Text(&'static str),
    Slot(Slot),
}

/// All templates, taken apart.
pub(super) struct Templates(Vec<(Kind, Vec<Part>)>);

impl Templates {
    pub(super) fn new() -> Self {
        Self(TEXTS.iter().map(|(kind, text)| (*kind, parts(text))).collect())
    }

    /// Renders an event; `id` is its number.
    pub(super) fn render(&self, world: &World, random: &mut Random, event: &Event, id: u64, out: &mut Vec<u8>) {
        let Some((_, parts)) = self.0.iter().find(|(kind, _)| *kind == event.kind) else { return };
        for part in parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Slot(slot) => fill(*slot, world, random, event, id, out),
            }
        }
    }
}

fn parts(text: &'static str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        parts.push(Part::Text(before));
        let Some((name, behind)) = after.split_once('>') else { break };
        parts.push(Part::Slot(Slot::named(name)));
        rest = behind;
    }
    parts.push(Part::Text(rest));
    parts
}

fn fill(slot: Slot, world: &World, random: &mut Random, event: &Event, id: u64, out: &mut Vec<u8>) {
    match slot {
        Slot::Id => hex(id, 16, out),
        Slot::Time => time(event.time_ms, out),
        Slot::Kind => out.extend_from_slice(event.kind.word().as_bytes()),
        Slot::Address => out.extend_from_slice(Ipv4Addr::from(event.address).to_string().as_bytes()),
        Slot::Agent => out.extend_from_slice(agent(event.agent).as_bytes()),
        Slot::User => {
            if let Some(user) = event.user {
                out.extend_from_slice(b"\"user_id\":\"u");
                digits(u64::from(user), 7, out);
                out.extend_from_slice(b"\",");
            }
        }
        Slot::Visitor => {
            out.push(b'v');
            digits(u64::from(event.visitor), 7, out);
        }
        Slot::Device => hex(u64::from(event.device), 8, out),
        Slot::Listing => {
            out.push(b'l');
            digits(u64::from(event.listing % world.listings), 6, out);
        }
        Slot::Ok => out.extend_from_slice(if event.ok { b"true" } else { b"false" }),
        Slot::Email => {
            out.extend_from_slice(b"user");
            digits(u64::from(event.account), 7, out);
            out.extend_from_slice(b"@mail.example");
        }
        Slot::Price => {
            digits(3 + random.below(400), 1, out);
            out.push(b'.');
            digits(random.below(100), 2, out);
        }
        Slot::Query => out.extend_from_slice(choice(&QUERIES, random.bits()).as_bytes()),
        Slot::Title => {
            let h = super::random::mix(u64::from(event.title));
            out.extend_from_slice(choice(&COLOURS, h).as_bytes());
            out.push(b' ');
            out.extend_from_slice(choice(&THINGS, h >> 8).as_bytes());
            out.extend_from_slice(b" no. ");
            digits(h >> 44, 1, out);
        }
        Slot::Street => {
            digits(1 + random.below(900), 1, out);
            out.push(b' ');
            out.extend_from_slice(choice(&STREETS, random.bits()).as_bytes());
        }
        Slot::Small => digits(random.below(1_000), 1, out),
        Slot::Hex => hex(random.bits(), 16, out),
    }
}

fn agent(agent: Agent) -> &'static str {
    match agent {
        Agent::Browser(number) => choice(&BROWSERS, u64::from(number)),
        Agent::Script(number) => choice(&SCRIPTS, u64::from(number)),
    }
}

/// Decimal digits, with leading zeros up to `width`.
fn digits(mut number: u64, width: usize, out: &mut Vec<u8>) {
    let mut text = [b'0'; 20];
    let mut at = text.len();
    while number > 0 || at > text.len() - width {
        at -= 1;
        if let Some(place) = text.get_mut(at) {
            *place = b'0' + (number % 10) as u8;
        }
        number /= 10;
    }
    out.extend_from_slice(text.get(at..).unwrap_or_default());
}

fn hex(number: u64, width: u32, out: &mut Vec<u8>) {
    for place in (0..width).rev() {
        let nibble = (number >> (place * 4) & 0xf) as u8;
        out.push(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 });
    }
}

/// RFC 3339 in UTC with milliseconds.
fn time(ms: i64, out: &mut Vec<u8>) {
    let (year, month, day) = headwater_base::time::civil_from_days(Micros::from_millis(ms).day());
    let of_day = ms.rem_euclid(86_400_000) as u64;
    digits(year.unsigned_abs(), 4, out);
    out.push(b'-');
    digits(month.unsigned_abs(), 2, out);
    out.push(b'-');
    digits(day.unsigned_abs(), 2, out);
    out.push(b'T');
    digits(of_day / 3_600_000, 2, out);
    out.push(b':');
    digits(of_day / 60_000 % 60, 2, out);
    out.push(b':');
    digits(of_day / 1_000 % 60, 2, out);
    out.push(b'.');
    digits(of_day % 1_000, 3, out);
    out.push(b'Z');
}
