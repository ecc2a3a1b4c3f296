//! The rules and events that are measured: a shop's, where most rules belong to one customer, order, file or campaign.
//!
//! Of twenty rules ten are exact in their own field (and exact in a field that many share), the others are of the kinds
//! in [`KINDS`]. Each kind names things by their numbers, the first rules the first numbers. Events name things of the
//! same kinds: in [`stream`] out of what 100,000 rules name, small numbers far more often than large ones (a thing's
//! frequency falls with its number, as customers' do), whatever the number of rules; in [`events`] any of what the
//! rules at hand name, so that every event finds a rule of every kind.
//!
//! What it is NOT: hard on the peers. `anything-but` stands behind an exact field, because quamina 0.7.0 panics once 256
//! rules start with different ones.

/// What a rule tests; each line is one rule of every twenty.
const KINDS: [Kind; 20] = {
    use Kind::*;
    [
        User, Order, Prefix, User, Numeric, Order, But, Suffix, User, Absent, Order, Wildcard, User, Prefix, Cidr,
        Order, Numeric, Folded, User, Either,
    ]
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    User,
    Order,
    Prefix,
    Suffix,
    Wildcard,
    Folded,
    Numeric,
    But,
    Absent,
    Cidr,
    Either,
}

const SOURCES: usize = 20;
const TYPES: usize = 50;
const RULES_MAX: usize = 100_000;

/// A rule; `ways` are the patterns it comes to for an engine without `$or`.
pub struct Rule {
    pub text: String,
    pub ways: Vec<String>,
}

pub fn rules(count: usize) -> impl Iterator<Item = Rule> {
    (0..count).map(|number| {
        let kind = KINDS[number % KINDS.len()];
        let before = KINDS[..number % KINDS.len()].iter().filter(|other| **other == kind).count();
        rule(kind, number / KINDS.len() * share(kind) + before)
    })
}

fn share(kind: Kind) -> usize {
    KINDS.iter().filter(|other| **other == kind).count()
}

