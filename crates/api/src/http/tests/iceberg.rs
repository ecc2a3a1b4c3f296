//! Iceberg's catalog as its clients see it: addresses, statuses, and refusals in their words.

use std::collections::{BTreeMap, BTreeSet};

use headwater_kernel::port::Catalog;
use headwater_kernel::port::catalog::{Identifier, TableAt, TableChange};
use serde_json::json;

use super::*;
use crate::http::routes;

/// A catalog that does what it is asked, unless a name is the code of the refusal that is wanted.
pub struct Shop;

fn asked(name: &str) -> Result<(), Problem> {
    if name.starts_with("HW-") { Err(Problem::new(name, "it is refused")) } else { Ok(()) }
}

fn found(name: &str) -> Result<TableAt, Problem> {
    asked(name)?;
    let metadata_location = (name != "staged").then(|| "file:///data/x.json".to_owned());
    let metadata = match name {
        "branched" => json!({
            "refs": {"main": {"snapshot-id": 3}, "kept": {"snapshot-id": 1}},
            "snapshots": [{"snapshot-id": 1}, {"snapshot-id": 2}, {"snapshot-id": 3}],
        }),
        name => json!({ "name": name }),
    };
    let metadata = Bytes::from(metadata.to_string());
    Ok(TableAt { metadata_location, metadata, config: BTreeMap::new() })
}

fn now<'a, T: Send + 'a>(answer: Result<T, Problem>) -> BoxFuture<'a, Result<T, Problem>> {
    Box::pin(async move { answer })
}

impl Catalog for Shop {
    fn namespaces(&self) -> Vec<String> {
        vec!["shop".to_owned()]
    }

    fn namespace(&self, name: &str) -> Result<Value, Problem> {
        asked(name).map(|()| json!({"owner": "me"}))
    }

    fn create_namespace<'a>(&'a self, name: &'a str, _: Value) -> BoxFuture<'a, Result<(), Problem>> {
        now(asked(name))
    }

    fn update_namespace<'a>(&'a self, name: &'a str, request: Value) -> BoxFuture<'a, Result<Value, Problem>> {
        now(asked(name).map(|()| json!({"updated": [], "removed": request["removals"], "missing": []})))
    }

    fn drop_namespace<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), Problem>> {
        now(asked(name))
    }

    fn tables(&self, _: &str) -> Result<Vec<String>, Problem> {
        Ok(vec!["orders".to_owned()])
    }

    fn load<'a>(&'a self, _: &'a str, table: &'a str) -> BoxFuture<'a, Result<TableAt, Problem>> {
        now(found(table))
    }

    fn create<'a>(&'a self, _: &'a str, request: Value) -> BoxFuture<'a, Result<TableAt, Problem>> {
        now(found(request["name"].as_str().unwrap_or_default()))
    }

    fn register<'a>(&'a self, _: &'a str, request: Value) -> BoxFuture<'a, Result<TableAt, Problem>> {
        now(found(request["name"].as_str().unwrap_or_default()))
    }

    fn commit(&self, changes: Vec<TableChange>) -> BoxFuture<'_, Result<Vec<TableAt>, Problem>> {
        now(changes.iter().map(|change| found(&change.table)).collect())
    }

    fn rename_table(&self, from: Identifier, to: Identifier) -> BoxFuture<'_, Result<(), Problem>> {
        now(asked(&from.name).and_then(|()| asked(&to.namespace)))
    }

    fn drop_table<'a>(&'a self, _: &'a str, table: &'a str, purge: bool) -> BoxFuture<'a, Result<(), Problem>> {
        // The files of this one have to stay.
        now(if purge && table == "kept" { asked("HW-LAKE-033") } else { asked(table) })
    }

    fn views(&self, _: &str) -> Result<Vec<String>, Problem> {
        Ok(vec!["large".to_owned()])
    }

    fn load_view(&self, _: &str, view: &str) -> Result<TableAt, Problem> {
        found(view)
    }

    fn create_view<'a>(&'a self, _: &'a str, request: Value) -> BoxFuture<'a, Result<TableAt, Problem>> {
        now(found(request["name"].as_str().unwrap_or_default()))
    }

    fn commit_view<'a>(&'a self, _: &'a str, view: &'a str, _: Value) -> BoxFuture<'a, Result<TableAt, Problem>> {
        now(found(view))
    }

    fn rename_view(&self, from: Identifier, _: Identifier) -> BoxFuture<'_, Result<(), Problem>> {
        now(asked(&from.name))
    }

    fn drop_view<'a>(&'a self, _: &'a str, view: &'a str) -> BoxFuture<'a, Result<(), Problem>> {
        now(asked(view))
    }

    fn describe<'a>(&'a self, dataset: &'a str) -> BoxFuture<'a, Result<Value, Problem>> {
        now(asked(dataset).map(|()| Value::Null))
    }
}

