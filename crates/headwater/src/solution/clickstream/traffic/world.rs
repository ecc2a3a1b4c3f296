//! The marketplace: how many users, listings and addresses there are, and what each of them is like.
//!
//! Nothing is stored: whatever is known about user 4711 follows from the seed and the number, so a world of a million
//! users costs no memory and is the same for the generator, the catalogue and the tables.

use super::random::{Random, mix};

/// A world and how its traffic looks.
#[derive(Clone, Debug)]
pub struct World {
    /// Everything follows from it.
    pub seed: u64,
    /// Registered users.
    pub users: u32,
    /// Listings in the catalogue.
    pub listings: u32,
    /// Addresses people come from.
    pub addresses: u32,
    /// Time of the first event, in milliseconds since 1970.
    pub start_ms: i64,
    /// Events in 1,000 seconds of event time.
    pub events_per_kilosecond: u64,
    /// Whether there are attackers.
    pub attackers: bool,
    /// How many people come for one attacker.
    pub people_per_attacker: u64,
    /// Whether events get lost on their way, come twice, late, or broken.
    pub flaws: bool,
    /// Whether every event is remembered in the truth; costs memory.
    pub keep_truth: bool,
}

impl World {
    /// The full-size marketplace of article 02: events arrive at `rate` each second of event time, from `start_ms`.
    pub fn full(seed: u64, rate: u64, start_ms: i64) -> Self {
        Self {
            seed,
            users: 1_000_000,
            listings: 200_000,
            // Two in three are somebody's home, which makes half a million.
            addresses: 750_000,
            start_ms,
            events_per_kilosecond: rate * 1_000,
            attackers: true,
            people_per_attacker: 200,
            flaws: true,
            keep_truth: false,
        }
    }

    /// A small town, with hours of traffic in few events: what a test can compare with the truth in seconds.
    pub fn test(seed: u64) -> Self {
        Self {
            users: 20_000,
            listings: 5_000,
            addresses: 10_000,
            // 2024-03-04T23:30:00Z: in the past of every clock that runs this, and half an hour before keys change.
            start_ms: 1_709_595_000_000,
            events_per_kilosecond: 15_000,
            people_per_attacker: 120,
            keep_truth: true,
            ..Self::full(seed, 1, 0)
        }
    }

    /// Picks a user: few come often, most rarely.
    pub(super) fn pick_user(&self, random: &mut Random) -> u32 {
        spread(random, self.users, 0.6)
    }

    /// Picks a listing: Zipf's law, steeper than for users.
    pub(super) fn pick_listing(&self, random: &mut Random) -> u32 {
        spread(random, self.listings, 0.9)
    }

    /// The address a user comes from. Of twenty users one sits in a large office behind one shared address, and two come
    /// through a mobile carrier that puts some two hundred behind each of its own.
    pub fn home(&self, user: u32) -> u32 {
        let h = hash(self.seed, 2, u64::from(user));
        let number = match h % 20 {
            0 => (h >> 8) % u64::from(self.offices()),
            1 | 2 => u64::from(self.offices()) + (h >> 8) % u64::from(self.carriers()),
            _ => (h >> 8) % u64::from(self.addresses),
        };
        address(HOMES, number as u32)
    }

    /// An office's or a carrier's address, behind which many people are.
    pub(super) fn shared(&self, random: &mut Random) -> u32 {
        address(HOMES, random.below(u64::from(self.offices() + self.carriers())) as u32)
    }

    /// An address that travellers come from.
    pub(super) fn abroad(&self, random: &mut Random) -> u32 {
        address(ABROAD, random.below(u64::from(self.addresses / 10)) as u32)
    }

    fn offices(&self) -> u32 {
        (self.addresses / 2_500).max(1)
    }

    fn carriers(&self) -> u32 {
        (self.addresses / 1_000).max(1)
    }

    /// The country a user signed up in.
    pub fn country(&self, user: u32) -> &'static str {
        country(self.home(user))
    }

    /// The device a user has.
    pub fn device(&self, user: u32) -> u32 {
        hash(self.seed, 3, u64::from(user)) as u32
    }

    /// Number of the user's browser.
    pub(super) fn agent(&self, user: u32) -> u8 {
        (hash(self.seed, 4, u64::from(user)) % 200) as u8
    }

    /// A user as the marketplace's own table has it, as a JSON object.
    pub fn user_document(&self, user: u32) -> String {
        let h = hash(self.seed, 5, u64::from(user));
        let since = 1_420_070_400 + h % 330_000_000;
        format!(
            r#"{{"user_id":"u{user:07}","country":"{}","device":"d{:08x}","tier":"{}","since":{since},"orders":{}}}"#,
            self.country(user),
            self.device(user),
            choice(&TIERS, h >> 40),
            (h >> 20) % 300
        )
    }

    /// A listing as the catalogue answers it, as a JSON object.
    pub fn listing_document(&self, listing: u32) -> String {
        let h = hash(self.seed, 6, u64::from(listing));
        format!(
            r#"{{"listing_id":"l{listing:06}","title":"{} {}","brand":"{}","category":"{}","price":{}.{:02},"seller":"u{:07}","condition":"{}"}}"#,
            choice(&COLOURS, h),
            choice(&THINGS, h >> 8),
            choice(&BRANDS, h >> 16),
            choice(&CATEGORIES, h >> 24),
            5 + (h >> 32) % 300,
            (h >> 42) % 100,
            (h >> 20) % u64::from(self.users),
            if h.is_multiple_of(3) { "new" } else { "used" }
        )
    }
}

