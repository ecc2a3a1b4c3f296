use headwater_kernel::kind::ApplyOptions;
use headwater_kernel::resource::Resource;
use serde_json::json;

use super::{BucketSpec, EXAMPLE, KIND};
use crate::testing::{draft, problems};

fn told(yaml: &str) -> Vec<String> {
    problems(KIND, yaml).into_iter().map(|it| format!("{}: {}", it.place.unwrap().line, it.title)).collect()
}

fn spec(yaml: &str) -> BucketSpec {
    serde_json::from_value(draft(KIND, yaml).spec).unwrap()
}

#[test]
fn rows_go_over_a_network_with_tls_unless_it_is_allowed_without() {
    assert!(told(EXAMPLE).is_empty());
    let at = |endpoint: &str| EXAMPLE.replace("https://s3.example.com", endpoint);
    for near in ["http://127.0.0.1:9000", "http://localhost:9000/", "http://[::1]:9000", "https://10.0.0.7"] {
        assert!(told(&at(near)).is_empty(), "{near}");
    }
    let far = at("http://minio.lan:9000");
    assert_eq!(told(&far), ["5: `endpoint` is http, so that whoever is on the way reads the rows"]);
    assert!(told(&far.replace("  region", "  allowHttp: true\n  region")).is_empty());
    for wrong in ["s3.example.com", "ftp://s3.example.com", "https://id:key@s3.example.com", "https://s3.example.com/b"]
    {
        assert_eq!(told(&at(wrong)).len(), 1, "{wrong}");
    }
}

#[test]
fn names_are_such_as_every_reader_writes_the_same_way() {
    let bad = EXAMPLE.replace("acme-lake", "Acme_Lake").replace("prefix: headwater", "prefix: /a/../b");
    assert_eq!(told(&bad).iter().map(|it| it.split(':').next().unwrap()).collect::<Vec<_>>(), ["7", "8"]);
    assert!(told(&EXAMPLE.replace("prefix: headwater", "prefix: team=a/lake_1.0")).is_empty());
    assert_eq!(told(&EXAMPLE.replace("eu-central-1", "eu central")).len(), 1);
}

#[test]
fn readers_are_told_where_and_never_a_key() {
    let (own, aws) = (spec(EXAMPLE), spec(&EXAMPLE.replace("  endpoint: https://s3.example.com\n", "")));
    assert_eq!((own.root().as_str(), own.is_virtual_hosted()), ("s3://acme-lake/headwater", false));
    assert_eq!(
        json!(own.reader_settings()),
        json!({"client.region": "eu-central-1", "s3.endpoint": "https://s3.example.com",
            "s3.path-style-access": "true", "s3.region": "eu-central-1"})
    );
    assert!(aws.is_virtual_hosted() && !aws.reader_settings().contains_key("s3.endpoint"));
}

#[test]
fn a_bucket_may_move_to_another_server_and_nothing_else() {
    let stored: Resource = serde_json::from_value(json!({
        "apiVersion": "headwater.dev/v1", "kind": "Bucket", "metadata": {"name": "lake"},
        "spec": draft(KIND, EXAMPLE).spec, "effective": (KIND.effective)(&draft(KIND, EXAMPLE).spec, None),
    }))
    .unwrap();
    let changes = |yaml: &str| {
        let problems = (KIND.change)(&stored, &draft(KIND, yaml), &ApplyOptions::default());
        problems.into_iter().map(|problem| problem.code.to_string()).collect::<Vec<_>>()
    };
    assert!(changes(&EXAMPLE.replace("s3.example.com", "s3.example.org")).is_empty());
    assert_eq!(changes(&EXAMPLE.replace("acme-lake", "other-lake")), ["HW-LAKE-061"]);
    assert_eq!(changes(&EXAMPLE.replace("  prefix: headwater\n", "")), ["HW-LAKE-061"]);
}
