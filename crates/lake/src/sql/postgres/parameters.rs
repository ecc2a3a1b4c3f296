//! The values that a client binds to the parameters of a statement.
//!
//! A value stays what it is. It becomes one of the type that the statement has for its parameter where that type holds it
//! exactly; otherwise it keeps its own, and the engine compares the two or casts it, as it does with a literal. What neither
//! holds is refused: nothing is rounded, cut or wrapped around. Moments and bytes as text are read by what
//! speaks the protocol.
//!
//! # Source
//! PostgreSQL 17, the functions `…_recv` and `…_in` in `src/backend/utils/adt`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Display;
use std::num::{IntErrorKind, ParseIntError};
use std::sync::Arc;

use arrow::compute::kernels::cast_utils::string_to_time_nanoseconds;
use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use arrow_array::temporal_conversions::{date32_to_datetime, timestamp_us_to_datetime};
use bytes::Bytes;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::common::{DataFusionError, ParamValues, Result, ScalarValue};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion_postgres::arrow_pg::datatypes::df::deserialize_parameters;
use datafusion_postgres::arrow_pg::datatypes::into_pg_type;
use datafusion_postgres::pgwire::api::Type;
use datafusion_postgres::pgwire::api::portal::Portal;
use datafusion_postgres::pgwire::api::stmt::StoredStatement;
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use tokio_postgres::types::Kind;
use uuid::Uuid;

use arrays::{ITEMS_MAX, Refused};

use super::decimal::{Decimal, Said, room};
use super::told;
use crate::sql::fault;
use crate::sql::streams::ZONE;

mod arrays;
mod intervals;

/// How a `jsonb` begins in the binary format.
const JSONB_VERSION: u8 = 1;
/// The days from 1970 to 2000, when PostgreSQL begins to count.
const DAYS_TO_2000: i32 = 10_957;
const DAY_MICROS: i64 = 86_400_000_000;

/// A plan with the values that a portal has for its parameters.
///
/// # Errors
/// `HW-LAKE-102`, `-103`, `-105`, `-106`, `-107`, and what the engine says.
pub fn filled<S>(plan: &LogicalPlan, portal: &Portal<S>) -> PgWireResult<LogicalPlan> {
    let known = known(plan).map_err(failed)?;
    let values = portal.parameters.iter().enumerate().map(|(at, value)| {
        let target = known.get(&format!("${}", at + 1)).and_then(Option::as_ref);
        let target = target.filter(|kind| **kind != DataType::Null);
        let is_binary = portal.parameter_format.is_binary(at);
        let named = portal.statement.parameter_types.get(at).cloned().flatten();
        let kind = match named {
            Some(Type::UNKNOWN) if is_binary || target.is_none() => Type::UNKNOWN,
            None | Some(Type::UNKNOWN) => target.map_or(Type::UNKNOWN, wire_type),
            Some(kind) => kind,
        };
        let parameter = Parameter { number: at + 1, kind: &kind, target };
        match value {
            None => parameter.none(),
            Some(bytes) if is_binary => parameter.binary(bytes),
            Some(bytes) => parameter.text(bytes),
        }
    });
    let values: Vec<ScalarValue> = values.collect::<PgWireResult<_>>()?;
    plan.clone().replace_params_with_values(&ParamValues::from(values)).map_err(failed)
}

/// The types that a client is told of the parameters of a plan.
///
/// # Errors
/// What the engine says.
pub fn types(plan: &LogicalPlan) -> PgWireResult<Vec<Type>> {
    let known = known(plan).map_err(failed)?;
    let number = |name: &String| name.strip_prefix('$').and_then(|number| number.parse::<u16>().ok());
    let last = known.keys().filter_map(number).max().unwrap_or(0);
    let kind = |number: u16| known.get(&format!("${number}")).and_then(Option::as_ref).map_or(Type::UNKNOWN, wire_type);
    Ok((1..=last).map(kind).collect())
}

