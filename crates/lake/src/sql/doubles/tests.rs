use std::time::{Duration, Instant};

use datafusion::sql::parser::DFParser;

use super::*;

/// Nobody can end a statement while it is planned.
#[test]
fn very_many_columns_of_one_name_take_no_longer_than_others() {
    let mut statement = DFParser::parse_sql(&format!("SELECT {}1", "1, ".repeat(19_999))).unwrap().pop_front().unwrap();
    let (mut doubles, begun) = (Doubles::default(), Instant::now());
    doubles.rename(&mut statement);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(doubles.renamed, 19_999);
    let renamed = statement.to_string();
    assert!(renamed.ends_with("1 AS \"1:19998\", 1 AS \"1:19999\""), "{:?}", renamed.get(renamed.len() - 60..));
}

#[test]
fn a_name_that_somebody_has_is_given_to_nobody_else() {
    let renamed = |text: &str| {
        let mut statement = DFParser::parse_sql(text).unwrap().pop_front().unwrap();
        Doubles::default().rename(&mut statement);
        statement.to_string()
    };
    let expected = r#"SELECT a, 1 AS "a:1", a AS "a:2", b, b AS "b:1", a AS "a:3" FROM t"#;
    assert_eq!(renamed(r#"SELECT a, 1 AS "a:1", a, b, b, a FROM t"#), expected);
}
