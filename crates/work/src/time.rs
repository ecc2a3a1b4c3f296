//! Times as the language takes them: RFC 3339 with an upper-case `T` and an offset.

use headwater_base::Micros;

/// Reads a time; None for anything the language refuses, a blank in place of the `T` among it.
pub(crate) fn parse(text: &str) -> Option<Micros> {
    (text.as_bytes().get(10) == Some(&b'T')).then(|| Micros::parse_rfc3339(text))?
}

/// A time as the context object shows it, in milliseconds.
pub(crate) fn show(at: Micros) -> String {
    let whole = Micros::from_millis(at.millis());
    let text = whole.to_string();
    if text.contains('.') { text } else { text.replace('Z', ".000Z") }
}