/// The parameters of a plan, and their types where what they stand beside, or a cast, says them.
fn known(plan: &LogicalPlan) -> Result<HashMap<String, Option<DataType>>> {
    let mut types = plan.get_parameter_types()?;
    if types.values().all(Option::is_some) {
        return Ok(types);
    }
    plan.apply(|node| {
        for expression in node.expressions() {
            expression.apply(|one| {
                if let Expr::Cast(cast) = one
                    && let Expr::Placeholder(parameter) = &*cast.expr
                {
                    let kind = types.entry(parameter.id.clone()).or_default();
                    if kind.is_none() {
                        *kind = Some(cast.field.data_type().clone());
                    }
                }
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(types)
}

fn failed(error: DataFusionError) -> PgWireError {
    PgWireError::ApiError(Box::new(error))
}

/// The type as which a client sends what the engine has this type for.
fn wire_type(kind: &DataType) -> Type {
    match kind {
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal256(..) => Type::NUMERIC,
        other => into_pg_type(other).unwrap_or(Type::UNKNOWN),
    }
}

/// The engine's type for values of a type of PostgreSQL; none where each value has its own.
fn own_type(kind: &Type) -> Option<DataType> {
    Some(match *kind {
        Type::BOOL => DataType::Boolean,
        Type::INT2 => DataType::Int16,
        Type::INT4 => DataType::Int32,
        Type::INT8 | Type::OID => DataType::Int64,
        Type::FLOAT4 => DataType::Float32,
        Type::FLOAT8 => DataType::Float64,
        Type::BYTEA => DataType::Binary,
        Type::DATE => DataType::Date32,
        Type::TIME => DataType::Time64(TimeUnit::Microsecond),
        Type::TIMESTAMP => DataType::Timestamp(TimeUnit::Microsecond, None),
        Type::TIMESTAMPTZ => DataType::Timestamp(TimeUnit::Microsecond, Some(ZONE.into())),
        Type::INTERVAL => DataType::Interval(IntervalUnit::MonthDayNano),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::CHAR | Type::UNKNOWN => DataType::Utf8,
        Type::UUID | Type::JSON | Type::JSONB => DataType::Utf8,
        _ => match kind.kind() {
            Kind::Array(item) => DataType::new_list(own_type(item)?, true),
            _ => return None,
        },
    })
}

/// A parameter, or an item of one.
#[derive(Clone, Copy)]
struct Parameter<'a> {
    /// From 1.
    number: usize,
    /// What the client sends.
    kind: &'a Type,
    /// What the statement has there.
    target: Option<&'a DataType>,
}

impl<'a> Parameter<'a> {
    /// No value.
    fn none(self) -> PgWireResult<ScalarValue> {
        let kind = self.target.cloned().or_else(|| own_type(self.kind));
        kind.map_or(Ok(ScalarValue::Null), |kind| ScalarValue::try_from(&kind).map_err(failed))
    }

    fn binary(self, bytes: &[u8]) -> PgWireResult<ScalarValue> {
        match *self.kind {
            Type::BOOL => Ok(ScalarValue::Boolean(Some(self.fixed::<1>(bytes)? != [0]))),
            Type::INT2 => self.whole(i16::from_be_bytes(self.fixed(bytes)?).into()),
            Type::INT4 => self.whole(i32::from_be_bytes(self.fixed(bytes)?).into()),
            Type::INT8 => self.whole(i64::from_be_bytes(self.fixed(bytes)?).into()),
            Type::OID => self.whole(u32::from_be_bytes(self.fixed(bytes)?).into()),
            Type::FLOAT4 => self.float(f32::from_be_bytes(self.fixed(bytes)?).into()),
            Type::FLOAT8 => self.float(f64::from_be_bytes(self.fixed(bytes)?)),
            Type::NUMERIC => self.decimal(&Decimal::received(bytes).ok_or_else(|| self.unread())?),
            Type::BYTEA => Ok(ScalarValue::Binary(Some(bytes.to_vec()))),
            Type::UUID => self.string(&Uuid::from_slice(bytes).map_err(|_| self.unread())?.to_string()),
            Type::JSONB => match bytes.split_first() {
                Some((&JSONB_VERSION, json)) => self.utf8(json),
                _ => Err(self.unread()),
            },
            Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::CHAR | Type::JSON | Type::UNKNOWN => {
                self.utf8(bytes)
            }
            Type::DATE => self.date(i32::from_be_bytes(self.fixed(bytes)?)),
            Type::TIME => self.time(i64::from_be_bytes(self.fixed(bytes)?)),
            Type::TIMESTAMP | Type::TIMESTAMPTZ => self.moment(since_1970(i64::from_be_bytes(self.fixed(bytes)?))),
            Type::INTERVAL => self.interval(self.fixed(bytes)?),
            _ => match self.kind.kind() {
                Kind::Array(item) => {
                    let items = arrays::received(bytes, item.oid()).ok_or_else(|| self.unread())?;
                    self.list(item, &items.map_err(|why| self.no_array(&why))?, true)
                }
                _ => Err(told(&fault::no_kind(self.number, self.kind.name()))),
            },
        }
    }

    fn text(self, bytes: &[u8]) -> PgWireResult<ScalarValue> {
        let text = str::from_utf8(bytes).map_err(|_| self.unread())?;
        match *self.kind {
            Type::INT2 | Type::INT4 | Type::INT8 | Type::OID => {
                let number: i128 = text.trim().parse().map_err(|error: ParseIntError| match error.kind() {
                    IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => self.refused(text, self.kind.name()),
                    _ => self.unreadable(text),
                })?;
                let is_one = match *self.kind {
                    Type::INT2 => i16::try_from(number).is_ok(),
                    Type::INT4 => i32::try_from(number).is_ok(),
                    Type::OID => u32::try_from(number).is_ok(),
                    _ => i64::try_from(number).is_ok(),
                };
                if is_one { self.whole(number) } else { Err(self.refused(text, self.kind.name())) }
            }
            Type::FLOAT4 | Type::FLOAT8 => match Decimal::written(text).ok_or_else(|| self.unreadable(text))? {
                // From the text: a decimal number has no zero below zero.
                Ok(_) => {
                    let float = match *self.kind {
                        Type::FLOAT4 => text.trim().parse::<f32>().ok().map(f64::from),
                        _ => text.trim().parse::<f64>().ok(),
                    };
                    let float = float.filter(|float| float.is_finite());
                    self.float(float.ok_or_else(|| self.refused(text, self.kind.name()))?)
                }
                Err(float) => self.float(float),
            },
            Type::NUMERIC => self.decimal(&Decimal::written(text).ok_or_else(|| self.unreadable(text))?),
            Type::BOOL => Ok(ScalarValue::Boolean(Some(boolean(text).ok_or_else(|| self.unreadable(text))?))),
            Type::TIME => {
                let nanos = string_to_time_nanoseconds(text.trim()).map_err(|_| self.unreadable(text))?;
                match nanos % 1_000 {
                    0 => self.time(nanos / 1_000),
                    _ => Ok(ScalarValue::Time64Nanosecond(Some(nanos))),
                }
            }
            Type::INTERVAL => match intervals::written(text) {
                Ok(it) => Ok(ScalarValue::new_interval_mdn(it.months, it.days, it.nanos)),
                Err(intervals::Refused::Far) => Err(self.out_of_range()),
                Err(intervals::Refused::Unreadable) => Err(self.unreadable(text)),
            },
            Type::BYTEA | Type::DATE | Type::TIMESTAMP | Type::TIMESTAMPTZ => self.by_codec(bytes),
            // Of what may be an array nothing else says that it is one; JSON is none.
            Type::UNKNOWN if text.starts_with('{') => match arrays::written(text) {
                Some(items) => {
                    let item = Type::TEXT;
                    self.list(&item, &items.map_err(|why| self.no_array(&why))?, false)
                }
                None => self.string(text),
            },
            _ => match self.kind.kind() {
                Kind::Array(item) => {
                    let items = arrays::written(text).ok_or_else(|| self.unreadable(text))?;
                    self.list(item, &items.map_err(|why| self.no_array(&why))?, false)
                }
                _ => self.string(text),
            },
        }
    }

    /// What the codec makes of it, in the type that is wanted where that holds it.
    fn by_codec(self, bytes: &[u8]) -> PgWireResult<ScalarValue> {
        let mut portal = Portal::<String>::default();
        let types = vec![Some(self.kind.clone())];
        portal.statement = Arc::new(StoredStatement::new(String::new(), String::new(), types));
        portal.parameters = vec![Some(Bytes::copy_from_slice(bytes))];
        // Told of the type that is wanted, it would cut what that does not hold.
        let read = match deserialize_parameters(&portal, &[None])? {
            ParamValues::List(values) => values.into_iter().next().map(|one| one.value),
            ParamValues::Map(_) => None,
        };
        match read {
            Some(ScalarValue::TimestampMicrosecond(Some(micros), _)) => self.moment(Some(micros)),
            Some(value) if !value.is_null() => Ok(value),
            _ => Err(self.out_of_range()),
        }
    }

    fn whole(self, number: i128) -> PgWireResult<ScalarValue> {
        match self.target {
            Some(DataType::Timestamp(unit, zone)) => {
                // Seconds, as the engine has it where it casts one.
                let micros = i64::try_from(number).ok().and_then(|seconds| seconds.checked_mul(1_000_000));
                self.instant(micros, unit, zone.as_ref())
            }
            Some(target @ (DataType::Float32 | DataType::Float64)) => {
                // Beyond 2^53 not every whole number is one.
                let float = number as f64;
                let is_exact = float as i128 == number && (*target == DataType::Float64 || is_narrow(float));
                if is_exact { self.float(float) } else { self.own_whole(number) }
            }
            Some(target) if target.is_integer() => {
                integer(number, target).ok_or_else(|| self.refused(&number.to_string(), target))
            }
            Some(DataType::Decimal128(digits, scale) | DataType::Decimal256(digits, scale)) => {
                let scaled = Decimal::whole(number).scaled(*digits, *scale);
                scaled.map_or_else(|| self.own_whole(number), Ok)
            }
            _ => self.own_whole(number),
        }
    }

    /// A whole number as what the client sent.
    fn own_whole(self, number: i128) -> PgWireResult<ScalarValue> {
        let own = own_type(self.kind).and_then(|own| integer(number, &own));
        own.ok_or_else(|| self.refused(&number.to_string(), self.kind.name()))
    }

    fn float(self, number: f64) -> PgWireResult<ScalarValue> {
        match self.target {
            Some(target) if target.is_integer() => {
                let is_whole = number.fract() == 0.0 && number.abs() < 1e38;
                let held = is_whole.then_some(number as i128).and_then(|number| integer(number, target));
                held.ok_or_else(|| self.refused(&number.to_string(), target))
            }
            Some(DataType::Float64) => Ok(ScalarValue::Float64(Some(number))),
            Some(DataType::Float32) if is_narrow(number) => Ok(ScalarValue::Float32(Some(number as f32))),
            _ if *self.kind == Type::FLOAT4 => Ok(ScalarValue::Float32(Some(number as f32))),
            _ => Ok(ScalarValue::Float64(Some(number))),
        }
    }

    fn decimal(self, said: &Said) -> PgWireResult<ScalarValue> {
        let is_float = matches!(self.target, Some(DataType::Float32 | DataType::Float64));
        let number = match said {
            Ok(number) => number,
            Err(float) if is_float => return Ok(ScalarValue::Float64(Some(*float))),
            Err(float) => return Err(self.refused(&float.to_string(), self.kind.name())),
        };
        let refused = |by: &dyn Display| self.refused(&number.to_string(), by);
        match self.target {
            Some(target) if target.is_integer() => {
                number.integer().and_then(|number| integer(number, target)).ok_or_else(|| refused(target))
            }
            // The nearest one, as PostgreSQL has it where it compares the two.
            Some(target) if is_float => {
                number.float().map(|float| ScalarValue::Float64(Some(float))).ok_or_else(|| refused(target))
            }
            Some(DataType::Decimal128(digits, scale) | DataType::Decimal256(digits, scale)) => {
                let own = || room(&[number]).and_then(|(digits, scale)| number.scaled(digits, scale));
                number.scaled(*digits, *scale).or_else(own).ok_or_else(|| refused(&self.kind.name()))
            }
            _ => {
                let own = room(&[number]).and_then(|(digits, scale)| number.scaled(digits, scale));
                own.ok_or_else(|| refused(&self.kind.name()))
            }
        }
    }

    fn utf8(self, bytes: &[u8]) -> PgWireResult<ScalarValue> {
        self.string(str::from_utf8(bytes).map_err(|_| self.unread())?)
    }

    fn string(self, text: &str) -> PgWireResult<ScalarValue> {
        Ok(match self.target {
            Some(DataType::LargeUtf8) => ScalarValue::LargeUtf8(Some(text.to_owned())),
            _ => ScalarValue::Utf8(Some(text.to_owned())),
        })
    }

    /// Days since 2000; the outermost are the infinite ones.
    fn date(self, days: i32) -> PgWireResult<ScalarValue> {
        let days = days.checked_add(DAYS_TO_2000).filter(|_| days != i32::MIN);
        let days = days.filter(|days| date32_to_datetime(*days).is_some());
        Ok(ScalarValue::Date32(Some(days.ok_or_else(|| self.out_of_range())?)))
    }

    /// Microseconds of a day.
    fn time(self, micros: i64) -> PgWireResult<ScalarValue> {
        if !(0..DAY_MICROS).contains(&micros) {
            return Err(if micros == DAY_MICROS { self.out_of_range() } else { self.unread() });
        }
        let small = |unit: i64| i32::try_from(micros / unit).ok().filter(|_| micros % unit == 0);
        Ok(match self.target {
            Some(DataType::Time64(TimeUnit::Nanosecond)) => ScalarValue::Time64Nanosecond(Some(micros * 1_000)),
            Some(DataType::Time32(TimeUnit::Millisecond)) if micros % 1_000 == 0 => {
                ScalarValue::Time32Millisecond(small(1_000))
            }
            Some(DataType::Time32(TimeUnit::Second)) if micros % 1_000_000 == 0 => {
                ScalarValue::Time32Second(small(1_000_000))
            }
            _ => ScalarValue::Time64Microsecond(Some(micros)),
        })
    }

    /// Microseconds since 1970.
    fn moment(self, micros: Option<i64>) -> PgWireResult<ScalarValue> {
        let zone: Option<Arc<str>> = (*self.kind == Type::TIMESTAMPTZ).then(|| ZONE.into());
        match self.target {
            Some(DataType::Timestamp(unit, zone)) => self.instant(micros, unit, zone.as_ref()),
            _ => self.instant(micros, &TimeUnit::Microsecond, zone.as_ref()),
        }
    }

    /// Microseconds since 1970 in a unit, or as they are where it does not hold all of them.
    fn instant(self, micros: Option<i64>, unit: &TimeUnit, zone: Option<&Arc<str>>) -> PgWireResult<ScalarValue> {
        let micros = micros.filter(|micros| timestamp_us_to_datetime(*micros).is_some());
        let micros = micros.ok_or_else(|| self.out_of_range())?;
        let zone = zone.cloned();
        Ok(match unit {
            TimeUnit::Nanosecond => {
                let nanos = micros.checked_mul(1_000).ok_or_else(|| self.out_of_range())?;
                ScalarValue::TimestampNanosecond(Some(nanos), zone)
            }
            TimeUnit::Millisecond if micros % 1_000 == 0 => {
                ScalarValue::TimestampMillisecond(Some(micros / 1_000), zone)
            }
            TimeUnit::Second if micros % 1_000_000 == 0 => ScalarValue::TimestampSecond(Some(micros / 1_000_000), zone),
            _ => ScalarValue::TimestampMicrosecond(Some(micros), zone),
        })
    }

    /// Microseconds, days and months.
    fn interval(self, bytes: [u8; 16]) -> PgWireResult<ScalarValue> {
        let [m0, m1, m2, m3, m4, m5, m6, m7, d0, d1, d2, d3, n0, n1, n2, n3] = bytes;
        let micros = i64::from_be_bytes([m0, m1, m2, m3, m4, m5, m6, m7]);
        let (days, months) = (i32::from_be_bytes([d0, d1, d2, d3]), i32::from_be_bytes([n0, n1, n2, n3]));
        let nanos = micros.checked_mul(1_000).ok_or_else(|| self.out_of_range())?;
        Ok(ScalarValue::new_interval_mdn(months, days, nanos))
    }

    /// The items of an array, which have one type.
    fn list(self, item: &'a Type, items: &[Option<Cow<'_, [u8]>>], is_binary: bool) -> PgWireResult<ScalarValue> {
        let read = |kind: &DataType| {
            let one = Parameter { number: self.number, kind: item, target: Some(kind) };
            let values = items.iter().map(|value| match value {
                None => one.none(),
                Some(bytes) if is_binary => one.binary(bytes),
                Some(bytes) => one.text(bytes),
            });
            let values = values.collect::<PgWireResult<Vec<_>>>()?;
            let is_one = values.iter().all(|value| value.data_type() == *kind);
            PgWireResult::Ok(is_one.then(|| ScalarValue::List(ScalarValue::new_list_nullable(&values, kind))))
        };
        let wanted = match self.target {
            Some(
                DataType::List(item)
                | DataType::LargeList(item)
                | DataType::FixedSizeList(item, _)
                | DataType::ListView(item)
                | DataType::LargeListView(item),
            ) if *item.data_type() != DataType::Null => read(item.data_type())?,
            _ => None,
        };
        if let Some(list) = wanted {
            return Ok(list);
        }
        let own = if *item == Type::NUMERIC { self.decimals(items, is_binary)? } else { own_type(item) };
        let own = own.ok_or_else(|| told(&fault::no_kind(self.number, self.kind.name())))?;
        read(&own)?.ok_or_else(|| self.unread())
    }

    /// The type of decimals that holds all of these.
    fn decimals(self, items: &[Option<Cow<'_, [u8]>>], is_binary: bool) -> PgWireResult<Option<DataType>> {
        let mut numbers = Vec::new();
        for bytes in items.iter().flatten() {
            let said = if is_binary {
                Decimal::received(bytes).ok_or_else(|| self.unread())?
            } else {
                let text = str::from_utf8(bytes).map_err(|_| self.unread())?;
                Decimal::written(text).ok_or_else(|| self.unreadable(text))?
            };
            numbers.push(said.map_err(|float| self.refused(&float.to_string(), self.kind.name()))?);
        }
        let (digits, scale) = room(&numbers.iter().collect::<Vec<_>>())
            .ok_or_else(|| self.refused("of too many digits", self.kind.name()))?;
        Ok(Decimal::whole(0).scaled(digits, scale).map(|zero| zero.data_type()))
    }

    fn fixed<const N: usize>(self, bytes: &[u8]) -> PgWireResult<[u8; N]> {
        bytes.try_into().map_err(|_| self.unread())
    }

    /// Bytes that are none of their type.
    fn unread(self) -> PgWireError {
        told(&fault::no_binary(self.number, self.kind.name()))
    }

    /// Text that is none of its type.
    fn unreadable(self, text: &str) -> PgWireError {
        let fact = format!("invalid input syntax for type {}: \"{}\"", self.kind.name(), fault::first_line(text));
        PgWireError::FailedToParseParameter(fact.into())
    }

    fn no_array(self, why: &Refused) -> PgWireError {
        told(&match why {
            Refused::Deep(dimensions) => {
                fault::no_kind(self.number, &format!("{} of {dimensions} dimensions", self.kind.name()))
            }
            Refused::Long => fault::long_array(self.number, ITEMS_MAX),
        })
    }

    fn refused(self, value: &str, by: impl Display) -> PgWireError {
        told(&fault::no_number(self.number, value, &by.to_string()))
    }

    fn out_of_range(self) -> PgWireError {
        told(&fault::no_time(self.number, self.kind.name()))
    }
}

/// Microseconds since 1970 of those since 2000; the outermost are the infinite ones.
fn since_1970(micros: i64) -> Option<i64> {
    micros.checked_add(i64::from(DAYS_TO_2000) * DAY_MICROS).filter(|_| micros != i64::MIN)
}

/// What a word says, or as much of one as there is no other with.
fn boolean(text: &str) -> Option<bool> {
    let said = text.trim().to_ascii_lowercase();
    let is = |word: &str, least: usize| said.len() >= least && word.starts_with(&*said);
    if is("true", 1) || is("yes", 1) || is("on", 2) || said == "1" {
        return Some(true);
    }
    (is("false", 1) || is("no", 1) || is("off", 2) || said == "0").then_some(false)
}

/// Whether a narrow float is this number, or is none as well.
fn is_narrow(number: f64) -> bool {
    number.is_nan() || f64::from(number as f32) == number
}

/// A whole number as one of a type of whole numbers, if that holds it.
fn integer(number: i128, kind: &DataType) -> Option<ScalarValue> {
    Some(match kind {
        DataType::Int8 => ScalarValue::Int8(Some(number.try_into().ok()?)),
        DataType::Int16 => ScalarValue::Int16(Some(number.try_into().ok()?)),
        DataType::Int32 => ScalarValue::Int32(Some(number.try_into().ok()?)),
        DataType::Int64 => ScalarValue::Int64(Some(number.try_into().ok()?)),
        DataType::UInt8 => ScalarValue::UInt8(Some(number.try_into().ok()?)),
        DataType::UInt16 => ScalarValue::UInt16(Some(number.try_into().ok()?)),
        DataType::UInt32 => ScalarValue::UInt32(Some(number.try_into().ok()?)),
        DataType::UInt64 => ScalarValue::UInt64(Some(number.try_into().ok()?)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
