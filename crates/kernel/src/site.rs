//! `Site`: where people find the console of this node, which is how a link begins that leaves the node.
//!
//! What it is NOT: an address that the node listens on. Behind a proxy nobody but who runs the node knows it.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;

use serde::Deserialize;

/// `https://data.example.com`: scheme, host, perhaps a port and a path; no slash at the end. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Site(Arc<str>);

impl Site {
    /// The site of a node that nothing stands in front of.
    pub fn at(http: SocketAddr) -> Self {
        Self(Arc::from(format!("http://{http}")))
    }

    /// The link to a page, which begins with a slash.
    pub fn link(&self, page: &str) -> String {
        format!("{}{page}", self.0)
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Site {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let after = ["https://", "http://"].iter().find_map(|scheme| text.strip_prefix(scheme));
        // A question, a fragment or a user would swallow or change what is put behind it.
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"?#@\"<>\\^`{|}".contains(&byte);
        let is_site = |rest: &str| !rest.is_empty() && !rest.starts_with(['/', ':']) && rest.bytes().all(plain);
        match after.is_some_and(is_site) {
            true => Ok(Self(Arc::from(text.trim_end_matches('/')))),
            false => {
                let shown = text.chars().take(100).collect::<String>();
                Err(format!("`{}` is no address such as `https://data.example.com`", shown.escape_debug()))
            }
        }
    }
}

impl TryFrom<String> for Site {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_the_beginning_of_a_link() {
        let link = |text: &str| text.parse::<Site>().map(|site| site.link("/console/"));
        assert_eq!(link("https://data.example.com"), Ok("https://data.example.com/console/".to_owned()));
        assert_eq!(link("http://[::1]:8080/data/"), Ok("http://[::1]:8080/data/console/".to_owned()));
        assert_eq!(Site::at(([127, 0, 0, 1], 80).into()).link("/a"), "http://127.0.0.1:80/a");
        for none in
            ["", "data.example.com", "https://", "http:///a", "ftp://a", "https://a?b", "https://a b", "http://u@a"]
        {
            let told = link(none).unwrap_err();
            assert_eq!(told, format!("`{none}` is no address such as `https://data.example.com`"));
        }
    }
}
