use proptest::prelude::*;

use super::*;

fn found(scope: Option<&str>, method: &str, path: &str, query: &str) -> Option<(&'static str, Value)> {
    let found = find(scope, method, path, Some(query))?;
    Some((found.operation.name, Value::Object(found.members)))
}

#[test]
fn a_path_and_a_query_become_members() {
    assert_eq!(
        found(None, "GET", "/schedules/night%2Drun", "groupName=a%20b&unknown=1"),
        Some(("GetSchedule", json!({ "Name": "night-run", "GroupName": "a b" })))
    );
    assert_eq!(
        found(Some("scheduler"), "GET", "/schedules", "MaxResults=7&ScheduleGroup=g&NamePrefix="),
        Some(("ListSchedules", json!({ "MaxResults": 7, "GroupName": "g", "NamePrefix": "" })))
    );
    let arn = "arn%3Aaws%3Ascheduler%3Aeu-west-1%3A000000000000%3Aschedule-group%2Fg";
    assert_eq!(
        found(Some("scheduler"), "DELETE", &format!("/tags/{arn}"), "TagKeys=a&TagKeys=b"),
        Some((
            "UntagResource",
            json!({ "ResourceArn": "arn:aws:scheduler:eu-west-1:000000000000:schedule-group/g", "TagKeys": ["a", "b"] })
        ))
    );
}

#[test]
fn other_paths_are_nobodys() {
    for (method, path) in [
        ("PATCH", "/schedules/a"),
        ("GET", "/schedules/"),
        ("GET", "/schedules/a/b"),
        ("GET", "/"),
        ("GET", ""),
        ("GET", "/schedules/%ff"),
    ] {
        assert_eq!(found(Some("scheduler"), method, path, ""), None, "{method} {path}");
    }
}

proptest! {
    /// Any path and query is some row's or nobody's, and what a row takes is bounded by the request.
    #[test]
    fn any_request_line_is_taken(path in "(/[a-z%0-9{}-]{0,12}){0,4}", query in ".{0,60}") {
        for method in ["GET", "PUT", "POST", "DELETE"] {
            if let Some(found) = find(None, method, &path, Some(&query)) {
                prop_assert!(Value::Object(found.members).to_string().len() <= 6 * (path.len() + query.len()) + 200);
            }
        }
    }

    /// A name comes out of a path as it went in, however it is written.
    #[test]
    fn a_name_comes_through(name in "\\PC{1,20}") {
        let written: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let found = find(None, "GET", &format!("/v1/pipes/{written}"), None).unwrap();
        prop_assert_eq!(found.operation.name, "DescribePipe");
        prop_assert_eq!(Value::Object(found.members), json!({ "Name": name }));
    }
}
