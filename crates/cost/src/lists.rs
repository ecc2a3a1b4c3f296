//! Price lists as series: answers of AWS's `GetProducts` and `DescribeSpotPriceHistory`, and CSV.
//!
//! What it is NOT: it asks nobody. What a list has and no run can use (other tenancies, preinstalled software, dedicated
//! hosts) is left out and counted.

use std::collections::BTreeMap;

use headwater_base::Problem;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::book::{Point, Resource, Series, Unit};
use crate::conventions::HOURS_PER_YEAR;
use crate::engines::refused;
use crate::time::Time;
use crate::usage::Purchase;

mod fsx;

/// Most prices of one list.
pub const PRICES_MAX: usize = 1_000_000;

/// What was read of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct List {
    /// The series.
    pub series: Vec<Series>,
    /// Entries that were left out, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// It is a page, and more follow.
    pub more: bool,
}

/// Which reservation counts where a list has several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// `1yr` or `3yr`.
    pub term: String,
    /// `No Upfront`, `Partial Upfront` or `All Upfront`.
    pub option: String,
    /// `standard` or `convertible`.
    pub class: String,
}

impl Default for Reservation {
    fn default() -> Self {
        Self { term: "1yr".to_owned(), option: "No Upfront".to_owned(), class: "standard".to_owned() }
    }
}

#[derive(Default)]
struct Builder {
    series: BTreeMap<String, Series>,
    skipped: BTreeMap<String, u64>,
    prices: usize,
    more: bool,
}

impl Builder {
    fn push(&mut self, place: &str, one: Series) -> Result<(), Problem> {
        self.prices += one.points.len();
        if self.prices > PRICES_MAX {
            return Err(refused(place, 0, format!("a list has at most {PRICES_MAX} prices")));
        }
        match self.series.get_mut(&one.key()) {
            // Sorted once, at the end.
            Some(there) => there.points.extend(one.points),
            None => drop(self.series.insert(one.key(), one)),
        }
        Ok(())
    }

    fn skip(&mut self, reason: &str) {
        *self.skipped.entry(reason.to_owned()).or_default() += 1;
    }

    fn finish(self) -> List {
        let mut series: Vec<Series> = self.series.into_values().collect();
        for one in &mut series {
            let mut points = std::mem::take(&mut one.points);
            points.sort_by_key(|point| point.from);
            one.points = points;
        }
        List { series, skipped: self.skipped, more: self.more }
    }
}

/// Whether an answer says that it is not the last page.
fn is_followed(answer: &Value) -> bool {
    answer["NextToken"].as_str().is_some_and(|token| !token.is_empty())
}

/// Reads an answer of `GetProducts`, whose `PriceList` holds products as JSON in strings (or as objects).
///
/// # Errors
/// `HW-COST-002` with the place of what cannot be read.
pub fn aws(bytes: &[u8], as_of: Time, reservation: &Reservation) -> Result<List, Problem> {
    let answer = document(bytes)?;
    let Some(products) = answer["PriceList"].as_array() else {
        return Err(refused("PriceList", 0, "an answer of GetProducts has a list `PriceList`".to_owned()));
    };
    let mut out = Builder { more: is_followed(&answer), ..Builder::default() };
    for (at, product) in products.iter().enumerate() {
        let place = format!("PriceList[{at}]");
        let parsed;
        let product = match product {
            Value::String(text) => {
                parsed = serde_json::from_str(text).map_err(|error| refused(&place, 0, error.to_string()))?;
                &parsed
            }
            other => other,
        };
        let family = product["product"]["productFamily"].as_str();
        let Some(base) = base(product, as_of) else {
            let reason = if service(product) == fsx::SERVICE { unusable(product) } else { family };
            out.skip(reason.unwrap_or("no product family"));
            continue;
        };
        if let Some(reason) = unusable(product) {
            out.skip(reason);
            continue;
        }
        for (term, offer) in offers(product, "OnDemand") {
            for series in on_demand(&base, offer, &format!("{place}.terms.OnDemand.{term}"))? {
                out.push(&place, series)?;
            }
        }
        for (term, offer) in offers(product, "Reserved") {
            let terms = &offer["termAttributes"];
            let is_wanted = terms["LeaseContractLength"] == reservation.term.as_str()
                && terms["PurchaseOption"] == reservation.option.as_str()
                && terms["OfferingClass"] == reservation.class.as_str();
            if is_wanted {
                for series in reserved(&base, offer, &format!("{place}.terms.Reserved.{term}"))? {
                    out.push(&place, series)?;
                }
            } else {
                out.skip("other reservations");
            }
        }
    }
    Ok(out.finish())
}

