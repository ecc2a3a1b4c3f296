//! Who makes the events: people with their habits and mishaps, and five kinds of attackers.
//!
//! People do what makes naive detection wrong: they forget passwords, travel, buy telephones, share an office's
//! or a carrier's address, and sell a wardrobe in an afternoon. Attackers do what article 02 names: guess passwords, take
//! accounts over, sign up by script, scrape at an impossible pace, and flood the marketplace with listings. Many of them
//! hide among people, behind an address that is not only theirs, or behind ever new devices.

use super::random::Random;
use super::truth::Attacker;
use super::world::{ABROAD, HOMES, HOSTS, World, address, hash};

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    View,
    Search,
    Click,
    AddToCart,
    Order,
    Message,
    SignUp,
    SignIn,
    ListingCreate,
}

impl Kind {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Search => "search",
            Self::Click => "click",
            Self::AddToCart => "add_to_cart",
            Self::Order => "order",
            Self::Message => "message",
            Self::SignUp => "sign_up",
            Self::SignIn => "sign_in",
            Self::ListingCreate => "listing_create",
        }
    }
}

/// What is rendered.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) kind: Kind,
    pub(super) time_ms: i64,
    /// Time since the same visitor's event before.
    pub(super) quiet_ms: i64,
    pub(super) visitor: u32,
    pub(super) user: Option<u32>,
    pub(super) device: u32,
    pub(super) address: u32,
    pub(super) agent: Agent,
    pub(super) listing: u32,
    pub(super) ok: bool,
    /// The account a sign-in is for, as the number of an e-mail address.
    pub(super) account: u32,
    /// Makes the title of a new listing: the same number, the same title.
    pub(super) title: u32,
}

/// The user agent that is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Agent {
    Browser(u8),
    Script(u8),
}

/// What an actor does now, and what follows.
pub(super) struct Act {
    pub(super) event: Event,
    /// When it acts again; None = it is gone.
    pub(super) next_ms: Option<i64>,
    /// The same again with another (time, arrival).
    pub(super) twin: Option<(i64, i64)>,
}

/// Somebody.
#[derive(Clone, Debug)]
pub(super) struct Actor {
    script: Script,
    user: u32,
    visitor: u32,
    device: u32,
    /// How many devices it says that it is, in turn.
    devices: u32,
    address: u32,
    agent: Agent,
    signed_in: bool,
    number: Option<u32>,
    left: u32,
    step: u32,
    /// Still at the door: a person with an account begins by signing in.
    at_door: bool,
    last_ms: i64,
    visits: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Script {
    Visit,
    /// A visit in which the password has slipped the user's mind: so many failures still to come.
    Forgot(u8),
    Sell,
    Stuffing,
    Takeover,
    Farm,
    Scraper,
    Spam,
}

/// Devices that one attacker claims, at most.
const DEVICES_MAX: u32 = 50;
const MINUTE: i64 = 60_000;
const GAP: i64 = 30 * MINUTE;

impl Actor {
    pub(super) fn person(world: &World, random: &mut Random, user: u32) -> Self {
        let script = match random.below(100) {
            0..=1 => Script::Sell,
            2..=4 => Script::Forgot(random.range(1, 3) as u8),
            _ => Script::Visit,
        };
        let mut actor = Self {
            script,
            user,
            visitor: user,
            device: world.device(user),
            devices: 1,
            address: world.home(user),
            agent: Agent::Browser(world.agent(user)),
            signed_in: script != Script::Visit || random.percent(60),
            number: None,
            left: if script == Script::Sell {
                random.range(4, 14) as u32
            } else {
                1 + random.around(9).clamp(0, 80) as u32
            },
            step: 0,
            at_door: true,
            last_ms: 0,
            visits: if random.percent(35) { random.range(1, 3) as u8 } else { 0 },
        };
        match random.below(400) {
            // On a journey: far from home, own telephone.
            0..4 => actor.address = world.abroad(random),
            // A new telephone, at home.
            4..10 => actor.device = hash(world.seed, 9, random.bits()) as u32,
            // Both at once.
            10 => {
                actor.address = world.abroad(random);
                actor.device = hash(world.seed, 9, random.bits()) as u32;
            }
            _ => {}
        }
        actor
    }

