//! Prices by what they are for, each with the time from which it holds, and discounts by account.
//!
//! A series is one document of the table `prices`: every price that one thing ever had. What it is NOT: it multiplies
//! nothing; a bill asks it for the stretches of constant price within a span.

use std::collections::BTreeMap;

use headwater_base::Problem;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::time::{Span, Time};
use crate::usage::Purchase;

/// Most prices of one series.
pub const POINTS_MAX: usize = 100_000;

/// Most series and most discounts of a book.
pub const SERIES_MAX: usize = 50_000;

/// What is paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words say it")]
pub enum Resource {
    Instance,
    Volume,
    FileSystem,
    Cluster,
}

/// What a price is for one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words say it")]
pub enum Unit {
    Hour,
    CoreHour,
    GbMonth,
    IopsMonth,
    MibpsMonth,
}

/// A price from a moment on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// The first moment.
    pub from: Time,
    /// The first moment at which it holds no more; while none, until the next point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Time>,
    /// The price of one unit.
    pub price: Decimal,
}

/// What one thing costs and cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// What is paid for.
    pub resource: Resource,
    /// How, for machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purchase: Option<Purchase>,
    /// Its type, such as `c5.large` or `gp3`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The region, for spot prices the zone, on premises the site.
    pub place: String,
    /// The operating system, for machines.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub platform: String,
    /// What a price is for one of.
    pub unit: Unit,
    /// Units that cost nothing, such as the first 3,000 operations a second of `gp3`.
    #[serde(default, skip_serializing_if = "Decimal::is_zero")]
    pub included: Decimal,
    /// ISO 4217.
    pub currency: String,
    /// When this was read from its source.
    pub as_of: Time,
    /// Where it was read.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// The prices.
    pub points: Vec<Point>,
}

/// What is taken off an account's prices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Discount {
    /// The account.
    pub account: String,
    /// Only of this, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<Resource>,
    /// Only of this, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purchase: Option<Purchase>,
    /// Only of this type, if any.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Percent, from 0 to 100.
    pub percent: Decimal,
    /// From when on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Time>,
    /// The first moment at which it holds no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Time>,
}

/// What a price is wanted for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "as in Series")]
pub struct Wanted {
    pub resource: Resource,
    pub purchase: Option<Purchase>,
    pub kind: String,
    pub place: String,
    pub platform: String,
    pub unit: Unit,
}

/// A stretch of time with one price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// When.
    pub span: Span,
    /// The list's price.
    pub list: Decimal,
    /// The account's price.
    pub price: Decimal,
}

/// Why there is no price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// There is none for this, or none at this time.
    Unknown(String),
    /// The list ends before the time it is wanted for.
    Pending(String),
}

/// Prices and discounts of one currency.
#[derive(Clone, Debug, Default)]
pub struct Book {
    currency: String,
    series: BTreeMap<String, Series>,
    discounts: Vec<Discount>,
}

impl Wanted {
    /// The key of its series in the table `prices`.
    pub fn key(&self, currency: &str) -> String {
        let word = |value: serde_json::Value| value.as_str().unwrap_or("-").to_owned();
        let or = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
        let purchase = self.purchase.map_or_else(|| "-".to_owned(), |purchase| word(serde_json::json!(purchase)));
        [
            word(serde_json::json!(self.resource)),
            purchase,
            or(&self.kind),
            or(&self.place),
            or(&self.platform),
            word(serde_json::json!(self.unit)),
            or(currency),
        ]
        .join(":")
    }
}

impl Series {
    /// What it is the price of.
    pub fn wanted(&self) -> Wanted {
        Wanted {
            resource: self.resource,
            purchase: self.purchase,
            kind: self.kind.clone(),
            place: self.place.clone(),
            platform: self.platform.clone(),
            unit: self.unit,
        }
    }

    /// Its key in the table `prices`.
    pub fn key(&self) -> String {
        self.wanted().key(&self.currency)
    }

