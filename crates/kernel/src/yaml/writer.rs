//! JSON values as YAML, the way people write resources: block style, quotes only where they are needed, texts of
//! several lines as literal blocks.
//!
//! Invariant: what is written here reads back as the same value ([`super::read`]); the command line's tests hold it to that
//! (`headwater/src/output/yaml/tests.rs`).

use headwater_wire::exact::Exact;
use serde_json::Value;

/// One document, ending in a line break.
pub fn write(value: &Value) -> String {
    write_exact(&Exact::from(value))
}

/// The same of a value whose numbers have all their digits.
pub fn write_exact(value: &Exact) -> String {
    let mut out = String::new();
    match value {
        Exact::Map(members) if !members.is_empty() => block(&mut out, value, 0),
        Exact::List(items) if !items.is_empty() => block(&mut out, value, 0),
        _ => {
            scalar(&mut out, value, 0);
            out.push('\n');
        }
    }
    out
}

fn block(out: &mut String, value: &Exact, indent: usize) {
    match value {
        Exact::Map(members) => {
            for (index, (key, member)) in members.iter().enumerate() {
                if index > 0 {
                    pad(out, indent);
                }
                text(out, key);
                out.push(':');
                below(out, member, indent);
            }
        }
        Exact::List(items) => {
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    pad(out, indent);
                }
                out.push('-');
                match item {
                    Exact::Map(members) if !members.is_empty() => {
                        out.push(' ');
                        block(out, item, indent + 2);
                    }
                    Exact::List(inner) if !inner.is_empty() => {
                        out.push(' ');
                        block(out, item, indent + 2);
                    }
                    _ => {
                        out.push(' ');
                        scalar(out, item, indent + 2);
                        out.push('\n');
                    }
                }
            }
        }
        _ => {}
    }
}

/// A member's value behind its colon.
fn below(out: &mut String, value: &Exact, indent: usize) {
    match value {
        Exact::Map(members) if !members.is_empty() => {
            out.push('\n');
            pad(out, indent + 2);
            block(out, value, indent + 2);
        }
        Exact::List(items) if !items.is_empty() => {
            out.push('\n');
            pad(out, indent);
            block(out, value, indent);
        }
        _ => {
            out.push(' ');
            scalar(out, value, indent + 2);
            out.push('\n');
        }
    }
}

fn scalar(out: &mut String, value: &Exact, indent: usize) {
    match value {
        Exact::String(words) if is_literal(words) => literal(out, words, indent),
        Exact::String(words) => text(out, words),
        other => out.push_str(&other.to_string()),
    }
}

/// A literal block keeps a program readable.
fn literal(out: &mut String, words: &str, indent: usize) {
    out.push('|');
    let body = match words.strip_suffix('\n') {
        Some(body) => body,
        None => {
            out.push('-');
            words
        }
    };
    for line in body.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            pad(out, indent.max(2));
            out.push_str(line);
        }
    }
}

/// Texts of several lines that a literal block gives back exactly.
fn is_literal(words: &str) -> bool {
    let body = words.strip_suffix('\n').unwrap_or(words);
    body.contains('\n')
        && !body.ends_with('\n')
        && !body.starts_with([' ', '\n', '\t'])
        && !body.contains("\n ")
        && words.chars().all(|c| c == '\n' || !(c.is_control() || is_odd(c)))
        || is_indented_program(words)
}

/// A program with indented lines: fine as a literal block as long as its first line is not indented.
fn is_indented_program(words: &str) -> bool {
    let body = words.strip_suffix('\n').unwrap_or(words);
    body.contains('\n')
        && !body.ends_with('\n')
        && !body.starts_with([' ', '\n', '\t'])
        && body.lines().all(|line| line == line.trim_end())
        && words.chars().all(|c| c == '\n' || !(c.is_control() || is_odd(c)))
}

/// A text on one line, plain where nothing can take it for something else.
fn text(out: &mut String, words: &str) {
    if is_plain(words) {
        out.push_str(words);
    } else {
        // JSON strings are YAML strings; characters that YAML does not print are escaped.
        let quoted = Value::from(words).to_string();
        for c in quoted.chars() {
            if is_odd(c) || c == '\u{7f}' { out.push_str(&format!("\\u{:04x}", u32::from(c))) } else { out.push(c) }
        }
    }
}

/// Line breaks of Unicode and the byte order mark, which YAML treats in its own way.
fn is_odd(c: char) -> bool {
    matches!(c, '\u{80}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

fn is_plain(words: &str) -> bool {
    let first_ok = words.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '_'));
    let rest_ok = words.chars().all(|c| {
        c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '.' | ' ' | '@' | '+' | '(' | ')' | ':' | '=' | ';')
    });
    let word = words.to_ascii_lowercase();
    let taken = ["null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf"].contains(&word.as_str());
    first_ok && rest_ok && !taken && !words.ends_with([' ', ':']) && !words.contains(": ") && !words.contains("  ")
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}
