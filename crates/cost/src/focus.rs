//! The lines of priced launches as a FOCUS file: one row for each line of each bill.
//!
//! What it is NOT: an invoice. `BilledCost` is what the run is charged here; the provider's own bill may round otherwise.
//! Lines without a price are left out, and [`Export::unpriced`] counts them. A line over the end of a month is a row in
//! each month's billing period, by time: no charge ends behind it, and the rows add up to the line.
//!
//! Five columns stand there twice, under the specification's names and under those that its validator 1.0.0 asks for
//! (`Provider`, `Publisher`, `InvoiceIssuer`, `ResourceID`, and `ChargeType` of version 0.5). The columns that version 1.2
//! added come last.
//!
//! # Source
//! FinOps Open Cost and Usage Specification 1.0 and 1.2, "Columns".

use std::collections::BTreeMap;

use headwater_base::time::{civil_from_days, days_from_civil};
use headwater_base::{Micros, Problem};
use rust_decimal::Decimal;
use serde_json::json;

use crate::conventions::rounded;
use crate::engines::batch;
use crate::report::{BilledLine, Launch};
use crate::time::{Span, Time};

/// A file, and what is not in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// The text.
    pub csv: String,
    /// Lines that have no price.
    pub unpriced: u64,
}

/// One row's cells by column.
type Cell = (&'static str, fn(&Launch, &BilledLine) -> String);

/// The columns of 1.0, in the specification's order.
const COLUMNS: &[Cell] = &[
    (
        "AvailabilityZone",
        |_, line| if line.purchase.as_deref() == Some("spot") { line.place.clone() } else { String::new() },
    ),
    ("BilledCost", |_, line| money(line.amount)),
    ("BillingAccountId", |launch, _| account(launch)),
    ("BillingAccountName", |launch, _| account(launch)),
    ("BillingCurrency", |launch, _| launch.currency.clone()),
    ("BillingPeriodEnd", |_, line| month(line.from, 1)),
    ("BillingPeriodStart", |_, line| month(line.from, 0)),
    ("ChargeCategory", |_, _| "Usage".to_owned()),
    ("ChargeClass", |_, _| String::new()),
    ("ChargeDescription", |launch, line| format!("{} {} of run {}", line.kind, line.resource, launch.id)),
    ("ChargeFrequency", |_, _| "Usage-Based".to_owned()),
    ("ChargePeriodEnd", |_, line| moment(line.to.plus(999))),
    ("ChargePeriodStart", |_, line| moment(line.from)),
    ("ChargeType", |_, _| "Usage".to_owned()),
    ("CommitmentDiscountCategory", |_, line| committed(line, "Usage")),
    ("CommitmentDiscountId", |_, line| committed(line, &format!("reserved:{}:{}", line.kind, line.place))),
    ("CommitmentDiscountName", |_, line| committed(line, &format!("{} in {}", line.kind, line.place))),
    ("CommitmentDiscountStatus", |_, line| committed(line, "Used")),
    ("CommitmentDiscountType", |_, line| committed(line, "Reserved Instance")),
    ("ConsumedQuantity", |_, line| line.quantity.normalize().to_string()),
    ("ConsumedUnit", |_, line| unit(line).to_owned()),
    ("ContractedCost", |_, line| money(line.amount)),
    ("ContractedUnitPrice", |_, line| per_unit(line.amount, line)),
    ("EffectiveCost", |_, line| money(line.amount)),
    ("InvoiceIssuerName", |_, line| provider(line).to_owned()),
    ("InvoiceIssuer", |_, line| provider(line).to_owned()),
    ("ListCost", |_, line| money(line.list_amount.or(line.amount))),
    ("ListUnitPrice", |_, line| per_unit(line.list_amount.or(line.amount), line)),
    ("PricingCategory", |_, line| pricing(line).to_owned()),
    ("PricingQuantity", |_, line| line.quantity.normalize().to_string()),
    ("PricingUnit", |_, line| unit(line).to_owned()),
    ("ProviderName", |_, line| provider(line).to_owned()),
    ("Provider", |_, line| provider(line).to_owned()),
    ("PublisherName", |_, line| provider(line).to_owned()),
    ("Publisher", |_, line| provider(line).to_owned()),
    ("RegionId", |_, line| region(line).to_owned()),
    ("RegionName", |_, line| region(line).to_owned()),
    ("ResourceId", |launch, line| format!("{}/{}", launch.id, line.id)),
    ("ResourceID", |launch, line| format!("{}/{}", launch.id, line.id)),
    ("ResourceName", |_, line| line.id.clone()),
    ("ResourceType", |_, line| line.resource.clone()),
    ("ServiceCategory", |_, line| if is_storage(line) { "Storage" } else { "Compute" }.to_owned()),
    (
        "ServiceName",
        |launch, line| if launch.service.is_empty() { line.resource.clone() } else { launch.service.clone() },
    ),
    ("SkuId", |_, line| format!("{}:{}", line.resource, line.kind)),
    ("SkuPriceId", |_, line| format!("{}:{}:{}:{}", line.resource, line.kind, line.place, line.unit)),
    ("SubAccountId", |launch, _| consumer(launch)),
    ("SubAccountName", |launch, _| consumer(launch)),
    ("Tags", |launch, _| tags(launch)),
];

/// What 1.2 has beyond that, as far as a run has it.
const COLUMNS_1_2: &[Cell] = &[
    ("BillingAccountType", |_, _| "Account".to_owned()),
    ("CapacityReservationId", |_, _| String::new()),
    ("CapacityReservationStatus", |_, _| String::new()),
    ("CommitmentDiscountQuantity", |_, line| committed(line, &line.quantity.normalize().to_string())),
    ("CommitmentDiscountUnit", |_, line| committed(line, unit(line))),
    ("InvoiceId", |_, _| String::new()),
    ("PricingCurrency", |launch, _| launch.currency.clone()),
    ("PricingCurrencyContractedUnitPrice", |_, line| per_unit(line.amount, line)),
    ("PricingCurrencyEffectiveCost", |_, line| money(line.amount)),
    ("PricingCurrencyListUnitPrice", |_, line| per_unit(line.list_amount.or(line.amount), line)),
    ("ServiceSubcategory", |_, line| subcategory(line).to_owned()),
    ("SkuMeter", |_, line| meter(line).to_owned()),
    ("SkuPriceDetails", |_, line| json!({ "x_Type": line.kind, "x_Place": line.place }).to_string()),
    ("SubAccountType", |_, _| "Consumer".to_owned()),
];

/// Writes the file.
///
/// # Errors
/// `HW-COST-005` when a text cannot be written, which memory alone could cause.
pub fn export(launches: &[Launch]) -> Result<Export, Problem> {
    let failed =
        |error: &dyn std::fmt::Display| Problem::new("HW-COST-005", "the export cannot be written").because(error);
    let mut writer = csv::Writer::from_writer(Vec::new());
    let columns: Vec<&Cell> = COLUMNS.iter().chain(COLUMNS_1_2).collect();
    writer.write_record(columns.iter().map(|(name, _)| *name)).map_err(|error| failed(&error))?;
    let mut unpriced = 0;
    for launch in launches {
        for line in &launch.lines {
            if line.amount.is_none() {
                unpriced += 1;
                continue;
            }
            for part in by_month(line) {
                let row: Vec<String> = columns.iter().map(|(_, cell)| cell(launch, &part)).collect();
                writer.write_record(row).map_err(|error| failed(&error))?;
            }
        }
    }
    let bytes = writer.into_inner().map_err(|error| failed(&error))?;
    let csv = String::from_utf8(bytes).map_err(|error| failed(&error))?;
    Ok(Export { csv, unpriced })
}

/// The parts of a line by the months that it lies in. What falls to all up to the end of one is rounded, not what falls
/// to each: so they add up, and what is left for the last one is never less than nothing.
fn by_month(line: &BilledLine) -> Vec<BilledLine> {
    let whole = Decimal::from(Span { from: line.from, to: line.to }.ms());
    let (mut parts, mut left) = (Vec::new(), line.clone());
    loop {
        let border = first_of_month(left.from, 1);
        if border >= left.to {
            parts.push(left);
            return parts;
        }
        let before = Decimal::from(Span { from: line.from, to: border }.ms());
        let share = before.checked_div(whole).unwrap_or_default();
        let behind = |all: Decimal| all - rounded(all.checked_mul(share).unwrap_or_default());
        let next = BilledLine {
            from: border,
            quantity: behind(line.quantity),
            amount: line.amount.map(behind),
            list_amount: line.list_amount.map(behind),
            ..left.clone()
        };
        let here = |all: Option<Decimal>, behind: Option<Decimal>| all.zip(behind).map(|(all, behind)| all - behind);
        parts.push(BilledLine {
            to: border,
            quantity: left.quantity - next.quantity,
            amount: here(left.amount, next.amount),
            list_amount: here(left.list_amount, next.list_amount),
            ..left
        });
        left = next;
    }
}

fn money(amount: Option<Decimal>) -> String {
    let mut amount = amount.unwrap_or_default().normalize();
    // Always with a point, so that a column of whole numbers is still one of decimals.
    if amount.scale() == 0 {
        amount.rescale(1);
    }
    amount.to_string()
}

fn per_unit(amount: Option<Decimal>, line: &BilledLine) -> String {
    let price = amount.and_then(|amount| amount.checked_div(line.quantity)).unwrap_or_default();
    money(Some(price.round_dp(10)))
}

/// An account's number with a word before it: without, readers take it for a number and lose its zeros.
fn account(launch: &Launch) -> String {
    format!("account:{}", if launch.account.is_empty() { "none" } else { &launch.account })
}

fn consumer(launch: &Launch) -> String {
    format!("consumer:{}", if launch.consumer.is_empty() { "none" } else { &launch.consumer })
}

fn committed(line: &BilledLine, text: &str) -> String {
    if line.purchase.as_deref() == Some("reserved") { text.to_owned() } else { String::new() }
}

fn pricing(line: &BilledLine) -> &'static str {
    match line.purchase.as_deref() {
        Some("spot") => "Dynamic",
        Some("reserved") => "Committed",
        Some("on_premises") => "Other",
        _ => "Standard",
    }
}