    /// Takes over the points of another reading of the same series. A point that both have is the newer one's, whichever
    /// comes first; of two of the same moment it is the other's.
    pub fn merge(&mut self, other: Self) {
        let newer = other.as_of >= self.as_of;
        let own = std::mem::take(&mut self.points);
        let (mut points, behind) = if newer { (own, other.points) } else { (other.points, own) };
        points.extend(behind);
        self.points = points;
        self.points.sort_by_key(|point| point.from);
        // Of equal beginnings the last stays.
        self.points.reverse();
        self.points.dedup_by_key(|point| point.from);
        self.points.reverse();
        if newer {
            self.as_of = other.as_of;
            self.source = other.source;
            self.included = other.included;
        }
    }

    fn check(&self) -> Result<(), String> {
        if self.points.len() > POINTS_MAX {
            return Err(format!("it has {} prices, at most {POINTS_MAX} are read", self.points.len()));
        }
        let currency = self.currency.as_bytes();
        if currency.len() != 3 || !currency.iter().all(u8::is_ascii_uppercase) {
            return Err(format!("`{}` is no currency of three capitals", self.currency.escape_debug()));
        }
        let most = Decimal::from(1_000_000);
        let fits = |price: &Decimal| *price >= Decimal::ZERO && *price <= most && price.normalize().scale() <= 10;
        if let Some(point) = self.points.iter().find(|point| !fits(&point.price)) {
            return Err(format!("`{}` is no price from 0 to {most} with at most 10 decimals", point.price));
        }
        // As much as a run can have of anything.
        let most = Decimal::from(1_000_000_000);
        let free = self.included;
        if free < Decimal::ZERO || free > most || free.normalize().scale() > 6 {
            return Err(format!("`{free}` included units are not from 0 to {most} with at most 6 decimals"));
        }
        match self.points.iter().find(|point| point.to.is_some_and(|to| to <= point.from)) {
            Some(point) => Err(format!("the price of {} ends before it begins", point.from)),
            None => Ok(()),
        }
    }
}

impl Discount {
    fn is_for(&self, account: &str, wanted: &Wanted) -> bool {
        self.account == account
            && self.resource.is_none_or(|resource| resource == wanted.resource)
            && self.purchase.is_none_or(|purchase| Some(purchase) == wanted.purchase)
            && self.kind.as_ref().is_none_or(|kind| *kind == wanted.kind)
    }

    fn holds(&self, span: Span) -> bool {
        self.from.is_none_or(|from| from <= span.from) && self.to.is_none_or(|to| to >= span.to)
    }
}

impl Book {
    /// Prices of one currency; series of others are left out.
    ///
    /// # Errors
    /// `HW-COST-003` for a price or discount that cannot be.
    pub fn new(currency: &str, series: Vec<Series>, discounts: Vec<Discount>) -> Result<Self, Problem> {
        let refused = |place: String, fact: String| {
            Problem::new("HW-COST-003", format!("a price cannot be: {fact}")).at(place, 0, 0)
        };
        if series.len() > SERIES_MAX || discounts.len() > SERIES_MAX {
            let fact = format!("at most {SERIES_MAX} series and discounts are read");
            return Err(refused("prices".to_owned(), fact));
        }
        let mut book = Self { currency: currency.to_owned(), series: BTreeMap::new(), discounts };
        for mut one in series {
            one.check().map_err(|fact| refused(format!("Series/{}", one.key()), fact))?;
            if one.currency != currency {
                continue;
            }
            one.points.sort_by_key(|point| point.from);
            match book.series.get_mut(&one.key()) {
                Some(there) => there.merge(one),
                None => drop(book.series.insert(one.key(), one)),
            }
        }
        let sane = |percent: &Decimal| {
            *percent >= Decimal::ZERO && *percent <= Decimal::ONE_HUNDRED && percent.normalize().scale() <= 4
        };
        if let Some(discount) = book.discounts.iter().find(|discount| !sane(&discount.percent)) {
            let fact =
                format!("a discount of `{}` percent is not from 0 to 100 with at most 4 decimals", discount.percent);
            return Err(refused(format!("Discount/{}", discount.account), fact));
        }
        Ok(book)
    }