/// A number's own number under a seed: the only source of facts about the world.
pub(super) fn hash(seed: u64, purpose: u64, number: u64) -> u64 {
    mix(mix(mix(seed) ^ purpose) ^ number)
}

/// A rank from 0 to `count` - 1 by Zipf's law with exponent `s` below 1 (inverse of the continuous distribution).
fn spread(random: &mut Random, count: u32, s: f64) -> u32 {
    let top = f64::from(count).powf(1.0 - s);
    let rank = (random.unit() * (top - 1.0) + 1.0).powf(1.0 / (1.0 - s)) - 1.0;
    (rank as u32).min(count.saturating_sub(1))
}

/// Networks of 65,536 addresses as (first two bytes, country). Who holds them is public; the country is what free GeoIP
/// sets say about the whole network.
pub(super) type Networks = &'static [(u16, &'static str)];

const fn net(a: u16, b: u16, country: &'static str) -> (u16, &'static str) {
    (a << 8 | b, country)
}

/// Where people live.
pub(super) const HOMES: Networks = &[
    net(73, 10, "US"),
    net(24, 5, "US"),
    net(98, 200, "US"),
    net(71, 190, "US"),
    net(99, 100, "US"),
    net(108, 20, "US"),
    net(67, 160, "US"),
    net(76, 90, "US"),
    net(50, 130, "US"),
    net(174, 50, "US"),
    net(70, 50, "CA"),
    net(142, 160, "CA"),
    net(184, 150, "CA"),
    net(101, 160, "AU"),
    net(110, 140, "AU"),
    net(49, 200, "IN"),
    net(117, 200, "IN"),
    net(106, 200, "IN"),
    net(81, 150, "GB"),
    net(86, 130, "GB"),
];

/// Where people travel, and where some attackers are.
pub(super) const ABROAD: Networks = &[
    net(2, 5, "FR"),
    net(91, 10, "DE"),
    net(95, 20, "ES"),
    net(105, 112, "NG"),
    net(197, 210, "NG"),
    net(36, 70, "ID"),
    net(14, 160, "VN"),
    net(176, 59, "RU"),
    net(187, 10, "BR"),
];

/// Data centres.
pub(super) const HOSTS: Networks = &[net(3, 80, "US"), net(52, 20, "US"), net(34, 70, "US"), net(54, 160, "US")];

/// An address of a set of networks by its number; different numbers are different addresses.
pub(super) fn address(networks: Networks, number: u32) -> u32 {
    let count = networks.len().max(1) as u32;
    let net = networks.get((number % count) as usize).map_or(0, |(net, _)| *net);
    // An odd factor modulo 2^16 is a permutation: neighbours by number are not neighbours by address.
    let host = (number / count).wrapping_mul(40_503) & 0xffff;
    u32::from(net) << 16 | host
}

/// The country of an address made by [`address`].
pub(super) fn country(address: u32) -> &'static str {
    let net = (address >> 16) as u16;
    [HOMES, ABROAD, HOSTS].iter().flat_map(|set| set.iter()).find(|(n, _)| *n == net).map_or("US", |(_, c)| c)
}

/// One of a list, by any number.
pub(super) fn choice(list: &'static [&'static str], number: u64) -> &'static str {
    list.get((number % list.len().max(1) as u64) as usize).copied().unwrap_or_default()
}

const TIERS: [&str; 4] = ["member", "member", "member", "ambassador"];
pub(super) const COLOURS: [&str; 8] = ["Red", "Navy", "Black", "Ivory", "Olive", "Coral", "Grey", "Teal"];
pub(super) const THINGS: [&str; 10] = [
    "denim jacket",
    "silk blouse",
    "ankle boots",
    "wool coat",
    "tote bag",
    "maxi dress",
    "running shoes",
    "cashmere scarf",
    "leather belt",
    "rain parka",
];
const BRANDS: [&str; 8] = ["Acme", "Northfield", "Lumen", "Harbor", "Sable", "Juniper", "Atlas", "Wren"];
const CATEGORIES: [&str; 6] = ["women", "men", "kids", "pets", "home", "beauty"];
