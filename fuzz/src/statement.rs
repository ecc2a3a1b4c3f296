//! Pieces of SQL that people write into dashboards and policies: what is let through stays one expression, or one query,
//! where it is put into a statement.

use headwater_base::Problem;
use headwater_lake::charts::text;

/// An expression, a zero byte, a source of rows.
pub fn run(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let mut part = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let (expression, source) = (part(), part());
    if text::expression(&expression).is_ok() {
        stays(text::expression(&format!("({}) = 1", text::closed(&expression))));
        stays(text::source(&format!("SELECT 1 WHERE ({})", text::closed(&expression))));
    }
    if let Err(problem) = text::condition(&expression) {
        assert!(matches!(problem.code.as_str(), "HW-LAKE-040" | "HW-LAKE-052"), "{problem}");
    }
    // A name alone means something else behind some keywords.
    if text::relation(&source).is_none() && text::source(&source).is_ok() {
        stays(text::source(&format!("SELECT 1 FROM {}", text::from(&source))));
    }
    // A value is a literal, whatever is in it.
    stays(text::expression(&text::literal(&expression.replace('\0', ""))));
    stays(text::source(&text::quoted(&format!("a{}", source.replace('\0', "")))));
}

/// It is still read, unless it is too deep or too long by what stands around it.
fn stays(read: Result<(), Problem>) {
    if let Err(problem) = read {
        let words = problem.title.to_lowercase();
        assert!(words.contains("recursion limit") || words.contains("chain of more than"), "{problem}");
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    crate::texts(&[
        "sum(total) FILTER (WHERE country = 'CH') / nullif(count(*), 0) -- mean\0orders",
        "CASE WHEN a IS NULL THEN 'x''y' ELSE b->>'c' END\0SELECT a, b FROM streams.\"x.y\" WHERE a > 1",
        "region IN ('a', E'b\\n') AND current_user = owner\0WITH t AS (VALUES (1)) SELECT * FROM t /* all */",
        "select\0streams.orders",
        "a[1]::numeric(10, 2) BETWEEN -1 AND 1e3 OR NOT (b AND c)\0(SELECT 1) UNION ALL SELECT 2 ORDER BY 1",
    ])
}
