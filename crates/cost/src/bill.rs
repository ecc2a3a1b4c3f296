//! The bill of one run: a line for each machine, volume, file system and control plane, what each attempt took of it,
//! and the sums. How it is counted: [`crate::conventions`].
//!
//! A bill is `priced` only when every line is; one line without a price makes its sums unknown, never smaller.

use std::collections::{BTreeMap, HashMap};

use rust_decimal::Decimal;
use serde::Serialize;

use crate::book::{Book, Missing, Resource, Stretch, Unit, Wanted};
use crate::conventions::{billed_ms, per_hour, per_month, rounded, text};
use crate::shares::{Part, split};
use crate::time::{Span, Time};
use crate::usage::{Attempt, Instance, Purchase, Run, Volume};

/// Whether a price could be found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It was.
    #[default]
    Priced,
    /// Not yet: the price list ends too early.
    Pending,
    /// There is none.
    Unknown,
}

/// What one thing cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// What it is.
    pub resource: Resource,
    /// Which one.
    pub id: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// How it is paid, for machines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purchase: Option<Purchase>,
    /// Region, zone or site, as the price goes by.
    pub place: String,
    /// The first moment that is paid.
    pub from: Time,
    /// The first that is not.
    pub to: Time,
    /// Units of `unit` that were used.
    #[serde(serialize_with = "as_text")]
    pub quantity: Decimal,
    /// What a price is for one of.
    pub unit: Unit,
    /// What it cost; none without a price.
    #[serde(serialize_with = "as_text_or_null")]
    pub amount: Option<Decimal>,
    /// What it would have cost without discounts.
    #[serde(serialize_with = "as_text_or_null")]
    pub list_amount: Option<Decimal>,
    /// The part of the amount during which no attempt ran; only machines have it.
    #[serde(serialize_with = "as_text_or_null", skip_serializing_if = "Option::is_none")]
    pub idle: Option<Decimal>,
    /// Whether there is a price.
    pub status: Status,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When its price was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Time>,
}

/// What one attempt took of the machines' amounts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AttemptCost {
    /// The job.
    pub job: String,
    /// The number of the attempt, from 1.
    pub attempt: usize,
    /// Whether it failed.
    pub failed: bool,
    /// The machine.
    pub instance: String,
    /// How long it took.
    pub milliseconds: i64,
    /// Its part; none without a price.
    #[serde(serialize_with = "as_text_or_null")]
    pub amount: Option<Decimal>,
}

/// What a run cost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bill {
    /// The run.
    pub id: String,
    /// The worst of its lines' status.
    pub status: Status,
    /// ISO 4217.
    pub currency: String,
    /// As of when it was priced.
    pub as_of: Time,
    /// The lines.
    pub lines: Vec<Line>,
    /// The attempts.
    pub attempts: Vec<AttemptCost>,
}

impl Bill {
    /// The sum of the lines of some resources; None if one of them has no price.
    pub fn sum(&self, of: &[Resource]) -> Option<Decimal> {
        self.lines.iter().filter(|line| of.contains(&line.resource)).map(|line| line.amount).sum()
    }

    /// The sum of all lines; None if one of them has no price.
    pub fn total(&self) -> Option<Decimal> {
        self.lines.iter().map(|line| line.amount).sum()
    }

    /// What failed attempts took; None if one of them has no price.
    pub fn failed(&self) -> Option<Decimal> {
        self.attempts.iter().filter(|attempt| attempt.failed).map(|attempt| attempt.amount).sum()
    }

    /// A sum as the launch table carries it: the amount, or the word why there is none.
    pub fn word(&self, sum: Option<Decimal>) -> String {
        match sum {
            Some(amount) => text(amount),
            None if self.status == Status::Pending => "pending".to_owned(),
            None => "unknown".to_owned(),
        }
    }
}

/// Prices a run. `as_of` goes onto the bill as it is.
pub fn price(run: &Run, book: &Book, as_of: Time) -> Bill {
    let mut bill = Bill { id: run.id.clone(), currency: book.currency().to_owned(), as_of, ..Bill::default() };
    let mut on: HashMap<&str, Vec<(usize, &Attempt)>> = HashMap::new();
    for (at, (job, number, attempt)) in run.attempts().enumerate() {
        on.entry(attempt.instance.as_str()).or_default().push((at, attempt));
        bill.attempts.push(AttemptCost {
            job: job.id.clone(),
            attempt: number,
            failed: attempt.failed,
            instance: attempt.instance.clone(),
            milliseconds: attempt.ended.0 - attempt.started.0,
            amount: None,
        });
    }
    let desk = Desk { run, book };
    for instance in &run.instances {
        let attempts = on.remove(instance.id.as_str()).unwrap_or_default();
        let (line, costs) = desk.instance(instance, &attempts);
        bill.lines.push(line);
        for ((at, _), amount) in attempts.iter().zip(costs) {
            if let Some(attempt) = bill.attempts.get_mut(*at) {
                attempt.amount = amount;
            }
        }
    }
    for volume in &run.volumes {
        bill.lines.extend(desk.volume(volume));
    }
    for system in &run.file_systems {
        let wanted = wanted(Resource::FileSystem, &system.kind, &system.region, Unit::GbMonth);
        let span = run.span_of(system.started, system.ended);
        bill.lines.push(desk.plain(&system.id, wanted, span, system.size_gib * system.share));
    }
    for cluster in &run.clusters {
        let wanted = wanted(Resource::Cluster, &cluster.kind, &cluster.region, Unit::Hour);
        let span = run.span_of(cluster.started, cluster.ended);
        bill.lines.push(desk.plain(&cluster.id, wanted, span, cluster.share));
    }
    bill.status = bill.lines.iter().map(|line| line.status).max().unwrap_or_default();
    bill
}

