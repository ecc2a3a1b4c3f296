//! Who asks, as a request says it.

use headwater_base::{Principal, Problem};
use hyper::HeaderMap;

/// The header that names the principal.
const HEADER: &str = "headwater-principal";

/// The principal of a request: as the header says, or whoever runs the node. Loopback is all that there is until
/// identities are: programs of this machine are believed.
///
/// # Errors
/// `HW-BASE-002` for a header that names nobody.
pub fn of(headers: &HeaderMap) -> Result<Principal, Problem> {
    let mut named = headers.get_all(HEADER).iter();
    match (named.next(), named.next()) {
        (None, _) => Ok(Principal::default()),
        (Some(one), None) => Principal::new(std::str::from_utf8(one.as_bytes()).unwrap_or_default()),
        // Two names may not be read as one of them.
        (Some(_), Some(_)) => Principal::new(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_header_names_the_principal_and_none_means_the_admin() {
        let with = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(HEADER, value.parse().unwrap());
            }
            of(&headers)
        };
        assert!(with(&[]).unwrap().is_admin());
        assert_eq!(with(&["asha"]).unwrap().as_str(), "asha");
        assert_eq!(with(&["asha", "admin"]).unwrap_err().code, "HW-BASE-002");
        assert_eq!(with(&[""]).unwrap_err().code, "HW-BASE-002");
    }
}
