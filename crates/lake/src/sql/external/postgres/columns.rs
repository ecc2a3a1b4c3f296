//! Columns of PostgreSQL as columns here: which type becomes which, and values from the server's binary form.
//!
//! Invariant: a value comes exactly as it is there, or the statement ends with `HW-LAKE-059`; none is rounded or left out.
//!
//! # Source
//! PostgreSQL 17: "Data Types", and the `…_send` functions of its types.

use arrow::array::{
    ArrayBuilder, ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder,
    Float64Builder, Int16Builder, Int32Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, TimeUnit};
use tokio_postgres::types::{FromSql, Type};

use crate::charts::text::quoted;
use crate::sql::streams::ZONE;

/// Days from 1970 to 2000, where PostgreSQL counts from.
const EPOCH_DAYS: i32 = 10_957;
/// The same in microseconds.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
/// Digits of a decimal.
const DIGITS_MAX: u8 = 38;

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What its values are.
    pub form: Form,
}

/// What values are, and how they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `boolean`.
    Boolean,
    /// `smallint`.
    Int16,
    /// `integer`.
    Int32,
    /// `bigint`.
    Int64,
    /// `real`.
    Float32,
    /// `double precision`.
    Float64,
    /// `numeric(p, s)`.
    Decimal(u8, i8),
    /// `date`.
    Date,
    /// `timestamp`.
    Timestamp,
    /// `timestamptz`.
    Timestamptz,
    /// `bytea`.
    Bytes,
    /// `text`, `varchar`, `char`, `name`, `json`: text as it comes.
    Text {
        /// Whether `=` of the server finds at least what it finds here.
        compares: bool,
    },
    /// `uuid`, as text.
    Uuid,
    /// Everything else, as the server writes it.
    Cast,
}

impl Form {
    /// What a type and its modifier are here.
    pub fn of(kind: &Type, modifier: i32) -> Self {
        match *kind {
            Type::BOOL => Self::Boolean,
            Type::INT2 => Self::Int16,
            Type::INT4 => Self::Int32,
            Type::INT8 => Self::Int64,
            Type::FLOAT4 => Self::Float32,
            Type::FLOAT8 => Self::Float64,
            Type::NUMERIC => decimal(modifier).map_or(Self::Cast, |(digits, scale)| Self::Decimal(digits, scale)),
            Type::DATE => Self::Date,
            Type::TIMESTAMP => Self::Timestamp,
            Type::TIMESTAMPTZ => Self::Timestamptz,
            Type::BYTEA => Self::Bytes,
            Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME => Self::Text { compares: true },
            Type::JSON => Self::Text { compares: false },
            Type::UUID => Self::Uuid,
            _ => Self::Cast,
        }
    }

    /// The type here.
    pub fn data_type(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Int16 => DataType::Int16,
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::Float32 => DataType::Float32,
            Self::Float64 => DataType::Float64,
            Self::Decimal(digits, scale) => DataType::Decimal128(digits, scale),
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Timestamptz => DataType::Timestamp(TimeUnit::Microsecond, Some(ZONE.into())),
            Self::Bytes => DataType::Binary,
            Self::Text { .. } | Self::Uuid | Self::Cast => DataType::Utf8,
        }
    }
}

impl Column {
    /// The column in a list of what to select.
    pub fn selected(&self) -> String {
        match self.form {
            Form::Cast => format!("{}::text", quoted(&self.name)),
            _ => quoted(&self.name),
        }
    }

