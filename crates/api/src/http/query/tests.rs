use super::Query;

const KNOWN: &[&str] = &["from", "max", "follow"];

fn parse(query: &str) -> Result<Query, String> {
    Query::parse(Some(query), KNOWN)
        .map_err(|problem| format!("{} | {}", problem.title, problem.help.unwrap_or_default()))
}

#[test]
fn reads_values_and_flags() {
    let query = parse("from=2015-05-17T10%3A05%3A00%2B02%3A00&max=7&follow").unwrap();
    assert_eq!(query.text("from"), Some("2015-05-17T10:05:00+02:00"));
    assert_eq!(query.read::<u32>("max", "a number").unwrap(), Some(7));
    assert!(query.flag("follow").unwrap());
    assert!(!parse("").unwrap().flag("follow").unwrap());
}

#[test]
fn says_what_is_wrong() {
    assert_eq!(parse("folow").unwrap_err(), "no query parameter `folow` | did you mean `follow`?");
    assert_eq!(parse("page=2").unwrap_err(), "no query parameter `page` | this address takes `from`, `max`, `follow`");
    let problem = parse("max=many").unwrap().read::<u32>("max", "a number of records").unwrap_err();
    assert_eq!(
        problem.to_string(),
        "error[HW-API-009]: the query parameter `max` is `many`\nhelp: it takes a number of records"
    );
    assert!(parse("from=%ff").unwrap_err().contains("not UTF-8"));
}
