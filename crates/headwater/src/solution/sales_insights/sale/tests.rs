use super::{read, time};

fn sales(text: &str) -> Result<Vec<(String, f64)>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sales.csv");
    std::fs::write(&path, text).unwrap();
    let sales =
        read(&path).map_err(|problem| format!("{}: {}", problem.place.map_or(0, |place| place.line), problem.title))?;
    Ok(sales.into_iter().map(|sale| (format!("{} {}", sale.time, sale.cohort()), sale.amount)).collect())
}

#[test]
fn columns_are_found_by_name_and_rows_sorted_by_time() {
    let given = "region,timestamp,shop,value\nNL,2026-01-01 10:00:00,web,2\nDE,2026-01-01T09:30:00Z,app,1.5\n";
    let wanted = [("2026-01-01T09:30:00Z DE/app".to_owned(), 1.5), ("2026-01-01T10:00:00Z NL/web".to_owned(), 2.0)];
    assert_eq!(sales(given).unwrap(), wanted);
    assert_eq!(sales("when,how much\n2026-01-01,7\n").unwrap(), [("2026-01-01T00:00:00Z all/all".to_owned(), 7.0)]);
}

#[test]
fn a_row_that_is_no_sale_is_told_with_its_line() {
    let fact = "the row has no time or no number where the header says";
    assert_eq!(sales("time,value\n2026-01-01,1\n\nyesterday,1\n").unwrap_err(), format!("4: {fact}"));
    assert_eq!(sales("time,value\n2026-01-01,NaN\n").unwrap_err(), format!("2: {fact}"));
    assert!(sales("").unwrap_err().ends_with("has a header and no rows, or is empty"));
}

#[test]
fn times_without_an_offset_are_utc() {
    assert_eq!(time("2014-10-30 15:30:00.000000"), time("2014-10-30T15:30:00Z"));
    assert_eq!(time("2014-10-30T17:30:00+02:00"), time("2014-10-30T15:30:00Z"));
    assert_eq!(time("10/30/2014"), None);
}