    /// Room for values.
    pub fn builder(&self) -> Builder {
        match self.form {
            Form::Boolean => Builder::Boolean(BooleanBuilder::new()),
            Form::Int16 => Builder::Int16(Int16Builder::new()),
            Form::Int32 => Builder::Int32(Int32Builder::new()),
            Form::Int64 => Builder::Int64(Int64Builder::new()),
            Form::Float32 => Builder::Float32(Float32Builder::new()),
            Form::Float64 => Builder::Float64(Float64Builder::new()),
            Form::Decimal(digits, scale) => {
                let values = Decimal128Builder::new().with_data_type(DataType::Decimal128(digits, scale));
                Builder::Decimal(values, scale)
            }
            Form::Date => Builder::Date(Date32Builder::new()),
            Form::Timestamp => Builder::Timestamp(TimestampMicrosecondBuilder::new()),
            Form::Timestamptz => Builder::Timestamp(TimestampMicrosecondBuilder::new().with_timezone(ZONE)),
            Form::Bytes => Builder::Bytes(BinaryBuilder::new()),
            Form::Text { .. } | Form::Cast => Builder::Text(StringBuilder::new()),
            Form::Uuid => Builder::Uuid(StringBuilder::new()),
        }
    }
}

/// Digits and scale of a `numeric` that says them and fits.
fn decimal(modifier: i32) -> Option<(u8, i8)> {
    let said = modifier.checked_sub(4).filter(|said| *said >= 0)?;
    let digits = u8::try_from(said >> 16).ok().filter(|digits| (1..=DIGITS_MAX).contains(digits))?;
    // Eleven bits with a sign, since PostgreSQL 15.
    let scale = i8::try_from(((said & 0x7ff) ^ 1_024) - 1_024).ok()?;
    (0..=i8::try_from(digits).ok()?).contains(&scale).then_some((digits, scale))
}

/// A value's bytes, whatever its type.
pub struct Raw<'a>(pub &'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Values of one column, gathered.
pub enum Builder {
    /// `boolean`.
    Boolean(BooleanBuilder),
    /// `smallint`.
    Int16(Int16Builder),
    /// `integer`.
    Int32(Int32Builder),
    /// `bigint`.
    Int64(Int64Builder),
    /// `real`.
    Float32(Float32Builder),
    /// `double precision`.
    Float64(Float64Builder),
    /// `numeric`, and its scale.
    Decimal(Decimal128Builder, i8),
    /// `date`.
    Date(Date32Builder),
    /// Both kinds of timestamps.
    Timestamp(TimestampMicrosecondBuilder),
    /// `bytea`.
    Bytes(BinaryBuilder),
    /// Text.
    Text(StringBuilder),
    /// `uuid`.
    Uuid(StringBuilder),
}

impl Builder {
    /// Takes a value.
    ///
    /// # Errors
    /// What it is, and that there is no place for it.
    pub fn push(&mut self, value: Option<&[u8]>) -> Result<(), String> {
        match self {
            Self::Boolean(into) => into.append_option(value.map(|value| fixed(value).map(|[it]| it != 0)).transpose()?),
            Self::Int16(into) => {
                into.append_option(value.map(|value| fixed(value).map(i16::from_be_bytes)).transpose()?)
            }
            Self::Int32(into) => {
                into.append_option(value.map(|value| fixed(value).map(i32::from_be_bytes)).transpose()?)
            }
            Self::Int64(into) => {
                into.append_option(value.map(|value| fixed(value).map(i64::from_be_bytes)).transpose()?)
            }
            Self::Float32(into) => {
                let value = value.map(|value| fixed(value).map(f32::from_be_bytes)).transpose()?;
                // There is one NaN at the server, and it is above everything.
                into.append_option(value.map(|value| if value.is_nan() { f32::NAN } else { value }));
            }
            Self::Float64(into) => {
                let value = value.map(|value| fixed(value).map(f64::from_be_bytes)).transpose()?;
                into.append_option(value.map(|value| if value.is_nan() { f64::NAN } else { value }));
            }
            Self::Decimal(into, scale) => into.append_option(value.map(|value| numeric(value, *scale)).transpose()?),
            Self::Date(into) => into.append_option(value.map(date).transpose()?),
            Self::Timestamp(into) => into.append_option(value.map(timestamp).transpose()?),
            Self::Bytes(into) => into.append_option(value),
            Self::Text(into) => into.append_option(value.map(text).transpose()?),
            Self::Uuid(into) => {
                let value = value.map(|value| fixed(value).map(uuid::Uuid::from_bytes)).transpose()?;
                into.append_option(value.map(|value| value.to_string()));
            }
        }
        Ok(())
    }

