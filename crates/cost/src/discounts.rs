//! Discounts from a file: JSON or CSV in, rules by account out.
//!
//! JSON is a list of rules, or of the documents of the table `discounts` (`{account, rules}`). CSV has the columns
//! `account, resource, purchase, type, percent, from, to`, in any order; all but `account` and `percent` may be left out,
//! and an empty cell is none.

use std::collections::BTreeMap;

use headwater_base::Problem;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::Value;

use crate::book::{Book, Discount, Resource};
use crate::engines::refused;
use crate::functions::typed;
use crate::lists::rows;
use crate::time::Time;
use crate::usage::Purchase;

/// A row of CSV.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    account: String,
    #[serde(default)]
    resource: Option<Resource>,
    #[serde(default)]
    purchase: Option<Purchase>,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    percent: String,
    #[serde(default)]
    from: Option<Time>,
    #[serde(default)]
    to: Option<Time>,
}

/// A document of the table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Account {
    account: String,
    rules: Vec<Discount>,
}

/// Reads the rules of one file.
///
/// # Errors
/// `HW-COST-002` with the place of what cannot be read, `HW-COST-003` for a rule that cannot be.
pub fn read(bytes: &[u8]) -> Result<Vec<Discount>, Problem> {
    let is_json = bytes.trim_ascii_start().first().is_some_and(|byte| b"[{".contains(byte));
    let rules = if is_json { json(bytes)? } else { csv(bytes)? };
    if let Some(rule) = rules.iter().find(|rule| matches!(rule.account.trim(), "" | "-")) {
        return Err(impossible("a discount of no account", &rule.account));
    }
    if let Some(rule) = rules.iter().find(|rule| rule.from.zip(rule.to).is_some_and(|(from, to)| to <= from)) {
        return Err(impossible("a discount ends before it begins", &rule.account));
    }
    // The book knows what a percentage can be.
    Book::new("", Vec::new(), rules.clone())?;
    Ok(rules)
}

/// The rules of each account, in their order.
pub fn by_account(rules: Vec<Discount>) -> BTreeMap<String, Vec<Discount>> {
    let mut accounts: BTreeMap<String, Vec<Discount>> = BTreeMap::new();
    for rule in rules {
        accounts.entry(rule.account.clone()).or_default().push(rule);
    }
    accounts
}

fn json(bytes: &[u8]) -> Result<Vec<Discount>, Problem> {
    let document: Value =
        serde_json::from_slice(bytes).map_err(|error| refused("", error.line(), error.to_string()))?;
    let listed = match document {
        Value::Array(list) => list,
        one => vec![one],
    };
    let mut rules = Vec::new();
    for (at, one) in listed.iter().enumerate() {
        let place = format!("[{at}]");
        if one.get("rules").is_none() {
            rules.push(typed(one, "HW-COST-002", &place)?);
            continue;
        }
        let document: Account = typed(one, "HW-COST-002", &place)?;
        if document.rules.iter().any(|rule| rule.account != document.account) {
            return Err(impossible("a rule of another account", &document.account));
        }
        rules.extend(document.rules);
    }
    Ok(rules)
}

fn csv(bytes: &[u8]) -> Result<Vec<Discount>, Problem> {
    let mut rules = Vec::new();
    for row in rows::<Row>(bytes) {
        let (line, row) = row?;
        let percent = Decimal::from_str_exact(row.percent.trim_end_matches([' ', '%']));
        rules.push(Discount {
            account: row.account,
            resource: row.resource,
            purchase: row.purchase,
            kind: row.kind.filter(|kind| !kind.is_empty()),
            percent: percent.map_err(|error| refused("csv", line, format!("`percent` is no number: {error}")))?,
            from: row.from,
            to: row.to,
        });
    }
    Ok(rules)
}

fn impossible(fact: &str, account: &str) -> Problem {
    Problem::new("HW-COST-003", format!("a price cannot be: {fact}")).at(format!("Discount/{account}"), 0, 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(rules: &[Discount]) -> Vec<String> {
        let word = |value: serde_json::Value| value.as_str().unwrap_or("any").to_owned();
        rules
            .iter()
            .map(|rule| {
                let (resource, from) = (word(serde_json::json!(rule.resource)), word(serde_json::json!(rule.from)));
                format!("{} {resource} {from} {}", rule.account, rule.percent.normalize())
            })
            .collect()
    }

    #[test]
    fn rules_come_as_a_list_as_documents_and_as_csv() {
        let list = br#" [{"account": "a", "percent": "9.5"}, {"account": "b", "resource": "volume", "percent": "3"}]"#;
        assert_eq!(shown(&read(list).unwrap()), ["a any any 9.5", "b volume any 3"]);
        let document = br#"{"account": "a", "rules": [{"account": "a", "percent": "2"}]}"#;
        assert_eq!(shown(&read(document).unwrap()), ["a any any 2"]);
        let text = b"percent,account,resource,from\n12.5 %,a,,2026-01-01T00:00:00Z\n1,b,instance,\n";
        let rules = read(text).unwrap();
        assert_eq!(shown(&rules), ["a any 2026-01-01T00:00:00Z 12.5", "b instance any 1"]);
        assert_eq!(by_account(rules).into_keys().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_place() {
        let told = |bytes: &[u8]| {
            let problem = read(bytes).unwrap_err();
            let place = problem.place.unwrap();
            (problem.code, place.path, place.line)
        };
        let code = |code: &str, path: &str, line: u32| (code.to_owned(), path.to_owned(), line);
        assert_eq!(told(b"account,percent\na,lots\n"), code("HW-COST-002", "csv", 2));
        assert_eq!(told(b"account,rate\na,1\n"), code("HW-COST-002", "csv", 2));
        assert_eq!(told(b"[\n{]"), code("HW-COST-002", "", 2));
        assert_eq!(told(b"account,percent\na,101\n"), code("HW-COST-003", "Discount/a", 0));
        assert_eq!(told(b"account,percent\n-,1\n"), code("HW-COST-003", "Discount/-", 0));
        let ends = b"account,percent,from,to\na,1,2026-02-01T00:00:00Z,2026-01-01T00:00:00Z\n";
        assert_eq!(told(ends), code("HW-COST-003", "Discount/a", 0));
        let other = br#"{"account": "a", "rules": [{"account": "b", "percent": "2"}]}"#;
        assert_eq!(told(other), code("HW-COST-003", "Discount/a", 0));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fall(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "[\\[\\]{}\",:a-z0-9.\n]{0,200}") {
            for bytes in [bytes.as_slice(), text.as_bytes()] {
                let _ = read(bytes);
            }
        }
    }
}