    /// The currency.
    pub fn currency(&self) -> &str {
        &self.currency
    }

    /// The newest reading of any price in it.
    pub fn as_of(&self) -> Option<Time> {
        self.series.values().map(|series| series.as_of).max()
    }

    /// What is free of it, where there is such a price.
    pub fn included(&self, wanted: &Wanted) -> Option<Decimal> {
        self.series.get(&wanted.key(&self.currency)).map(|series| series.included)
    }

    /// When its price was read.
    pub fn read_at(&self, wanted: &Wanted) -> Option<Time> {
        self.series.get(&wanted.key(&self.currency)).map(|series| series.as_of)
    }

    /// The stretches of constant price that make up `span`, in order and without a gap.
    pub fn stretches(&self, wanted: &Wanted, account: &str, span: Span) -> Result<Vec<Stretch>, Missing> {
        let key = wanted.key(&self.currency);
        let Some(series) = self.series.get(&key) else {
            return Err(Missing::Unknown(format!("there is no price `{key}`")));
        };
        if wanted.purchase == Some(Purchase::Spot) && series.as_of < span.to {
            let fact = format!("spot prices `{key}` are known until {}, it ran until {}", series.as_of, span.to);
            return Err(Missing::Pending(fact));
        }
        let rules: Vec<&Discount> = self.discounts.iter().filter(|rule| rule.is_for(account, wanted)).collect();
        // From the last point that begins before the span on.
        let first = series.points.partition_point(|point| point.from <= span.from).saturating_sub(1);
        let near = series.points.iter().take_while(|point| point.from < span.to);
        let mut cuts: Vec<Time> = vec![span.from, span.to];
        cuts.extend(near.clone().skip(first).map(|point| point.from));
        cuts.extend(near.filter_map(|point| point.to));
        cuts.extend(rules.iter().flat_map(|rule| [rule.from, rule.to]).flatten());
        cuts.retain(|cut| *cut >= span.from && *cut <= span.to);
        cuts.sort_unstable();
        cuts.dedup();
        let mut stretches: Vec<Stretch> = Vec::with_capacity(cuts.len());
        for (from, to) in cuts.iter().zip(cuts.iter().skip(1)) {
            let span = Span { from: *from, to: *to };
            let list = price_at(series, span).ok_or_else(|| gap(series, &key, span))?;
            let left = rules
                .iter()
                .filter(|rule| rule.holds(span))
                .fold(list, |price, rule| price * (Decimal::ONE_HUNDRED - rule.percent) / Decimal::ONE_HUNDRED);
            match stretches.last_mut().filter(|last| last.list == list && last.price == left) {
                Some(last) => last.span.to = span.to,
                None => stretches.push(Stretch { span, list, price: left }),
            }
        }
        Ok(stretches)
    }
}

/// The price that began last of those that hold all of `span`.
fn price_at(series: &Series, span: Span) -> Option<Decimal> {
    let begun = series.points.partition_point(|point| point.from <= span.from);
    let begun = series.points.get(..begun)?;
    begun.iter().rev().find(|point| point.to.is_none_or(|to| to >= span.to)).map(|point| point.price)
}

fn gap(series: &Series, key: &str, span: Span) -> Missing {
    let is_last = series.points.iter().all(|point| point.to.is_some_and(|to| to <= span.from));
    if is_last && !series.points.is_empty() {
        return Missing::Pending(format!("prices `{key}` end before {}", span.from));
    }
    Missing::Unknown(format!("there is no price `{key}` at {}", span.from))
}

#[cfg(test)]
mod tests;