    /// The values gathered.
    pub fn finish(&mut self) -> ArrayRef {
        let builder: &mut dyn ArrayBuilder = match self {
            Self::Boolean(it) => it,
            Self::Int16(it) => it,
            Self::Int32(it) => it,
            Self::Int64(it) => it,
            Self::Float32(it) => it,
            Self::Float64(it) => it,
            Self::Decimal(it, _) => it,
            Self::Date(it) => it,
            Self::Timestamp(it) => it,
            Self::Bytes(it) => it,
            Self::Text(it) | Self::Uuid(it) => it,
        };
        builder.finish()
    }
}

fn fixed<const N: usize>(value: &[u8]) -> Result<[u8; N], String> {
    value.try_into().map_err(|_| format!("it has {} bytes instead of {N}", value.len()))
}

fn text(value: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(value).map_err(|_| "it is not UTF-8".to_owned())
}

fn date(value: &[u8]) -> Result<i32, String> {
    match i32::from_be_bytes(fixed(value)?) {
        i32::MAX => Err("it is `infinity`, which no date here can be".to_owned()),
        i32::MIN => Err("it is `-infinity`, which no date here can be".to_owned()),
        days => {
            days.checked_add(EPOCH_DAYS).ok_or_else(|| format!("the date is {days} days from 2000, which is too far"))
        }
    }
}

fn timestamp(value: &[u8]) -> Result<i64, String> {
    match i64::from_be_bytes(fixed(value)?) {
        i64::MAX => Err("it is `infinity`, which no time here can be".to_owned()),
        i64::MIN => Err("it is `-infinity`, which no time here can be".to_owned()),
        micros => micros.checked_add(EPOCH_MICROS).ok_or_else(|| "the time is too far away".to_owned()),
    }
}

/// A `numeric` in units of its scale: digits to the base of 10,000, the first of which counts 10,000 to the `weight`.
fn numeric(value: &[u8], scale: i8) -> Result<i128, String> {
    const NEGATIVE: u16 = 0x4000;
    let short = || format!("it has {} bytes, which is too short", value.len());
    let word = |at: usize| -> Result<u16, String> {
        let two = value.get(2 * at..2 * at + 2).and_then(|two| two.try_into().ok());
        two.map(u16::from_be_bytes).ok_or_else(short)
    };
    let (count, weight, sign) = (word(0)?, i16::from_be_bytes(word(1)?.to_be_bytes()), word(2)?);
    match sign {
        0 | NEGATIVE => {}
        0xc000 => return Err("it is `NaN`, which no decimal here can be".to_owned()),
        _ => return Err("it is infinite, which no decimal here can be".to_owned()),
    }
    let far = || "it has more digits than its type says".to_owned();
    let mut total: i128 = 0;
    for at in 0..usize::from(count) {
        let digit = i128::from(word(4 + at)?);
        // The power of ten of this digit's last place, in units of the scale.
        let power = 4 * (i32::from(weight) - i32::try_from(at).map_err(|_| far())?) + i32::from(scale);
        let ten = |power: u32| 10_i128.checked_pow(power).ok_or_else(far);
        let part = match u32::try_from(power) {
            Ok(power) => digit.checked_mul(ten(power)?).ok_or_else(far)?,
            Err(_) => {
                let below = ten(power.unsigned_abs())?;
                if digit % below != 0 {
                    return Err(far());
                }
                digit / below
            }
        };
        total = total.checked_add(part).ok_or_else(far)?;
    }
    Ok(if sign == NEGATIVE { -total } else { total })
}

#[cfg(test)]
mod tests;
