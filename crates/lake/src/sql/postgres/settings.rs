//! How long a connection lets its statements take, set and shown in PostgreSQL's words.
//!
//! It is set in the packet that a connection begins with, by `SET`, and by `SET LOCAL` for a transaction. What it is NOT:
//! more than the node allows; a statement ends at whichever of the two is earlier.
//!
//! # Source
//! PostgreSQL 17, "Parameter Names and Values", `parse_int` and `convert_int_from_base_unit` in `guc.c`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use datafusion::common::ParamValues;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::{ContextModifier, DiscardObject, Expr, Reset, Set, Statement};
use datafusion_postgres::hooks::{HookClient, QueryHook};
use datafusion_postgres::pgwire::api::ClientInfo;
use datafusion_postgres::pgwire::api::Type;
use datafusion_postgres::pgwire::api::results::{DataRowEncoder, FieldFormat, FieldInfo, QueryResponse, Response, Tag};
use datafusion_postgres::pgwire::error::PgWireResult;
use datafusion_postgres::pgwire::messages::data::DataRow;
use datafusion_postgres::pgwire::messages::response::TransactionStatus;
use futures::stream;
use headwater_base::Problem;

use super::told;
use crate::sql::fault;

/// What it is called, where a connection keeps it too.
const TIMEOUT: &str = "statement_timeout";
/// Where a connection keeps what is set for a transaction.
const LOCAL: &str = "statement_timeout of the transaction";
/// The largest, in milliseconds.
const MS_MAX: f64 = 2_147_483_647.0;
/// Units and their milliseconds, the largest first.
const UNITS: [(&str, u32); 5] = [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000), ("ms", 1)];

/// How long a client lets its statements take.
pub fn bound_of(client: &impl ClientInfo) -> Option<Duration> {
    let bound = milliseconds(set_by(client)?).ok().filter(|ms| *ms > 0)?;
    Some(Duration::from_millis(bound.into()))
}

/// What holds now.
fn set_by<C: ClientInfo + ?Sized>(client: &C) -> Option<&str> {
    let local = client.metadata().get(LOCAL).filter(|_| client.transaction_status() != TransactionStatus::Idle);
    local.or_else(|| client.metadata().get(TIMEOUT)).map(String::as_str)
}

/// The milliseconds that a value means; none is none.
fn milliseconds(text: &str) -> Result<u32, Problem> {
    let trimmed = text.trim();
    let end = trimmed.find(|one: char| !(one.is_ascii_digit() || "+-.".contains(one))).unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(end);
    let factor = match unit.trim() {
        "" => 1.0,
        "us" => 0.001,
        unit => match UNITS.iter().find(|(name, _)| *name == unit) {
            Some((_, factor)) => f64::from(*factor),
            None => return Err(fault::no_setting(TIMEOUT, text)),
        },
    };
    let number: f64 = number.parse().map_err(|_| fault::no_setting(TIMEOUT, text))?;
    let value = (number * factor).round_ties_even();
    if !(0.0..=MS_MAX).contains(&value) {
        return Err(fault::far_setting(TIMEOUT, value));
    }
    Ok(value as u32)
}

/// A value in the largest unit that has no rest.
fn shown(ms: u32) -> String {
    let unit = UNITS.iter().find(|(_, factor)| ms != 0 && ms.is_multiple_of(*factor));
    unit.map_or_else(|| ms.to_string(), |(unit, factor)| format!("{}{unit}", ms / factor))
}

/// Sets and shows it.
pub struct Settings;

impl Settings {
    fn set(client: &mut dyn HookClient, scope: Option<ContextModifier>, values: &[Expr]) -> PgWireResult<Response> {
        let place = if scope == Some(ContextModifier::Local) { LOCAL } else { TIMEOUT };
        let text = match values {
            [value] => value.to_string(),
            _ => return Err(told(&fault::no_setting(TIMEOUT, "a list"))),
        };
        if text.eq_ignore_ascii_case("default") {
            client.metadata_mut().remove(place);
        } else {
            let ms = milliseconds(text.trim_matches('\'')).map_err(|problem| told(&problem))?;
            // Outside a transaction there is nothing that it would be set for.
            if place == TIMEOUT || client.transaction_status() != TransactionStatus::Idle {
                client.metadata_mut().insert(place.to_owned(), shown(ms));
            }
        }
        if place == TIMEOUT {
            client.metadata_mut().remove(LOCAL);
        }
        Ok(Response::Execution(Tag::new("SET")))
    }

