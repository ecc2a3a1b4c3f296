//! Which fields of a document an update expression names: what `UPDATED_OLD` and `UPDATED_NEW` give back.

use headwater_kernel::port::tables::Expression;

/// The outermost fields that the expression changes. It reads only as much as that takes: whether the expression is
/// one is the tables' to say.
pub(super) fn fields(expression: &Expression) -> Vec<String> {
    let mut found = Vec::new();
    let (mut depth, mut at_path) = (0_u32, false);
    let mut rest = expression.text.as_str();
    while let Some(first) = rest.chars().next() {
        let word = word(rest);
        match first {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => at_path = true,
            _ if !word.is_empty() && depth == 0 => {
                if ["SET", "REMOVE", "ADD", "DELETE"].iter().any(|clause| clause.eq_ignore_ascii_case(word)) {
                    at_path = true;
                } else if at_path {
                    at_path = false;
                    let outermost = word.split(['.', '[']).next().unwrap_or_default();
                    let field = expression.names.get(outermost).map_or(outermost, String::as_str);
                    found.push(field.to_owned());
                }
            }
            _ => {}
        }
        rest = rest.get(word.len().max(first.len_utf8())..).unwrap_or_default();
    }
    found
}

/// The word that the text begins with: a path, a clause, a value's name.
fn word(text: &str) -> &str {
    let inside = |c: char| c.is_alphanumeric() || matches!(c, '_' | '#' | ':' | '.' | '[' | ']' | '-');
    let end = text.find(|c: char| !inside(c)).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests;
