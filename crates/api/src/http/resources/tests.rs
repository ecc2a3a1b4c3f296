use super::*;

#[tokio::test]
async fn who_takes_changes_too_slowly_is_told_that_some_are_lost() {
    let (tell, changes) = broadcast::channel(1);
    let (_stop, stop) = watch::channel(false);
    let change = |name: &str| Change { kind: "Stream".to_owned(), name: name.to_owned(), resource: None };
    let selector = Selector::parse("").unwrap();
    let known = ["Stream/a", "Stream/b"].map(str::to_owned).into();
    let mut watching = Watching { lines: VecDeque::new(), known, changes, kind: None, selector, stop, lost: false };
    tell.send(change("a")).unwrap();
    assert_eq!(watching.next().await.unwrap()["name"], "a");
    for name in ["a", "b"] {
        tell.send(change(name)).unwrap();
    }
    assert_eq!(watching.next().await, Some(json!({ "type": "lost" })));
    assert_eq!(watching.next().await, None);
}