    pub(super) fn attacker(world: &World, random: &mut Random, number: u32, now: i64) -> (Self, Attacker) {
        let (script, kind) = match number % 5 {
            0 => (Script::Stuffing, "credential_stuffing"),
            1 => (Script::Takeover, "account_takeover"),
            2 => (Script::Farm, "sign_up_farm"),
            3 => (Script::Scraper, "scraper"),
            _ => (Script::Spam, "listing_spam"),
        };
        // Four in ten hide behind an address that many people share, and three in ten of those who try passwords or open
        // accounts say at each step that they are another device. One in forty does both: nothing of it can be banned.
        let (shared, rotates) = match number / 5 % 40 {
            7 => (true, true),
            n => (n % 5 < 2, n % 10 > 6),
        };
        let rotates = rotates && matches!(script, Script::Stuffing | Script::Farm);
        // Numbers above those of people's addresses: what is an attacker's own is nobody's home.
        let own = 1_000_000 + number;
        let address = match script {
            Script::Takeover if shared => world.abroad(random),
            Script::Takeover => address(ABROAD, own),
            _ if shared => world.shared(random),
            Script::Spam => address(HOMES, own),
            Script::Farm => address(HOSTS, own),
            _ if random.percent(50) => address(HOSTS, own),
            _ => address(HOMES, own),
        };
        let devices = if rotates { DEVICES_MAX } else { 1 };
        let device = hash(world.seed, 10, u64::from(number)) as u32;
        // An account of its own, or a victim's.
        let user = match script {
            Script::Takeover => loop {
                let victim = world.pick_user(random);
                if world.country(victim) != super::world::country(address) {
                    break victim;
                }
            },
            _ => world.users + number,
        };
        let left = match script {
            Script::Stuffing => random.range(40, 120),
            Script::Takeover => random.range(10, 25),
            Script::Farm => random.range(20, 60),
            Script::Scraper => random.range(200, 500),
            _ => random.range(30, 80),
        };
        let actor = Self {
            script,
            user,
            visitor: world.users + number,
            device,
            devices,
            address,
            agent: if script == Script::Farm {
                Agent::Script((number % 6) as u8)
            } else {
                Agent::Browser((number % 200) as u8)
            },
            signed_in: matches!(script, Script::Spam),
            number: Some(number),
            left: left as u32,
            step: 0,
            at_door: false,
            last_ms: now,
            visits: 0,
        };
        let attacker = Attacker {
            number,
            kind,
            address: address.into(),
            devices: (0..devices).map(|n| format!("d{:08x}", other_device(device, n))).collect(),
            users: if script == Script::Takeover { Vec::new() } else { vec![format!("u{user:07}")] },
            plan: left as u32,
        };
        (actor, attacker)
    }

    pub(super) fn attacker_number(&self) -> Option<u32> {
        self.number
    }

    pub(super) fn user(&self) -> u32 {
        self.user
    }

    /// Does the next thing at `now`.
    pub(super) fn act(&mut self, world: &World, random: &mut Random, now: i64) -> Act {
        let quiet_ms = if self.step == 0 { 0 } else { now - self.last_ms };
        self.last_ms = now;
        let mut event = Event {
            kind: Kind::View,
            time_ms: now,
            quiet_ms,
            visitor: self.visitor,
            user: self.signed_in.then_some(self.user),
            device: other_device(self.device, self.step % self.devices),
            address: self.address,
            agent: self.agent,
            listing: world.pick_listing(random),
            ok: true,
            account: self.user,
            title: random.bits() as u32,
        };
        let pause = match self.script {
            Script::Visit | Script::Forgot(_) | Script::Sell => self.person_acts(random, &mut event),
            _ => self.attacker_acts(world, random, &mut event),
        };
        self.step += 1;
        self.left = self.left.saturating_sub(1);
        if self.left > 0 {
            return Act { event, next_ms: Some(now + pause), twin: None };
        }
        if self.visits == 0 {
            return Act { event, next_ms: None, twin: None };
        }
        self.visits -= 1;
        self.script = Script::Visit;
        self.left = 1 + random.around(9).clamp(0, 80) as u32;
        self.comes_back(random, event, now)
    }

