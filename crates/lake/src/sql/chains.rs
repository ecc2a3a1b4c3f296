//! How long the chains of a statement are: `1 + 1 + 1`, `a OR b OR c`, queries that `UNION` or `JOIN` follows.
//!
//! The parser bounds by itself how deep brackets go. A chain it reads in a loop, and what it makes of one hangs link by
//! link: whoever prints, copies or drops that goes into it by calling itself, and where the stack ends, so does the
//! process. What it is NOT: a parser; what is no SQL is told by the one that there is.
//!
//! Invariant: nothing in a statement that passes hangs deeper than a few times [`LINKS_MAX`].

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use headwater_base::Problem;

use super::fault::STATEMENT;

/// Operators and keywords of a chain, those of the longest in its brackets with them; and the relations of a statement.
const LINKS_MAX: usize = 4_000;

/// Bytes of a statement, over every listener: what is made of one takes a hundred times as much, and counts for nobody.
const TEXT_BYTES_MAX: usize = 1024 * 1024;

/// What stands between two brackets, as far as it has been read.
#[derive(Clone, Copy, Default)]
struct Level {
    /// Links since the last comma.
    own: usize,
    /// The longest chain in brackets since then.
    inner: usize,
    /// The longest chain before the last comma.
    before: usize,
}

impl Level {
    const fn longest(self) -> usize {
        let here = self.own + self.inner;
        if here > self.before { here } else { self.before }
    }
}

/// Refuses a statement that is too long, or whose chains are.
///
/// # Errors
/// `HW-LAKE-102`; `HW-LAKE-040` with the place of the link that is too many.
pub fn check(text: &str) -> Result<(), Problem> {
    if text.len() > TEXT_BYTES_MAX {
        let fact = format!("the statement has {} bytes, and one may have {TEXT_BYTES_MAX}", text.len());
        return Err(Problem::new("HW-LAKE-102", fact).help("keep a long list as a table or a file, and join it"));
    }
    // A link has a character at least.
    if text.len() <= LINKS_MAX {
        return Ok(());
    }
    let Ok(tokens) = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize_with_location() else { return Ok(()) };
    let (mut level, mut outside, mut relations) = (Level::default(), Vec::new(), 0);
    for one in &tokens {
        match &one.token {
            Token::LParen | Token::LBracket | Token::LBrace => {
                // A subscript hangs what it stands behind one deeper.
                level.own += 1;
                outside.push(std::mem::take(&mut level));
            }
            Token::RParen | Token::RBracket | Token::RBrace => {
                let within = level.longest();
                // One bracket too many is the parser's to tell.
                level = outside.pop().unwrap_or_default();
                level.inner = level.inner.max(within);
            }
            Token::Comma => level = Level { before: level.longest(), ..Level::default() },
            token => {
                level.own += usize::from(links(token));
                // Commas between columns do not end a chain of queries.
                relations += usize::from(relates(token));
            }
        }
        if level.longest() > LINKS_MAX || relations > LINKS_MAX {
            let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
            let start = one.span.start;
            let fact = format!("the statement has a chain of more than {LINKS_MAX} operators and keywords");
            return Err(Problem::new("HW-LAKE-040", fact)
                .at(STATEMENT, number(start.line), number(start.column))
                .help("compare with many values by `IN (…)`, and join a list that is given by `VALUES`"));
        }
    }
    Ok(())
}

/// Whether a token can hang what stands before it one deeper.
fn links(token: &Token) -> bool {
    match token {
        // Arms stand side by side.
        Token::Word(word) => !matches!(word.keyword, Keyword::NoKeyword | Keyword::WHEN | Keyword::THEN),
        Token::EOF
        | Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::DoubleQuotedString(_)
        | Token::EscapedStringLiteral(_)
        | Token::HexStringLiteral(_)
        | Token::Placeholder(_)
        | Token::Period
        | Token::SemiColon
        | Token::Whitespace(_) => false,
        _ => true,
    }
}

fn relates(token: &Token) -> bool {
    let Token::Word(word) = token else { return false };
    matches!(
        word.keyword,
        Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT | Keyword::MINUS | Keyword::JOIN | Keyword::APPLY
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> bool {
        check(text).is_err_and(|problem| problem.code == "HW-LAKE-040" && problem.place.is_some())
    }

    #[test]
    fn chains_have_a_bound_whatever_they_are_made_of() {
        let many = |link: &str| format!("SELECT 1{}", link.repeat(5_000));
        for link in ["+1", " OR b", "::int", "[1]", " IS NULL", " UNION ALL SELECT 1, 2", " JOIN t ON f(a, b)"] {
            assert!(refused(&many(link)), "{link}");
        }
        let left = format!("SELECT ({}){}", many("+1").get(..4_010).unwrap_or_default(), "+1".repeat(3_000));
        assert!(refused(&left), "what stands in brackets hangs with what follows them");
    }

    #[test]
    fn a_statement_has_so_many_bytes() {
        let long = |bytes: usize| format!("SELECT '{}'", "a".repeat(bytes - 9));
        assert!(check(&long(TEXT_BYTES_MAX)).is_ok());
        assert_eq!(check(&long(TEXT_BYTES_MAX + 1)).err().map(|problem| problem.code), Some("HW-LAKE-102".to_owned()));
    }

    #[test]
    fn lists_have_none() {
        for item in ["-1, ", "'a + b', ", "(1, -2, NULL), ", "f(a + b), ", "a AS b, "] {
            assert!(check(&format!("SELECT {}1", item.repeat(20_000))).is_ok(), "{item}");
        }
        let arms = " WHEN 1 THEN 2".repeat(5_000);
        assert!(check(&format!("SELECT CASE a{arms} END")).is_ok());
        assert!(check(&"'".repeat(5_001)).is_ok(), "the parser says what is wrong with it");
    }
}