const NAMESPACES: &str = "/iceberg/v1/namespaces";

impl House {
    /// The status of an address, the tag of what it gives, and that.
    async fn tagged(&self, path: &str, headers: &str) -> (u16, String, String) {
        let address = self.address;
        let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\r\n");
        let answer = exchange(address, &request).await;
        let (status, head, body) = parts(&answer);
        let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap_or_default();
        (status, tag.to_owned(), body.to_owned())
    }

    async fn iceberg(&self, method: &str, path: &str, request: &Value) -> (u16, String) {
        self.send(method, path, "application/json", &request.to_string()).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_served_is_what_the_configuration_says() {
    let house = house().await;
    let config = body(&house.get("/iceberg/v1/config").await);
    let told: BTreeSet<String> =
        config["endpoints"].as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect();
    let mut served = BTreeSet::new();
    for route in routes::all().filter(|route| route.path.starts_with("/iceberg/") && !route.path.ends_with("/config")) {
        let path = route.path.replace("/iceberg/v1/", "/v1/{prefix}/");
        served.insert(format!("{} {path}", route.method.to_uppercase()));
        let named = ["{namespace}", "{table}", "{view}"].iter().any(|end| path.ends_with(end));
        if route.method == "get" && named {
            served.insert(format!("HEAD {path}"));
        }
    }
    assert_eq!(told, served);
    for one in &told {
        let (method, path) = one.split_once(' ').unwrap();
        let path = path.replace("/v1/{prefix}/", "/iceberg/v1/").replace("{namespace}", "shop");
        let path = path.replace("{table}", "branched").replace("{view}", "branched");
        let answer = match method {
            "POST" => house.iceberg(method, &path, &json!({})).await,
            _ => house.with(method, &path, "", "").await,
        };
        assert!(![404, 405].contains(&answer.0), "{one}: {answer:?}");
    }
    house.stop().await;
}

/// Clients go by the list: what the specification has besides is nowhere, and nothing of it comes unasked.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_configuration_does_not_say_is_not_there() {
    let house = house().await;
    let table = format!("{NAMESPACES}/shop/tables/branched");
    for (method, path) in [
        ("GET", format!("{table}/credentials")),
        ("POST", format!("{table}/sign")),
        ("POST", format!("{table}/plan")),
        ("GET", format!("{table}/plan/1")),
        ("DELETE", format!("{table}/plan/1")),
        ("POST", format!("{table}/tasks")),
        ("POST", "/iceberg/v1/oauth/tokens".to_owned()),
    ] {
        let answer = house.with(method, &path, "", "").await;
        assert_eq!(answer.0, 404, "{method} {path}: {answer:?}");
    }
    let (status, _, given) = house.tagged(&table, "x-iceberg-access-delegation: vended-credentials\r\n").await;
    let given: Value = serde_json::from_str(&given).unwrap();
    assert_eq!((status, given.get("storage-credentials")), (200, None), "{given}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_have_the_status_and_type_that_clients_look_for() {
    let house = house().await;
    for (code, status, kind) in [
        ("HW-LAKE-030", 404, "NoSuchNamespaceException"),
        ("HW-LAKE-031", 409, "AlreadyExistsException"),
        ("HW-LAKE-032", 404, "NoSuchTableException"),
        ("HW-LAKE-033", 403, "ForbiddenException"),
        ("HW-LAKE-034", 409, "CommitFailedException"),
        ("HW-LAKE-035", 400, "BadRequestException"),
        ("HW-LAKE-036", 409, "NamespaceNotEmptyException"),
        ("HW-LAKE-090", 422, "UnprocessableEntityException"),
        ("HW-LAKE-091", 404, "NoSuchViewException"),
        ("HW-LAKE-063", 503, "ServiceUnavailableException"),
        ("HW-LAKE-023", 500, "CommitStateUnknownException"),
    ] {
        let answer = house.iceberg("POST", &format!("{NAMESPACES}/{code}/properties"), &json!({})).await;
        assert_eq!(answer.0, status, "{answer:?}");
        let error = &body(&answer)["error"];
        assert_eq!((&error["type"], &error["code"]), (&json!(kind), &json!(status)));
        assert!(error["message"].as_str().unwrap().starts_with(code), "{error}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_go_with_their_table_when_a_client_says_so_and_no_word_is_guessed_at() {
    let house = house().await;
    for (query, status) in [
        ("", 204),
        ("?purgeRequested=", 204),
        ("?purgeRequested=False", 204),
        ("?purgeRequested=true", 403),
        ("?purgeRequested=True", 403),
        ("?purgeRequested=yes", 400),
    ] {
        let answer = house.with("DELETE", &format!("{NAMESPACES}/shop/tables/kept{query}"), "", "").await;
        assert_eq!(answer.0, status, "{query}: {answer:?}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_come_from_the_body_and_have_one_level() {
    let house = house().await;
    let at = |namespace: Value, name: &str| json!({"namespace": namespace, "name": name});
    let rename = |from: Value, to: Value| json!({"source": from, "destination": to});
    let here = || at(json!(["shop"]), "orders");
    for kind in ["tables", "views"] {
        let path = format!("/iceberg/v1/{kind}/rename");
        assert_eq!(house.iceberg("POST", &path, &rename(here(), here())).await, (204, String::new()));
        let refused = house.iceberg("POST", &path, &rename(at(json!(["shop"]), "HW-LAKE-091"), here())).await;
        assert_eq!(refused.0, 404, "{refused:?}");
        for deep in [at(json!(["a", "b"]), "orders"), at(json!([]), "orders"), at(json!("shop"), "orders"), json!(7)] {
            let refused = house.iceberg("POST", &path, &rename(here(), deep)).await;
            assert_eq!(refused.0, 400, "{refused:?}");
            assert!(body(&refused)["error"]["message"].as_str().unwrap().contains("`destination`"));
        }
    }
    for strange in [json!(["a", "b"]), json!([]), json!(["shop", 7]), json!("shop"), json!(null)] {
        let refused = house.iceberg("POST", NAMESPACES, &json!({"namespace": strange})).await;
        assert_eq!(refused.0, 400, "{refused:?}");
    }
    assert_eq!(house.iceberg("POST", NAMESPACES, &json!({"namespace": ["shop"]})).await.0, 200);
    let change = |of: Value| json!({"table-changes": [{"identifier": of}]});
    let path = "/iceberg/v1/transactions/commit";
    for nothing in [json!({}), json!({"table-changes": 7}), json!([])] {
        assert_eq!(house.iceberg("POST", path, &nothing).await.0, 400, "{nothing}");
    }
    assert_eq!(house.iceberg("POST", path, &change(here())).await.0, 204);
    assert_eq!(house.iceberg("POST", path, &change(at(json!([]), "orders"))).await.0, 400);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn views_and_staged_tables_are_given_as_clients_read_them() {
    let house = house().await;
    let views = format!("{NAMESPACES}/shop/views");
    let listed = body(&house.get(&views).await);
    assert_eq!(listed["identifiers"], json!([{"namespace": ["shop"], "name": "large"}]));
    let large = format!("{views}/large");
    let seen = json!({"metadata-location": "file:///data/x.json", "metadata": {"name": "large"}, "config": {}});
    for (method, path) in [("POST", &views), ("GET", &large), ("POST", &large)] {
        let answer = house.iceberg(method, path, &json!({"name": "large"})).await;
        assert_eq!((answer.0, body(&answer)), (200, seen.clone()), "{method} {path}");
    }
    for there in [&large, &format!("{NAMESPACES}/shop"), &format!("{NAMESPACES}/shop/tables/orders")] {
        assert_eq!(house.with("HEAD", there, "", "").await, (204, String::new()), "{there}");
    }
    assert_eq!(house.with("HEAD", &format!("{views}/HW-LAKE-091"), "", "").await.0, 404);
    assert_eq!(house.iceberg("DELETE", &large, &json!({})).await.0, 204);
    let staged = house.iceberg("POST", &format!("{NAMESPACES}/shop/tables"), &json!({"name": "staged"})).await;
    assert_eq!(body(&staged), json!({"metadata": {"name": "staged"}, "config": {}}));
    let registered = house.iceberg("POST", &format!("{NAMESPACES}/shop/register"), &json!({"name": "large"})).await;
    assert_eq!((registered.0, body(&registered)), (200, seen));
    let removed = house.iceberg("POST", &format!("{NAMESPACES}/shop/properties"), &json!({"removals": ["x"]})).await;
    assert_eq!(body(&removed), json!({"updated": [], "removed": ["x"], "missing": []}));
    house.stop().await;
}

/// Whoever has no pages says nothing of a next one.
#[tokio::test(flavor = "multi_thread")]
async fn lists_are_whole_and_a_parent_has_to_be_there() {
    let house = house().await;
    let list = async |path: &str| house.get(path).await;
    let all = list(&format!("{NAMESPACES}?pageToken=&pageSize=1")).await;
    assert_eq!((all.0, body(&all)), (200, json!({"namespaces": [["shop"]]})));
    let within = list(&format!("{NAMESPACES}?parent=shop")).await;
    assert_eq!((within.0, body(&within)), (200, json!({"namespaces": []})));
    assert_eq!(list(&format!("{NAMESPACES}?parent=HW-LAKE-030")).await.0, 404);
    let tables = body(&list(&format!("{NAMESPACES}/shop/tables?pageToken=")).await);
    assert_eq!(tables, json!({"identifiers": [{"namespace": ["shop"], "name": "orders"}]}));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_has_not_changed_is_not_given_again() {
    let house = house().await;
    let orders = format!("{NAMESPACES}/shop/tables/branched");
    let (status, tag, all) = house.tagged(&orders, "").await;
    assert!(status == 200 && tag.starts_with('"'), "{status} {tag}");
    let known = |tag: &str| format!("if-none-match: {tag}\r\n");
    for tag in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}")] {
        let unchanged = house.tagged(&orders, &known(&tag)).await;
        assert_eq!((unchanged.0, unchanged.2), (304, String::new()), "{tag}");
    }
    assert_eq!(house.tagged(&orders, &known("\"x\"")).await, (200, tag.clone(), all));

    // The same version, given otherwise.
    let referenced = format!("{orders}?snapshots=refs");
    let (status, other, some) = house.tagged(&referenced, &known(&tag)).await;
    assert!(status == 200 && other != tag, "{status} {other}");
    let some: Value = serde_json::from_str(&some).unwrap();
    assert_eq!(some["metadata"]["snapshots"], json!([{"snapshot-id": 1}, {"snapshot-id": 3}]));
    assert_eq!(house.tagged(&referenced, &known(&other)).await.0, 304);
    assert_eq!(house.tagged(&format!("{orders}?snapshots=all"), &known(&tag)).await.0, 304);
    assert_eq!(house.get(&format!("{orders}?snapshots=some")).await.0, 400);
    assert_eq!(house.get(&format!("{NAMESPACES}/shop/tables/HW-LAKE-032")).await.0, 404);
    house.stop().await;
}
