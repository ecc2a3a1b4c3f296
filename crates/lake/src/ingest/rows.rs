//! Rows on their way from an answer of SQL to events: lines of JSON, the key of each, its watermark, and what it is
//! recognised by.

use std::collections::HashMap;

use bytes::{Buf as _, Bytes, BytesMut};
use headwater_base::Problem;
use serde_json::value::RawValue;

use crate::charts::text::literal;

/// Cuts chunks of an answer into lines.
#[derive(Default)]
pub struct Lines(BytesMut);

impl Lines {
    /// Takes a chunk.
    pub fn add(&mut self, chunk: &Bytes) {
        self.0.extend_from_slice(chunk);
    }

    /// The next whole line, without its end.
    pub fn take(&mut self) -> Option<Bytes> {
        let end = self.0.iter().position(|byte| *byte == b'\n')?;
        let line = self.0.split_to(end).freeze();
        self.0.advance(1);
        Some(line)
    }
}

/// A row: its text, and the text of each value.
pub struct Row<'a>(HashMap<String, &'a RawValue>);

impl<'a> Row<'a> {
    /// Reads a line.
    ///
    /// # Errors
    /// `HW-LAKE-082` for one that is no row.
    pub fn read(line: &'a [u8]) -> Result<Self, Problem> {
        serde_json::from_slice(line).map(Self).map_err(|error| misfit("a row cannot be read").because(error))
    }

    /// A value of a column as JSON; None for null.
    ///
    /// # Errors
    /// `HW-LAKE-082` for a column that is not there.
    pub fn value(&self, column: &str) -> Result<Option<&'a str>, Problem> {
        let value = self.0.get(column).ok_or_else(|| {
            misfit(&format!("the rows have no column `{column}`")).help("name columns as the relation writes them")
        })?;
        Ok(Some(value.get()).filter(|value| *value != "null"))
    }

    /// The key of the row by its columns: the text of one, a JSON array of several.
    ///
    /// # Errors
    /// `HW-LAKE-082` for a column that is not there or has no value.
    pub fn key(&self, columns: &[String]) -> Result<Option<Vec<u8>>, Problem> {
        let mut values = Vec::with_capacity(columns.len());
        for column in columns {
            let value = self.value(column)?.ok_or_else(|| {
                let problem = misfit(&format!("a row has no value in `{column}`, which its key is made of"));
                problem.help("filter such rows away in `from`, or make the key of other columns")
            })?;
            values.push(value);
        }
        Ok(match values.as_slice() {
            [] => None,
            [one] => Some(plain(one).into_bytes()),
            several => Some(format!("[{}]", several.join(",")).into_bytes()),
        })
    }
}

/// The text of a JSON value: of a string what is in its quotes.
pub fn plain(value: &str) -> String {
    serde_json::from_str::<String>(value).unwrap_or_else(|_| value.to_owned())
}

/// Refuses a type that no watermark can have, before there is a value.
///
/// # Errors
/// `HW-LAKE-082`.
pub fn comparable(column: &str, kind: &str) -> Result<(), Problem> {
    bound(column, kind, "0").map(drop)
}

/// A value of a column as a literal of the column's type, `kind` in SQL's words.
///
/// # Errors
/// `HW-LAKE-082` for a type that no watermark can have.
pub fn bound(column: &str, kind: &str, value: &str) -> Result<String, Problem> {
    let cast = |to: &str| format!("arrow_cast({}, {})", literal(value), literal(to));
    // Digits of a second beyond six are nanoseconds.
    let unit = match value.split_once('.').map_or(0, |(_, part)| part.bytes().take_while(u8::is_ascii_digit).count()) {
        0..=6 => "Microsecond",
        _ => "Nanosecond",
    };
    Ok(match kind {
        "smallint" | "integer" | "bigint" => value.parse::<i128>().map(|number| number.to_string()).map_err(|_| {
            let shown: String = value.chars().take(60).collect();
            misfit(&format!("`{}` is no number, and the watermark `{column}` is {kind}", shown.escape_debug()))
        })?,
        "text" => literal(value),
        "date" => cast("Date32"),
        "timestamp" => cast(&format!("Timestamp({unit}, None)")),
        "timestamptz" => cast(&format!("Timestamp({unit}, Some(\"UTC\"))")),
        _ => match kind.strip_prefix("decimal") {
            Some(digits) => cast(&format!("Decimal128{}", digits.replace(',', ", "))),
            None => {
                let problem = misfit(&format!("the watermark `{column}` is {kind}"));
                return Err(problem.help("use a time, a date, an integer, a decimal or a text"));
            }
        },
    })
}

