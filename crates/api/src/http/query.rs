//! The query string of a request, checked against the parameters its route knows.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use headwater_base::{Problem, closest};
use percent_encoding::percent_decode_str;

/// The parameters of one request, in order.
#[derive(Debug)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads `a=1&b=2`.
    ///
    /// # Errors
    /// `HW-API-009` for a parameter that is not among `known`, or text that is not UTF-8.
    pub fn parse(query: Option<&str>, known: &[&str]) -> Result<Self, Problem> {
        let mut pairs = Vec::new();
        for part in query.unwrap_or_default().split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            if !known.contains(&name.as_str()) {
                let problem = Problem::new("HW-API-009", format!("no query parameter `{}`", name.escape_debug()));
                return Err(match closest(&name, known.iter().copied()) {
                    Some(near) => problem.help(format!("did you mean `{near}`?")),
                    None if known.is_empty() => problem.help("this address takes none"),
                    None => problem.help(format!("this address takes `{}`", known.join("`, `"))),
                });
            }
            pairs.push((name, value));
        }
        Ok(Self(pairs))
    }

    /// The last value of a parameter.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// A parameter read as a number or another type.
    ///
    /// # Errors
    /// `HW-API-009` when it does not read as one.
    pub fn read<T: FromStr>(&self, name: &str, what: &str) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| refused(name, text, what))
    }

    /// A parameter that is on when it is named (`?follow`) or true.
    ///
    /// # Errors
    /// `HW-API-009` for any other value.
    pub fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.text(name) {
            None | Some("false" | "0") => Ok(false),
            Some("" | "true" | "1") => Ok(true),
            Some(other) => Err(refused(name, other, "`true` or `false`")),
        }
    }
}

/// `HW-API-009`: `?name=text` is not what it should be.
pub fn refused(name: &str, text: &str, what: impl Display) -> Problem {
    let shown: String = text.chars().take(100).collect();
    Problem::new("HW-API-009", format!("the query parameter `{name}` is `{}`", shown.escape_debug()))
        .help(format!("it takes {what}"))
}

fn decode(text: &str) -> Result<String, Problem> {
    let text: Cow<str> = if text.contains('+') { Cow::Owned(text.replace('+', " ")) } else { Cow::Borrowed(text) };
    match percent_decode_str(&text).decode_utf8() {
        Ok(decoded) => Ok(decoded.into_owned()),
        Err(_) => {
            Err(Problem::new("HW-API-009", format!("the query holds `{}`, which is not UTF-8", text.escape_debug())))
        }
    }
}

#[cfg(test)]
mod tests;
