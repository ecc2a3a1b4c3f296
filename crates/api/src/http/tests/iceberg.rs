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
    let metadata = Bytes::from(json!({ "name": name }).to_string());
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

    fn drop_table<'a>(&'a self, _: &'a str, table: &'a str, _: bool) -> BoxFuture<'a, Result<(), Problem>> {
        now(asked(table))
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
    let change = |of: Value| json!({"table-changes": [{"identifier": of}]});
    let path = "/iceberg/v1/transactions/commit";
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
    assert_eq!(house.with("HEAD", &large, "", "").await, (200, String::new()));
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