/// `HW-LAKE-082`: rows that cannot become events.
pub fn misfit(fact: &str) -> Problem {
    Problem::new("HW-LAKE-082", fact)
}

/// What a row is recognised by when it is read again: FNV-1a of 128 bits over its text.
///
/// # Source
/// draft-eastlake-fnv-17, section 5.
pub fn mark(line: &[u8]) -> u128 {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    line.iter().fold(BASIS, |mark, byte| (mark ^ u128::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_become_lines_wherever_they_are_cut() {
        let text = "{\"a\":1}\n{\"a\":\"ü\\n\"}\n";
        for cut in 0..=text.len() {
            let mut lines = Lines::default();
            let mut found = Vec::new();
            for chunk in [&text.as_bytes()[..cut], &text.as_bytes()[cut..]] {
                lines.add(&Bytes::copy_from_slice(chunk));
                found.extend(std::iter::from_fn(|| lines.take()));
            }
            assert_eq!(found, ["{\"a\":1}", "{\"a\":\"ü\\n\"}"], "{cut}");
        }
    }

    #[test]
    fn keys_are_texts_of_values() {
        let key = |line: &str, columns: &[&str]| {
            let columns: Vec<String> = columns.iter().map(|&column| column.to_owned()).collect();
            let key = Row::read(line.as_bytes()).and_then(|row| row.key(&columns));
            key.map(|key| key.map(|key| String::from_utf8(key).unwrap())).map_err(|problem| problem.code)
        };
        let row = r#"{"id":12345678901234567890.10,"of":"a\"b","none":null}"#;
        assert_eq!(key(row, &[]), Ok(None));
        assert_eq!(key(row, &["id"]), Ok(Some("12345678901234567890.10".to_owned())), "not a digit is lost");
        assert_eq!(key(row, &["of"]), Ok(Some("a\"b".to_owned())));
        assert_eq!(key(row, &["of", "id"]), Ok(Some(r#"["a\"b",12345678901234567890.10]"#.to_owned())));
        assert_eq!(key(row, &["none"]), Err("HW-LAKE-082".to_owned()));
        assert_eq!(key(row, &["absent"]), Err("HW-LAKE-082".to_owned()));
    }

    #[test]
    fn bounds_are_of_the_column_s_type() {
        let of = |kind: &str, value: &str| bound("c", kind, value).map_err(|problem| problem.code);
        assert_eq!(of("bigint", "-7").unwrap(), "-7");
        assert_eq!(of("text", "o'k").unwrap(), "'o''k'");
        assert_eq!(of("decimal(12,2)", "1.50").unwrap(), "arrow_cast('1.50', 'Decimal128(12, 2)')");
        assert_eq!(
            of("timestamp", "2026-01-01T00:00:00.123456").unwrap(),
            "arrow_cast('2026-01-01T00:00:00.123456', 'Timestamp(Microsecond, None)')"
        );
        assert_eq!(
            of("timestamptz", "2026-01-01T00:00:00.1234567Z").unwrap(),
            "arrow_cast('2026-01-01T00:00:00.1234567Z', 'Timestamp(Nanosecond, Some(\"UTC\"))')"
        );
        assert_eq!(of("integer", "1; DROP"), Err("HW-LAKE-082".to_owned()));
        assert_eq!(of("double", "1.5"), Err("HW-LAKE-082".to_owned()));
    }

    #[test]
    fn marks_are_those_of_the_specification() {
        assert_eq!(mark(b""), 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
        assert_eq!(mark(b"a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
    }
}
