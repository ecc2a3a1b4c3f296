//! Names of resources. A stream's name is also its Kafka topic, so the alphabet is Kafka's.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Problem;

/// The longest name in bytes; the limit of a Kafka topic (`org.apache.kafka.common.internals.Topic`).
pub const NAME_BYTES_MAX: usize = 249;

/// A resource's name: 1 to 249 of `a-z A-Z 0-9 . _ -`, neither `.` nor `..`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(Arc<str>);

impl Name {
    /// Checks `text` and makes it a name.
    ///
    /// # Errors
    /// `HW-BASE-001` names the text and the rule it breaks.
    pub fn new(text: &str) -> Result<Self, Problem> {
        let fault = if text.is_empty() {
            "is empty".to_owned()
        } else if text.len() > NAME_BYTES_MAX {
            format!("has {} bytes; the limit is {NAME_BYTES_MAX}", text.len())
        } else if text == "." || text == ".." {
            "means a folder".to_owned()
        } else if let Some(bad) = text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))) {
            format!("holds `{}`", bad.escape_debug())
        } else {
            return Ok(Self(Arc::from(text)));
        };
        let shown: String = text.chars().take(60).collect();
        Err(Problem::new("HW-BASE-001", format!("the name `{}` {fault}", shown.escape_debug()))
            .help("use 1 to 249 of the letters a-z and A-Z, digits, `.`, `_` and `-`"))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self, Problem> {
        Self::new(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0.to_string()
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl schemars::JsonSchema for Name {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Name".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "minLength": 1,
            "maxLength": NAME_BYTES_MAX,
            "pattern": "^[a-zA-Z0-9._-]+$"
        })
    }
}

#[cfg(test)]
mod tests;