fn unit(line: &BilledLine) -> &'static str {
    match line.unit.as_str() {
        "core_hour" => "Core-Hours",
        "gb_month" => "GB-Months",
        "iops_month" => "IOPS-Months",
        "mibps_month" => "MiBps-Months",
        _ => "Hours",
    }
}

fn is_storage(line: &BilledLine) -> bool {
    matches!(line.resource.as_str(), "volume" | "file_system")
}

fn subcategory(line: &BilledLine) -> &'static str {
    match line.resource.as_str() {
        "instance" => "Virtual Machines",
        "volume" => "Block Storage",
        "file_system" => "File Storage",
        _ => "Containers",
    }
}

fn meter(line: &BilledLine) -> &'static str {
    match line.resource.as_str() {
        "instance" => "Machine Time",
        "cluster" => "Control Plane Time",
        _ => "Provisioned Storage",
    }
}

fn provider(line: &BilledLine) -> &'static str {
    if line.purchase.as_deref() == Some("on_premises") { "On Premises" } else { "AWS" }
}

/// A spot price's place is a zone, which lies in a region.
fn region(line: &BilledLine) -> &str {
    match line.purchase.as_deref() {
        Some("spot") => batch::region(&line.place),
        _ => &line.place,
    }
}

fn tags(launch: &Launch) -> String {
    let tags: BTreeMap<&str, &str> = BTreeMap::from([
        ("run", launch.id.as_str()),
        ("workflow", launch.workflow.as_str()),
        ("dataset", launch.dataset.as_str()),
        ("consumer", launch.consumer.as_str()),
    ]);
    json!(tags).to_string()
}

/// Whole seconds, which is as fine as the format's examples are: that of a beginning, and of an end the one behind it, so
/// that all of a charge lies in its period.
fn moment(at: Time) -> String {
    Time(at.0.div_euclid(1_000) * 1_000).to_string()
}

/// As text, a billing period's border.
fn month(at: Time, behind: i64) -> String {
    first_of_month(at, behind).to_string()
}

/// The first moment of the month that a moment lies in, or of one behind it.
fn first_of_month(at: Time, behind: i64) -> Time {
    let (year, month, _) = civil_from_days(Micros::from_millis(at.0).day());
    let months = year * 12 + month - 1 + behind;
    let day = days_from_civil(months.div_euclid(12), months.rem_euclid(12) + 1, 1);
    Time(day * 86_400_000)
}

#[cfg(test)]
mod tests;