    /// The next visit: often close to the gap on either side, because that is where sessions go wrong.
    fn comes_back(&mut self, random: &mut Random, event: Event, now: i64) -> Act {
        let pause = match random.below(12) {
            0 => GAP,
            1 => GAP + 1,
            2 => GAP - 1,
            3 => {
                // Comes back after more than the gap; then an event from between arrives and joins the two visits.
                let back = now + GAP + 20_000;
                return Act { event, next_ms: Some(back), twin: Some((now + GAP - 10_000, back + 20_000)) };
            }
            4..8 => random.range(31 * MINUTE, 90 * MINUTE),
            _ => random.range(2 * 60 * MINUTE, 20 * 60 * MINUTE),
        };
        Act { event, next_ms: Some(now + pause), twin: None }
    }

    fn person_acts(&mut self, random: &mut Random, event: &mut Event) -> i64 {
        if self.at_door && self.signed_in {
            event.kind = Kind::SignIn;
            event.ok = !matches!(self.script, Script::Forgot(_));
            self.at_door = !event.ok;
            if let Script::Forgot(failures) = self.script {
                self.script = if failures > 1 { Script::Forgot(failures - 1) } else { Script::Visit };
                self.left += 1;
            }
            return 2_000 + random.around(8_000);
        }
        event.kind = match (self.script, random.below(100)) {
            (Script::Sell, _) if self.signed_in => Kind::ListingCreate,
            (_, 0..46) => Kind::View,
            (_, 46..62) => Kind::Search,
            (_, 62..86) => Kind::Click,
            (_, 86..92) => Kind::AddToCart,
            (_, 92..94) if self.signed_in => Kind::Order,
            (_, 94..97) if self.signed_in => Kind::Message,
            _ => Kind::View,
        };
        match self.script {
            Script::Sell => 90_000 + random.around(120_000).min(15 * MINUTE),
            _ => 1_500 + random.around(14_000).min(10 * MINUTE),
        }
    }

    fn attacker_acts(&mut self, world: &World, random: &mut Random, event: &mut Event) -> i64 {
        match self.script {
            Script::Stuffing => {
                event.kind = Kind::SignIn;
                event.account = random.below(u64::from(world.users)) as u32;
                event.ok = random.percent(3);
                event.user = event.ok.then_some(event.account);
                500 + random.around(1_000)
            }
            Script::Takeover => {
                let tries = 5 + self.number.unwrap_or_default() % 4;
                if self.step <= tries {
                    event.kind = Kind::SignIn;
                    event.ok = self.step == tries;
                    self.signed_in = event.ok;
                    event.user = event.ok.then_some(self.user);
                    return 2_000 + random.around(4_000);
                }
                event.kind = match random.below(3) {
                    0 => Kind::Message,
                    1 => Kind::Order,
                    _ => Kind::View,
                };
                2_000 + random.around(5_000)
            }
            Script::Farm => {
                event.kind = Kind::SignUp;
                event.account = random.bits() as u32;
                400 + random.around(900)
            }
            Script::Spam => {
                event.kind = if self.step == 0 { Kind::SignIn } else { Kind::ListingCreate };
                event.title = self.number.unwrap_or_default();
                4_000 + random.around(6_000)
            }
            _ => {
                event.kind = if random.percent(80) { Kind::View } else { Kind::Search };
                50 + random.around(50)
            }
        }
    }
}

/// The nth device that somebody claims to be; the first is the real one.
fn other_device(device: u32, n: u32) -> u32 {
    device.wrapping_add(n.wrapping_mul(0x9e37_79b9))
}