fn service(product: &Value) -> &str {
    let attribute = product["product"]["attributes"]["servicecode"].as_str();
    product["serviceCode"].as_str().or(attribute).unwrap_or_default()
}

/// What a product is the price of, without prices; None for what no run uses.
fn base(product: &Value, as_of: Time) -> Option<Series> {
    let attributes = &product["product"]["attributes"];
    let text = |name: &str| attributes[name].as_str().filter(|text| !text.is_empty() && *text != "NA");
    let family = product["product"]["productFamily"].as_str().unwrap_or_default();
    let (resource, purchase, kind, unit) = match (service(product), family) {
        (_, "Compute Instance" | "Compute Instance (bare metal)") => {
            (Resource::Instance, Some(Purchase::OnDemand), text("instanceType")?.to_owned(), Unit::Hour)
        }
        (fsx::SERVICE, _) => (Resource::FileSystem, None, fsx::kind(product).ok()?, Unit::GbMonth),
        (_, "Storage") => (Resource::Volume, None, text("volumeApiName")?.to_owned(), Unit::GbMonth),
        (_, "System Operation") => (Resource::Volume, None, text("volumeApiName")?.to_owned(), Unit::IopsMonth),
        (_, "Provisioned Throughput") => (Resource::Volume, None, text("volumeApiName")?.to_owned(), Unit::MibpsMonth),
        ("AmazonEKS", _) if text("usagetype")?.ends_with("AmazonEKS-Hours:perCluster") => {
            (Resource::Cluster, None, "eks".to_owned(), Unit::Hour)
        }
        _ => return None,
    };
    // What gp3 has without paying for it; the list says so in words only.
    let included = match (kind.as_str(), unit) {
        ("gp3", Unit::IopsMonth) => Decimal::from(3_000),
        ("gp3", Unit::MibpsMonth) => Decimal::from(125),
        _ => Decimal::ZERO,
    };
    let platform = if resource == Resource::Instance { text("operatingSystem")?.to_lowercase() } else { String::new() };
    Some(Series {
        resource,
        purchase,
        kind,
        place: text("regionCode")?.to_owned(),
        platform,
        unit,
        included,
        currency: String::new(),
        as_of,
        source: "AWS Price List".to_owned(),
        points: Vec::new(),
    })
}

/// Why a product is not the plain one: a machine, or a file system.
fn unusable(product: &Value) -> Option<&'static str> {
    let attributes = &product["product"]["attributes"];
    if service(product) == fsx::SERVICE {
        return fsx::kind(product).err();
    }
    let is_other = |name: &str, plain: &str| attributes[name].as_str().is_some_and(|text| text != plain);
    if is_other("tenancy", "Shared") {
        return Some("other tenancies");
    }
    if is_other("preInstalledSw", "NA") {
        return Some("preinstalled software");
    }
    // Windows comes with its licence, or at the price of Linux to who has one.
    if attributes["licenseModel"] == "Bring your own license" {
        return Some("licences of one's own");
    }
    // Of `io2` each tier of operations is a product of its own, with the same type and unit.
    let usage = attributes["usagetype"].as_str().unwrap_or_default();
    if usage.rsplit_once(".tier").is_some_and(|(_, tier)| tier.parse::<u32>().is_ok_and(|tier| tier > 1)) {
        return Some("higher tiers");
    }
    is_other("capacitystatus", "Used").then_some("capacity reservations")
}

