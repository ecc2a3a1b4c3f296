//! Who asks.
//!
//! Until there are identities, whoever reaches a listener of this machine says who it is, and is believed.

use std::fmt;
use std::sync::Arc;

use crate::Problem;

/// The longest name of a principal, in characters.
const CHARS_MAX: usize = 128;
/// Whoever runs the node.
const ADMIN: &str = "admin";

/// The name of a person or a program that asks for data. Cheap to clone; [`Principal::default`] runs the node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal(Arc<str>);

impl Principal {
    /// Checks `text` and makes it a principal.
    ///
    /// # Errors
    /// `HW-BASE-002` for a text that is empty, longer than 128 characters or has control characters.
    pub fn new(text: &str) -> Result<Self, Problem> {
        let fault = match text.chars().count() {
            0 => "is empty".to_owned(),
            count if count > CHARS_MAX => format!("has {count} characters; the limit is {CHARS_MAX}"),
            _ if text.chars().any(char::is_control) => "holds a control character".to_owned(),
            _ => return Ok(Self(Arc::from(text))),
        };
        let shown: String = text.chars().take(60).collect();
        Err(Problem::new("HW-BASE-002", format!("the principal `{}` {fault}", shown.escape_debug()))
            .help(format!("use 1 to {CHARS_MAX} characters that can be seen, such as a login or a mail address")))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it runs the node: no policy narrows what it sees.
    pub fn is_admin(&self) -> bool {
        *self.0 == *ADMIN
    }
}

impl Default for Principal {
    fn default() -> Self {
        Self(Arc::from(ADMIN))
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_and_one_is_the_admin() {
        assert!(Principal::default().is_admin() && Principal::new("admin").unwrap().is_admin());
        let asha = Principal::new("asha@example.org").unwrap();
        assert!(!asha.is_admin() && asha.to_string() == "asha@example.org");
        assert!(Principal::new(&"ü".repeat(CHARS_MAX)).is_ok());
        for bad in [String::new(), "a\nb".to_owned(), "x".repeat(CHARS_MAX + 1)] {
            assert_eq!(Principal::new(&bad).unwrap_err().code, "HW-BASE-002");
        }
    }
}