    fn show(client: &dyn HookClient) -> PgWireResult<Response> {
        let ms = set_by(client).and_then(|text| milliseconds(text).ok()).unwrap_or(0);
        let fields = vec![FieldInfo::new(TIMEOUT.to_owned(), None, None, Type::TEXT, FieldFormat::Text)];
        let (fields, text) = (Arc::new(fields), shown(ms));
        let mut encoder = DataRowEncoder::new(Arc::clone(&fields));
        encoder.encode_field(&Some(text.as_str()))?;
        let row: PgWireResult<DataRow> = Ok(encoder.take_row());
        Ok(Response::Query(QueryResponse::new(fields, stream::iter([row]))))
    }
}

/// Whether a name is that of the setting.
fn is_timeout(name: &str) -> bool {
    name.trim_matches('"').eq_ignore_ascii_case(TIMEOUT)
}

#[async_trait]
impl QueryHook for Settings {
    async fn handle_simple_query(
        &self,
        statement: &Statement,
        _: &SessionContext,
        client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        match statement {
            Statement::Set(Set::SingleAssignment { scope, hivevar: false, variable, values })
                if is_timeout(&variable.to_string()) =>
            {
                Some(Self::set(client, *scope, values))
            }
            Statement::ShowVariable { variable } => match variable.as_slice() {
                [name] if is_timeout(&name.value) => Some(Self::show(client)),
                _ => None,
            },
            Statement::Reset(reset) => {
                if matches!(&reset.reset, Reset::ALL)
                    || matches!(&reset.reset, Reset::ConfigurationParameter(name) if is_timeout(&name.to_string()))
                {
                    client.metadata_mut().remove(TIMEOUT);
                    client.metadata_mut().remove(LOCAL);
                }
                None
            }
            Statement::Discard { object_type: DiscardObject::ALL } => {
                client.metadata_mut().remove(TIMEOUT);
                None
            }
            Statement::StartTransaction { .. } if client.transaction_status() == TransactionStatus::Idle => {
                client.metadata_mut().remove(LOCAL);
                None
            }
            _ => None,
        }
    }

    async fn handle_extended_parse_query(
        &self,
        _: &Statement,
        _: &SessionContext,
        _: &(dyn ClientInfo + Send + Sync),
    ) -> Option<PgWireResult<LogicalPlan>> {
        None
    }

    async fn handle_extended_query(
        &self,
        statement: &Statement,
        _: &LogicalPlan,
        _: &ParamValues,
        context: &SessionContext,
        client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        self.handle_simple_query(statement, context, client).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_mean_what_they_mean_to_postgresql() {
        let all = [
            ("5min", 300_000),
            ("1500", 1_500),
            ("2 s", 2_000),
            (" 1.5h ", 5_400_000),
            ("1d", 86_400_000),
            ("250ms", 250),
            ("1500us", 2),
            ("400us", 0),
            ("0", 0),
        ];
        for (text, expected) in all {
            assert_eq!(milliseconds(text).map_err(|problem| problem.title), Ok(expected), "{text}");
        }
        for text in ["", "5 minutes", "5MIN", "s", "--5", "1e400", "-1", "25d", "NaN"] {
            assert_eq!(milliseconds(text).err().map(|problem| problem.code), Some("HW-LAKE-099".to_owned()), "{text}");
        }
        let shown = [0, 300_000, 1_500, 90_000, 7_200_000].map(shown);
        assert_eq!(shown, ["0", "5min", "1500ms", "90s", "2h"]);
    }
}