fn offers<'a>(product: &'a Value, term: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    product["terms"][term].as_object().into_iter().flatten()
}

fn on_demand(base: &Series, offer: &Value, place: &str) -> Result<Vec<Series>, Problem> {
    let from = effective(offer, place)?;
    let mut found = Vec::new();
    for (code, dimension) in offer["priceDimensions"].as_object().into_iter().flatten() {
        let place = format!("{place}.priceDimensions.{code}");
        // Tiers beyond the first are for amounts that no run has.
        if dimension["beginRange"].as_str().is_some_and(|from| from != "0") {
            continue;
        }
        let unit = dimension["unit"].as_str().unwrap_or_default().to_lowercase();
        for (currency, price) in prices(dimension, &place)? {
            let price = if unit.starts_with("gibps") { price / Decimal::from(1_024) } else { price };
            found.push(Series {
                currency,
                points: vec![Point { from, to: None, price: price.round_dp(10) }],
                ..base.clone()
            });
        }
    }
    Ok(found)
}

fn reserved(base: &Series, offer: &Value, place: &str) -> Result<Vec<Series>, Problem> {
    let from = effective(offer, place)?;
    let years = if offer["termAttributes"]["LeaseContractLength"] == "3yr" { 3 } else { 1 };
    let mut sums: BTreeMap<String, Decimal> = BTreeMap::new();
    for (code, dimension) in offer["priceDimensions"].as_object().into_iter().flatten() {
        let is_upfront = dimension["unit"] == "Quantity";
        for (currency, price) in prices(dimension, &format!("{place}.priceDimensions.{code}"))? {
            let hourly = if is_upfront { price / Decimal::from(HOURS_PER_YEAR * years) } else { price };
            *sums.entry(currency).or_default() += hourly;
        }
    }
    let series = |(currency, price): (String, Decimal)| Series {
        purchase: Some(Purchase::Reserved),
        currency,
        points: vec![Point { from, to: None, price: price.round_dp(10) }],
        ..base.clone()
    };
    Ok(sums.into_iter().map(series).collect())
}

fn effective(offer: &Value, place: &str) -> Result<Time, Problem> {
    let text = offer["effectiveDate"].as_str().and_then(Time::parse);
    text.ok_or_else(|| refused(&format!("{place}.effectiveDate"), 0, "it is no time".to_owned()))
}

fn prices(dimension: &Value, place: &str) -> Result<Vec<(String, Decimal)>, Problem> {
    let prices = dimension["pricePerUnit"].as_object().into_iter().flatten();
    prices
        .map(|(currency, price)| {
            let text = price.as_str().unwrap_or_default();
            Ok((currency.clone(), number(text, &format!("{place}.pricePerUnit.{currency}"), 0)?))
        })
        .collect()
}

/// Reads an answer of `DescribeSpotPriceHistory`.
///
/// # Errors
/// `HW-COST-002` with the place of what cannot be read.
pub fn spot(bytes: &[u8], as_of: Time) -> Result<List, Problem> {
    let answer = document(bytes)?;
    let Some(history) = answer["SpotPriceHistory"].as_array() else {
        let fact = "an answer of DescribeSpotPriceHistory has a list `SpotPriceHistory`";
        return Err(refused("SpotPriceHistory", 0, fact.to_owned()));
    };
    let mut out = Builder { more: is_followed(&answer), ..Builder::default() };
    for (at, one) in history.iter().enumerate() {
        let place = format!("SpotPriceHistory[{at}]");
        let text = |name: &str| one[name].as_str().ok_or_else(|| refused(&place, 0, format!("no `{name}`")));
        let platform = match text("ProductDescription")? {
            "Linux/UNIX" | "Linux/UNIX (Amazon VPC)" => "linux".to_owned(),
            "Windows" | "Windows (Amazon VPC)" => "windows".to_owned(),
            other => other.to_lowercase(),
        };
        let from = match &one["Timestamp"] {
            Value::String(text) => Time::parse(text),
            Value::Number(seconds) => seconds.as_f64().and_then(Time::from_seconds),
            _ => None,
        };
        let from = from.ok_or_else(|| refused(&format!("{place}.Timestamp"), 0, "it is no time".to_owned()))?;
        let price = number(text("SpotPrice")?, &format!("{place}.SpotPrice"), 0)?;
        out.push(
            &place,
            Series {
                resource: Resource::Instance,
                purchase: Some(Purchase::Spot),
                kind: text("InstanceType")?.to_owned(),
                place: text("AvailabilityZone")?.to_owned(),
                platform,
                unit: Unit::Hour,
                included: Decimal::ZERO,
                currency: "USD".to_owned(),
                as_of,
                source: "EC2 spot price history".to_owned(),
                points: vec![Point { from, to: None, price }],
            },
        )?;
    }
    Ok(out.finish())
}

