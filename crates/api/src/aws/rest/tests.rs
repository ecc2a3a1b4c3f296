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