fn rule(kind: Kind, id: usize) -> Rule {
    let text = match kind {
        Kind::User => {
            format!(r#"{{"source": ["shop.source-{}"], "detail": {{"user": {{"id": ["u-{id:06}"]}}}}}}"#, id % SOURCES)
        }
        Kind::Order => format!(
            r#"{{"detail-type": ["Type {}", "Type {}"], "detail": {{"order": {{"id": ["o-{id:06}", "o-x{id}"]}}}}}}"#,
            id % TYPES,
            (id + 1) % TYPES
        ),
        Kind::Prefix => format!(r#"{{"detail": {{"request": {{"path": [{{"prefix": "/tenants/t-{id:06}/"}}]}}}}}}"#),
        Kind::Suffix => format!(r#"{{"detail": {{"file": [{{"suffix": "-{id:06}.csv.gz"}}]}}}}"#),
        Kind::Wildcard => {
            format!(r#"{{"detail": {{"request": {{"referrer": [{{"wildcard": "campaign-{id:06}/*/landing"}}]}}}}}}"#)
        }
        Kind::Folded => {
            format!(r#"{{"detail": {{"user": {{"name": [{{"equals-ignore-case": "JANE DOE {id:06}"}}]}}}}}}"#)
        }
        Kind::Numeric => format!(
            r#"{{"detail": {{"currency": ["EUR"], "amount": [{{"numeric": [">=", {}, "<", {}]}}]}}}}"#,
            id * 10,
            id * 10 + 10
        ),
        Kind::But => format!(
            r#"{{"detail": {{"tenant": ["tenant-{id:06}"], "verdict": [{{"anything-but": ["closed", "lost-{}"]}}]}}}}"#,
            id % 7
        ),
        Kind::Absent => format!(r#"{{"detail": {{"session": ["s-{id:06}"], "error": [{{"exists": false}}]}}}}"#),
        Kind::Cidr => format!(
            r#"{{"detail": {{"request": {{"ip": [{{"cidr": "{}.{}.{}.0/24"}}]}}}}}}"#,
            10 + id / 65_536,
            id / 256 % 256,
            id % 256
        ),
        Kind::Either => {
            let ways = [
                format!(r#"{{"shipment": {{"id": ["sh-{id:06}"]}}}}"#),
                format!(r#"{{"payment": {{"id": ["p-{id:06}"], "method": [{{"anything-but": "gift"}}]}}}}"#),
            ];
            return Rule {
                text: format!(r#"{{"detail": {{"$or": [{}]}}}}"#, ways.join(", ")),
                ways: ways.map(|way| format!(r#"{{"detail": {way}}}"#)).into(),
            };
        }
    };
    Rule { ways: vec![text.clone()], text }
}

/// One pattern with a hundred wildcards that begin with a star. All of them must be tried on each path, since it holds
/// their longest piece; some get as far as the last piece, and none matches.
pub fn wildcards() -> String {
    let stars: Vec<String> = (0..100).map(|id| format!(r#"{{"wildcard": "*/t-*{id:02}*x*"}}"#)).collect();
    format!(r#"{{"detail": {{"request": {{"path": [{}]}}}}}}"#, stars.join(", "))
}

/// Events that do not depend on how many rules there are.
pub fn stream(count: usize) -> Vec<String> {
    // Evenly spread logarithms: of 5,000 things, the first ten make a quarter of the events.
    generate(count, RULES_MAX, |all, chance| (all as f64).powf(chance.fraction()) as usize - 1)
}

/// Events of which each finds a rule of every kind among the first `rules`.
pub fn events(count: usize, rules: usize) -> Vec<String> {
    generate(count, rules, |all, chance| (all as f64 * chance.fraction()) as usize)
}

fn generate(count: usize, rules: usize, draw: impl Fn(usize, &mut Chance) -> usize) -> Vec<String> {
    let mut chance = Chance(7);
    let mut id = |kind: Kind| draw(rules / KINDS.len() * share(kind), &mut chance);
    (0..count)
        .map(|_| {
            let (user, order, address, either) = (id(Kind::User), id(Kind::Order), id(Kind::Cidr), id(Kind::Either));
            format!(
                concat!(
                    r#"{{"version": "0", "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718", "detail-type": "Type {}", "source": "shop.source-{}", "#,
                    r#""account": "111122223333", "time": "2026-11-22T18:43:48Z", "region": "eu-central-1", "#,
                    r#""resources": ["arn:aws:shop:eu-central-1:111122223333:order/o-{:06}"], "#,
                    r#""detail": {{"tenant": "tenant-{:06}", "verdict": "paid", "session": "s-{:06}", "amount": {}.25, "currency": "EUR", "#,
                    r#""file": "exports/2026/11/22/orders-{:06}.csv.gz", "user": {{"id": "u-{:06}", "name": "Jane Doe {:06}", "email": "jane@example.org", "#,
                    r#""roles": ["buyer", "reviewer"]}}, "order": {{"id": "o-{:06}", "lines": [{{"sku": "sku-1", "count": 1}}, {{"sku": "sku-2", "count": 2}}]}}, "#,
                    r#""shipment": {{"id": "sh-{:06}"}}, "payment": {{"id": "p-{:06}", "method": "card"}}, "#,
                    r#""request": {{"ip": "{}.{}.{}.17", "path": "/tenants/t-{:06}/orders/list", "method": "GET", "#,
                    r#""referrer": "campaign-{:06}/news.example.org/landing", "agent": "Mozilla/5.0 (X11; Linux x86_64)"}}}}}}"#
                ),
                order % TYPES,
                user % SOURCES,
                order,
                id(Kind::But),
                id(Kind::Absent),
                id(Kind::Numeric) * 10 + 3,
                id(Kind::Suffix),
                user,
                id(Kind::Folded),
                order,
                either,
                either,
                10 + address / 65_536,
                address / 256 % 256,
                address % 256,
                id(Kind::Prefix),
                id(Kind::Wildcard),
            )
        })
        .collect()
}

/// The same sequence in every run.
struct Chance(u64);

impl Chance {
    /// From 0 up to, not including, 1.
    fn fraction(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / (1_u64 << 31) as f64
    }
}