/// A row of a list as CSV; empty cells are none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    resource: Resource,
    #[serde(default)]
    purchase: Option<Purchase>,
    #[serde(rename = "type")]
    kind: String,
    place: String,
    #[serde(default)]
    platform: Option<String>,
    unit: Unit,
    price: String,
    currency: String,
    from: Time,
    #[serde(default)]
    to: Option<Time>,
    #[serde(default)]
    included: Option<String>,
    #[serde(default)]
    as_of: Option<Time>,
    #[serde(default)]
    source: Option<String>,
}

/// Reads a list with the columns `resource, purchase, type, place, platform, unit, price, currency, from, to, included,
/// as_of, source`, in any order; `purchase`, `platform` and those from `to` on may be left out.
///
/// # Errors
/// `HW-COST-002` with the line of what cannot be read.
pub fn csv(bytes: &[u8], as_of: Time) -> Result<List, Problem> {
    let mut out = Builder::default();
    for row in rows::<Row>(bytes) {
        let (line, row) = row?;
        let platform = match row.platform {
            Some(platform) if !platform.is_empty() => platform,
            _ if row.resource == Resource::Instance && row.unit == Unit::Hour => "linux".to_owned(),
            _ => String::new(),
        };
        let included = match row.included.as_deref() {
            None | Some("") => Decimal::ZERO,
            Some(text) => number(text, "csv", line)?,
        };
        let price = number(&row.price, "csv", line)?;
        out.push(
            "csv",
            Series {
                resource: row.resource,
                purchase: row.purchase,
                kind: row.kind,
                place: row.place,
                platform,
                unit: row.unit,
                included,
                currency: row.currency,
                as_of: row.as_of.unwrap_or(as_of),
                source: row.source.unwrap_or_default(),
                points: vec![Point { from: row.from, to: row.to, price }],
            },
        )?;
    }
    Ok(out.finish())
}

fn document(bytes: &[u8]) -> Result<Value, Problem> {
    serde_json::from_slice(bytes).map_err(|error| refused("", error.line(), error.to_string()))
}

fn number(text: &str, place: &str, line: usize) -> Result<Decimal, Problem> {
    // What a reservation costs upfront is more than any hour; sums of such stay far below what can be counted.
    let fits = |number: &Decimal| *number >= Decimal::ZERO && *number <= Decimal::from(1_000_000_000_000_i64);
    let number = Decimal::from_str_exact(text.trim()).ok().filter(fits);
    number.ok_or_else(|| {
        let text: String = text.chars().take(40).collect();
        refused(place, line, format!("`{}` is no price", text.escape_debug()))
    })
}

/// The rows of CSV under a line of names, each with its line.
pub(crate) fn rows<R: DeserializeOwned>(bytes: &[u8]) -> impl Iterator<Item = Result<(usize, R), Problem>> {
    let reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    reader.into_deserialize::<R>().zip(2_usize..).map(|(row, line)| match row {
        Ok(row) => Ok((line, row)),
        Err(error) => {
            let line = error.position().map_or(line, |at| usize::try_from(at.line()).unwrap_or(usize::MAX));
            Err(refused("csv", line, error.to_string()))
        }
    })
}

#[cfg(test)]
mod tests;
