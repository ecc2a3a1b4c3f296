use std::time::{Duration, Instant};

use datafusion::sql::parser::DFParser;

use super::*;

/// A text with what is called otherwise in it, and how much that is.
fn renamed(text: &str, mut doubles: Doubles) -> (String, usize) {
    let mut statement = DFParser::parse_sql(text).unwrap().pop_front().unwrap();
    let begun = Instant::now();
    doubles.rename(&mut statement);
    // Nobody can end a statement while it is planned.
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    (statement.to_string(), doubles.renamed)
}

#[test]
fn very_many_columns_of_one_name_take_no_longer_than_others() {
    let (text, count) = renamed(&format!("SELECT {}1", "1, ".repeat(19_999)), Doubles::default());
    assert_eq!(count, 19_999);
    assert!(text.ends_with("1 AS \"1:19998\", 1 AS \"1:19999\""), "{:?}", text.get(text.len() - 60..));
    let many = format!("SELECT {}{}1 FROM t, u", "u.*, ".repeat(60_000), "t.a, ".repeat(60_000));
    assert_eq!(renamed(&many, Doubles { is_wide: true, ..Doubles::default() }).1, 59_999);
}

#[test]
fn a_name_that_somebody_has_is_given_to_nobody_else() {
    let expected = r#"SELECT a, 1 AS "a:1", a AS "a:2", b, b AS "b:1", a AS "a:3" FROM t"#;
    assert_eq!(renamed(r#"SELECT a, 1 AS "a:1", a, b, b, a FROM t"#, Doubles::default()), (expected.to_owned(), 3));
}