/// Everything that a price is wanted for.
pub fn wanted_of(run: &Run) -> Vec<Wanted> {
    let mut all: Vec<Wanted> = run.instances.iter().map(wanted_instance).collect();
    for volume in &run.volumes {
        all.extend(wanted_volume(volume).map(|(wanted, _)| wanted));
    }
    all.extend(run.file_systems.iter().map(|s| wanted(Resource::FileSystem, &s.kind, &s.region, Unit::GbMonth)));
    all.extend(run.clusters.iter().map(|c| wanted(Resource::Cluster, &c.kind, &c.region, Unit::Hour)));
    all.sort();
    all.dedup();
    all
}

fn wanted(resource: Resource, kind: &str, place: &str, unit: Unit) -> Wanted {
    let (kind, place) = (kind.to_owned(), place.to_owned());
    Wanted { resource, purchase: None, kind, place, platform: String::new(), unit }
}

fn wanted_instance(instance: &Instance) -> Wanted {
    let place = if instance.purchase == Purchase::Spot { &instance.zone } else { &instance.region };
    let on_premises = instance.purchase == Purchase::OnPremises;
    Wanted {
        resource: Resource::Instance,
        purchase: Some(instance.purchase),
        kind: instance.kind.clone(),
        place: place.clone(),
        platform: if on_premises { String::new() } else { instance.platform.clone() },
        unit: if on_premises { Unit::CoreHour } else { Unit::Hour },
    }
}

/// Size always; operations and throughput where the volume says how much.
fn wanted_volume(volume: &Volume) -> impl Iterator<Item = (Wanted, Decimal)> {
    [
        (Unit::GbMonth, Some(volume.size_gib)),
        (Unit::IopsMonth, volume.iops),
        (Unit::MibpsMonth, volume.throughput_mibps),
    ]
    .into_iter()
    .filter_map(|(unit, quantity)| Some((wanted(Resource::Volume, &volume.kind, &volume.region, unit), quantity?)))
}

/// Where lines are made.
struct Desk<'a> {
    run: &'a Run,
    book: &'a Book,
}

