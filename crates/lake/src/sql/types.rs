//! What columns are called in SQL's words, wherever somebody is told: answers, lists of relations, and through both the
//! console. PostgreSQL's protocol has numbers of its own for them (`postgres`).

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use headwater_kernel::port::sql::Column;

/// The columns of a schema.
pub fn columns(schema: &Schema) -> Vec<Column> {
    let column = |field: &Arc<Field>| Column { name: field.name().clone(), kind: word(field.data_type()) };
    schema.fields().iter().map(column).collect()
}

/// A type: `bigint`, `decimal(15,2)`, `text[]`, `struct(city text, zip integer)`, `map(text, bigint)`.
fn word(of: &DataType) -> String {
    let word = match of {
        DataType::Null => "null",
        DataType::Boolean => "boolean",
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => "smallint",
        DataType::Int32 | DataType::UInt16 => "integer",
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => "bigint",
        DataType::Float16 | DataType::Float32 => "real",
        DataType::Float64 => "double",
        DataType::Decimal32(digits, scale)
        | DataType::Decimal64(digits, scale)
        | DataType::Decimal128(digits, scale)
        | DataType::Decimal256(digits, scale) => return format!("decimal({digits},{scale})"),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => "bytes",
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Time32(_) | DataType::Time64(_) => "time",
        DataType::Timestamp(_, Some(_)) => "timestamptz",
        DataType::Timestamp(_, None) => "timestamp",
        DataType::Interval(_) | DataType::Duration(_) => "interval",
        // The one union that there is holds what `->` finds in a document.
        DataType::Union(..) => "json",
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => return format!("{}[]", word(item.data_type())),
        DataType::Struct(fields) => {
            let fields: Vec<String> = fields.iter().map(|field| named(field)).collect();
            return format!("struct({})", fields.join(", "));
        }
        DataType::Map(entries, _) => {
            // Entries are a struct of key and value.
            let DataType::Struct(entries) = entries.data_type() else { return "map".to_owned() };
            let entries: Vec<String> = entries.iter().map(|field| word(field.data_type())).collect();
            return format!("map({})", entries.join(", "));
        }
        DataType::Dictionary(_, values) => return word(values),
        DataType::RunEndEncoded(_, values) => return word(values.data_type()),
    };
    word.to_owned()
}

fn named(field: &Field) -> String {
    format!("{} {}", field.name(), word(field.data_type()))
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{Fields, TimeUnit};

    use super::*;

    fn field(name: &str, of: DataType) -> Field {
        Field::new(name, of, true)
    }

    #[test]
    fn types_have_the_words_of_sql_within_others_as_well() {
        let place = Fields::from(vec![field("city", DataType::Utf8View), field("zip", DataType::Int32)]);
        let places = DataType::List(Arc::new(field("item", DataType::Struct(place))));
        let entries = Fields::from(vec![field("keys", DataType::Utf8), field("values", DataType::Decimal128(15, 2))]);
        let map = DataType::Map(Arc::new(field("entries", DataType::Struct(entries))), false);
        let short = DataType::Dictionary(Box::new(DataType::UInt16), Box::new(DataType::LargeUtf8));
        let runs = DataType::RunEndEncoded(
            Arc::new(field("run_ends", DataType::Int32)),
            Arc::new(field("values", DataType::Timestamp(TimeUnit::Second, Some("UTC".into())))),
        );
        for (of, wanted) in [
            (places, "struct(city text, zip integer)[]"),
            (map, "map(text, decimal(15,2))"),
            (short, "text"),
            (runs, "timestamptz"),
            (DataType::Timestamp(TimeUnit::Nanosecond, None), "timestamp"),
            (DataType::FixedSizeBinary(16), "bytes"),
            (DataType::Null, "null"),
        ] {
            let told = columns(&Schema::new(vec![field("c", of)]));
            assert_eq!(told, [Column { name: "c".to_owned(), kind: wanted.to_owned() }]);
        }
    }
}
