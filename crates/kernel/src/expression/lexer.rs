//! The words of an expression, each with its place.

use headwater_base::Problem;
use headwater_wire::exact::leading_number;

/// A word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A name or a keyword.
    Word(String),
    /// `#name`, without the sign.
    Name(String),
    /// `:value`, without the sign.
    Value(String),
    /// A number without a sign.
    Number(String),
    /// What stands between quotes.
    Text(String),
    /// A sign of one or two characters.
    Sign(&'static str),
    /// Behind the last word.
    End,
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Word(text) | Self::Number(text) => write!(f, "`{text}`"),
            Self::Name(text) => write!(f, "`#{text}`"),
            Self::Value(text) => write!(f, "`:{text}`"),
            Self::Text(_) => f.write_str("a text"),
            Self::Sign(sign) => write!(f, "`{sign}`"),
            Self::End => f.write_str("the end"),
        }
    }
}

/// Two characters first.
const SIGNS: &[&str] = &["<>", "<=", ">=", "=", "<", ">", "(", ")", "[", "]", ",", ".", "+", "-"];

/// Takes a text apart; each word comes with the byte at which it begins, `End` last.
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, usize)>, Problem> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let start = at;
        let rest = text.get(at..).unwrap_or_default();
        let is_word = |byte: char| byte.is_alphanumeric() || byte == '_';
        let word = |from: usize| {
            let tail = rest.get(from..).unwrap_or_default();
            let length = tail.find(|letter| !is_word(letter)).unwrap_or(tail.len());
            tail.get(..length).unwrap_or_default()
        };
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let token = match first {
            '#' | ':' => {
                let name = word(1);
                if name.is_empty() {
                    return Err(super::parser::fault(text, start, format!("`{first}` has no name behind it")));
                }
                at += 1 + name.len();
                if first == '#' { Token::Name(name.to_owned()) } else { Token::Value(name.to_owned()) }
            }
            '"' | '\'' => {
                let (found, length) =
                    quoted(rest, first).ok_or_else(|| super::parser::fault(text, start, "a text does not end"))?;
                at += length;
                Token::Text(found)
            }
            '0'..='9' => {
                let found = leading_number(rest);
                at += found.len();
                Token::Number(found.to_owned())
            }
            _ if is_word(first) => {
                let found = word(0);
                at += found.len();
                Token::Word(found.to_owned())
            }
            _ => {
                let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) else {
                    let shown = first.escape_debug();
                    return Err(super::parser::fault(text, start, format!("`{shown}` means nothing here")));
                };
                at += sign.len();
                Token::Sign(sign)
            }
        };
        tokens.push((token, start));
    }
    tokens.push((Token::End, text.len()));
    Ok(tokens)
}

/// What stands between quotes, and the length with them. A backslash takes the next character as it is.
fn quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let mut out = String::new();
    let mut letters = text.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => out.push(letters.next()?.1),
            _ if letter == quote => return Some((out, at + letter.len_utf8())),
            _ => out.push(letter),
        }
    }
    None
}
