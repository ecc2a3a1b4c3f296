//! How many different values a column of text has, where nobody says it.
//!
//! A join's size is its sides' rows over the different values of its keys. Whole numbers have bounds, which say how many
//! there can be; of texts nothing is known, and the engine takes each row for a value of its own. A table of facts joined
//! with a table of a few names then seems to leave as many rows as there are names, so that a join above it keeps the
//! facts in memory. Halfway between one value and as many as rows, by orders of magnitude, is the guess that is least wrong.

use arrow::datatypes::{DataType, Schema};
use datafusion::common::Statistics;
use datafusion::common::stats::Precision;

/// Guesses the different values of the columns of text of which nothing is said.
pub fn guess(known: &mut Statistics, schema: &Schema) {
    let Some(rows) = known.num_rows.get_value().copied() else { return };
    for (column, field) in known.column_statistics.iter_mut().zip(schema.fields()) {
        if is_text(field.data_type()) && column.distinct_count.get_value().is_none() {
            column.distinct_count = Precision::Inexact(rows.isqrt());
        }
    }
}

fn is_text(of: &DataType) -> bool {
    match of {
        DataType::Dictionary(_, values) => is_text(values),
        of => of.is_string(),
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Field;
    use datafusion::common::ColumnStatistics;

    use super::*;

    #[test]
    fn texts_are_guessed_and_what_is_known_stays() {
        let field = |name: &str, of| Field::new(name, of, true);
        let schema = Schema::new(vec![
            field("name", DataType::Utf8View),
            field("number", DataType::Int64),
            field("known", DataType::Utf8),
        ]);
        let mut known = Statistics::new_unknown(&schema);
        guess(&mut known, &schema);
        assert_eq!(known, Statistics::new_unknown(&schema), "without a number of rows there is nothing to go by");
        known.num_rows = Precision::Exact(3_000_000);
        if let Some(column) = known.column_statistics.get_mut(2) {
            column.distinct_count = Precision::Exact(7);
        }
        guess(&mut known, &schema);
        let counts = known.column_statistics.iter().map(|column: &ColumnStatistics| column.distinct_count);
        let wanted = [Precision::Inexact(1_732), Precision::Absent, Precision::Exact(7)];
        assert_eq!(counts.collect::<Vec<_>>(), wanted);
    }
}