impl Desk<'_> {
    fn instance(&self, machine: &Instance, attempts: &[(usize, &Attempt)]) -> (Line, Vec<Option<Decimal>>) {
        let mut span = self.run.span_of(machine.started, machine.ended);
        let used = span;
        if !machine.shared {
            span.to = span.from.plus(billed_ms(span.ms()));
        }
        let wanted = wanted_instance(machine);
        let cores = match wanted.unit {
            Unit::CoreHour => machine.cpus.unwrap_or(Decimal::ONE),
            _ => Decimal::ONE,
        };
        let list: Vec<&Attempt> = attempts.iter().map(|(_, attempt)| *attempt).collect();
        let (mut parts, stays) = split(machine, used, &list);
        if span.to > used.to {
            let rest = Span { from: used.to, to: span.to };
            parts.push(Part { span: rest, paid: Decimal::ONE, weights: Decimal::ZERO });
        }
        let paid_ms: Decimal = parts.iter().map(|part| part.paid * Decimal::from(part.span.ms())).sum();
        // What nobody pays at the ends needs no price.
        let is_paid = |part: &&Part| !part.paid.is_zero();
        let paid = match (parts.iter().find(is_paid), parts.iter().rev().find(is_paid)) {
            (Some(first), Some(last)) => Span { from: first.span.from, to: last.span.to },
            _ => Span { from: span.from, to: span.from },
        };
        let mut line = self.line(&machine.id, wanted.clone(), paid, per_hour(paid_ms * cores));
        let stretches = match self.book.stretches(&wanted, &self.run.account, paid) {
            Ok(stretches) => stretches,
            Err(missing) => {
                line.miss(missing);
                return (line, vec![None; attempts.len()]);
            }
        };
        let mut amounts = Sums::default();
        // What a weight of 1 would have paid from the beginning until before each part.
        let mut until = Vec::with_capacity(parts.len() + 1);
        let mut of_one = Decimal::ZERO;
        let mut at = 0;
        for part in &parts {
            let (list, price, next) = integrate(&stretches, at, part.span);
            at = next;
            amounts.list += list * part.paid;
            amounts.price += price * part.paid;
            until.push(of_one);
            if !part.weights.is_zero() {
                // Where all weights are paid in full nothing is divided, and nothing rounded.
                of_one += if part.paid == part.weights { price } else { price * part.paid / part.weights };
            }
        }
        until.push(of_one);
        let before = |part: usize| until.get(part).copied().unwrap_or(of_one);
        let costs: Vec<Decimal> = stays
            .iter()
            .map(|stay| rounded(per_hour((before(stay.end) - before(stay.first)) * stay.weight * cores)))
            .collect();
        let amount = rounded(per_hour(amounts.price * cores));
        line.amount = Some(amount);
        line.list_amount = Some(rounded(per_hour(amounts.list * cores)));
        // Takes what rounding leaves, so that attempts and idle time add up to the line.
        line.idle = Some(amount - costs.iter().sum::<Decimal>());
        (line, costs.into_iter().map(Some).collect())
    }

    fn volume(&self, volume: &Volume) -> Vec<Line> {
        let mut span = self.run.span_of_volume(volume);
        span.to = span.from.plus(billed_ms(span.ms()));
        let mut lines = Vec::new();
        for (wanted, quantity) in wanted_volume(volume) {
            // Without a price nobody knows what is included, and the line says that there is no price.
            let above = quantity - self.book.included(&wanted).unwrap_or_default();
            if above > Decimal::ZERO {
                lines.push(self.plain(&volume.id, wanted, span, above));
            }
        }
        lines
    }

    /// A line of something that costs `quantity` × price × time.
    fn plain(&self, id: &str, wanted: Wanted, span: Span, quantity: Decimal) -> Line {
        let per = match wanted.unit {
            Unit::Hour | Unit::CoreHour => per_hour,
            Unit::GbMonth | Unit::IopsMonth | Unit::MibpsMonth => per_month,
        };
        let mut line = self.line(id, wanted.clone(), span, per(quantity * Decimal::from(span.ms())));
        match self.book.stretches(&wanted, &self.run.account, span) {
            Ok(stretches) => {
                let (list, price, _) = integrate(&stretches, 0, span);
                line.amount = Some(rounded(per(price * quantity)));
                line.list_amount = Some(rounded(per(list * quantity)));
            }
            Err(missing) => line.miss(missing),
        }
        line
    }

    fn line(&self, id: &str, wanted: Wanted, span: Span, quantity: Decimal) -> Line {
        Line {
            as_of: self.book.read_at(&wanted),
            resource: wanted.resource,
            id: id.to_owned(),
            kind: wanted.kind,
            purchase: wanted.purchase,
            place: wanted.place,
            from: span.from,
            to: span.to,
            quantity: rounded(quantity),
            unit: wanted.unit,
            amount: None,
            list_amount: None,
            idle: None,
            status: Status::Priced,
            reason: None,
        }
    }
}

impl Line {
    fn miss(&mut self, missing: Missing) {
        let (status, reason) = match missing {
            Missing::Pending(reason) => (Status::Pending, reason),
            Missing::Unknown(reason) => (Status::Unknown, reason),
        };
        self.status = status;
        self.reason = Some(reason);
    }
}

#[derive(Default)]
struct Sums {
    list: Decimal,
    price: Decimal,
}

/// Price × milliseconds over `span`, of the list and of the account, and the stretch to begin the next span at: spans
/// are asked for in order.
pub(crate) fn integrate(stretches: &[Stretch], first: usize, span: Span) -> (Decimal, Decimal, usize) {
    let (mut list, mut price, mut at) = (Decimal::ZERO, Decimal::ZERO, first);
    while let Some(stretch) = stretches.get(at) {
        if let Some(both) = stretch.span.meet(span) {
            let ms = Decimal::from(both.ms());
            list += stretch.list * ms;
            price += stretch.price * ms;
        }
        if stretch.span.to > span.to {
            break;
        }
        at += 1;
    }
    (list, price, at)
}

/// Amounts by resource, as text, for the breakdown.
pub fn by_resource(bill: &Bill) -> BTreeMap<Resource, String> {
    let kinds = [Resource::Instance, Resource::Volume, Resource::FileSystem, Resource::Cluster];
    let used = kinds.into_iter().filter(|kind| bill.lines.iter().any(|line| line.resource == *kind));
    used.map(|kind| (kind, bill.word(bill.sum(&[kind])))).collect()
}

fn as_text<S: serde::Serializer>(amount: &Decimal, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&amount.normalize().to_string())
}

fn as_text_or_null<S: serde::Serializer>(amount: &Option<Decimal>, serializer: S) -> Result<S::Ok, S::Error> {
    match amount {
        Some(amount) => serializer.serialize_str(&text(*amount)),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests;
