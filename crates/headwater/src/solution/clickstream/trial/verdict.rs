//! What a trial found, and what it must be.

use serde::Serialize;
use serde_json::json;

use crate::solution::clickstream::traffic::Truth;
use crate::solution::outcome::{Outcome, Rule};

/// What a trial found. It passed when every rule holds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verdict {
    /// The traffic's seed.
    pub seed: u64,
    /// Single events checked against `checks.yaml`.
    pub checks: u64,
    /// Records sent, repeated and broken ones included.
    pub records: u64,
    /// Different events among them that can be read.
    pub events: u64,
    /// Events enriched, first revisions.
    pub enriched: u64,
    /// Events that are nowhere.
    pub lost: u64,
    /// First revisions that came more than once, and second ones of events that needed none or had one.
    pub doubled: u64,
    /// Enriched records that cannot be read, that nobody sent, or that say another kind or visitor than was sent.
    pub strange: u64,
    /// Events whose lookup failed at first.
    pub failed_lookups: u64,
    /// Of those, enriched again in a second revision.
    pub revised: u64,
    /// Dead letters.
    pub dead: u64,
    /// Events too late for their session.
    pub late: u64,
    /// Events that were in time and were called late.
    pub wrongly_late: u64,
    /// Sessions.
    pub sessions: u64,
    /// Sessions that are not as they were, or missing, or too many.
    pub sessions_wrong: u64,
    /// Attackers who got through their plan.
    pub attackers: u64,
    /// Of those, who hid behind an address that people share.
    pub attackers_among_people: u64,
    /// Of `attackers`, banned.
    pub caught: u64,
    /// Entities banned: addresses, devices and users.
    pub bans: u64,
    /// Of those, with their reasons, what is not an attacker's own: somebody else's, or an address that people share.
    pub wrong_bans: Vec<String>,
    /// People of whom at least one event was decided with `ban`.
    pub people_banned: u64,
    /// `caught` of `attackers`.
    pub recall: f64,
    /// The right ones of `bans`.
    pub precision: f64,
    /// Events with something personal left in them.
    pub personal: u64,
    /// Kinds of attackers who were not caught.
    pub missed: Vec<String>,
    /// How long each start after a kill took until the node was ready.
    pub restarts_ms: Vec<u64>,
    /// Seconds in all.
    pub seconds: f64,
    /// What was compared, and how it came out.
    pub rules: Vec<Rule>,
    /// What is not as it must be; empty if all is well.
    pub failures: Vec<String>,
}

impl Verdict {
    /// Compares what was found with what must be. `unmet` are the failures of single events' checks.
    pub(super) fn judge(&mut self, truth: &Truth, unmet: Vec<String>) {
        let exactly = Rule::exactly;
        let at_least = |name, found: f64, must: f64| Rule {
            name,
            found: format!("{found:.3}"),
            must: format!("at least {must}"),
            holds: found >= must,
        };
        self.rules = vec![
            exactly(
                "single events as in checks.yaml",
                self.checks - unmet.len().min(self.checks as usize) as u64,
                self.checks,
            ),
            exactly("events enriched", self.enriched, self.events),
            exactly("events lost", self.lost, 0),
            exactly("events doubled", self.doubled, 0),
            exactly("events that are not as they were sent", self.strange, 0),
            exactly("failed lookups revised", self.revised, self.failed_lookups),
            exactly("dead letters", self.dead, truth.malformed + truth.ahead),
            exactly("events wrongly called late", self.wrongly_late, 0),
            exactly("sessions wrong", self.sessions_wrong, 0),
            exactly("events with personal data", self.personal, 0),
            Rule::at_least("attackers who got through", self.attackers, 1),
            at_least("recall of bans", self.recall, 0.9),
            at_least("precision of bans", self.precision, 0.95),
        ];
        self.failures = unmet;
        self.failures.extend(self.rules.iter().filter_map(Rule::failure));
    }

    /// What was found, as every solution's test tells it.
    pub fn outcome(&self) -> Outcome {
        let Self { seed, records, sessions, bans, attackers, attackers_among_people, caught, .. } = self;
        let mut summary = vec![format!(
            "seed {seed}: {records} records, {sessions} sessions, {bans} bans, {} of them wrong; {caught} of {attackers} \
             attackers caught, {attackers_among_people} of whom hid among people; {} people banned; {} s",
            self.wrong_bans.len(),
            self.people_banned,
            self.seconds
        )];
        summary.extend(self.wrong_bans.iter().map(|wrong| format!("wrongly banned: {wrong}")));
        if !self.missed.is_empty() {
            summary.push(format!("not caught: {}", self.missed.join(", ")));
        }
        Outcome { figures: json!(self), rules: self.rules.clone(), summary, failures: self.failures.clone() }
    }
}
