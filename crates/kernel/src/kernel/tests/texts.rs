//! The texts of resources: kept as they were applied, and told only while they are true.

use super::*;

const COMMENTED: &str =
    "# what the shop sells\nKIND Stream\nmetadata: {name: orders}\nspec:\n  partitions: 2 # enough\n";

fn text(kernel: &Kernel, kind: &str, name: &str) -> Option<String> {
    kernel.text(&kernel.get(kind, name).unwrap())
}

/// The draft without its text, as of a client that sends JSON.
async fn apply_value(kernel: &Arc<Kernel>, text: &str) -> Report {
    let drafts = drafts(kernel, text).into_iter().map(|draft| Draft { text: None, ..draft }).collect();
    kernel.apply(drafts, &ApplyOptions::default()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_kept_replaced_and_goes_with_its_resource() {
    let world = World::new();
    let kernel = world.open().await;
    apply(&kernel, &format!("{COMMENTED}# behind it\n{PIPE_A}")).await;
    assert_eq!(kernel.settled(&["Pipe/a".into(), "Stream/orders".into()], Duration::from_secs(20)).await, []);
    let head = "apiVersion: headwater.dev/v1\nkind: ";
    let first = format!(
        "# what the shop sells\n{head}Stream\nmetadata: {{name: orders}}\nspec:\n  partitions: 2 # enough\n# behind it\n"
    );
    assert_eq!(text(&kernel, "Stream", "orders"), Some(first));
    assert_eq!(
        text(&kernel, "Pipe", "a"),
        Some(format!("{head}Pipe\nmetadata: {{name: a}}\nspec: {{from: orders}}\n"))
    );

    // Another text of the same value: no generation, no restart, and yet an audit event.
    let report = apply(&kernel, "KIND Pipe\nmetadata: {name: a}\nspec:\n  # why\n  from: orders\n").await;
    assert_eq!(told(&report), ["pipe/a unchanged 1"]);
    assert!(text(&kernel, "Pipe", "a").unwrap().contains("  # why\n"));
    assert_eq!(world.audit().last().map(String::as_str), Some("apply Pipe/a 1 rewritten"));
    let entries = world.audit().len();
    apply(&kernel, "KIND Pipe\nmetadata: {name: a}\nspec:\n  # why\n  from: orders\n").await;
    assert_eq!(world.audit().len(), entries);
    kernel.stop().await;
    assert_eq!(world.units.starts.load(Ordering::SeqCst), 1);

    // It survives, and goes with the resource: one of the same name later has none of its words.
    let kernel = world.open().await;
    assert!(text(&kernel, "Pipe", "a").unwrap().contains("  # why\n"));
    kernel.delete("Pipe", "a", &DeleteOptions::default()).await.unwrap();
    assert_eq!(world.log.scan(crate::text::SPACE, b"", None, 10).len(), 1);
    apply_value(&kernel, "KIND Pipe\nmetadata: {name: a}\nspec: {from: orders}\n").await;
    assert_eq!(text(&kernel, "Pipe", "a"), None);
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_without_a_text_leaves_none_and_a_dry_run_leaves_what_is_there() {
    let world = World::new();
    let kernel = world.open().await;
    apply(&kernel, COMMENTED).await;
    let first = text(&kernel, "Stream", "orders");
    assert!(first.is_some());
    let dry = ApplyOptions { dry_run: true, ..ApplyOptions::default() };
    kernel
        .apply(drafts(&kernel, "KIND Stream\nmetadata: {name: orders}\nspec: {partitions: 3}\n"), &dry)
        .await
        .unwrap();
    apply_value(&kernel, STREAM).await;
    assert_eq!(text(&kernel, "Stream", "orders"), first);
    apply_value(&kernel, "KIND Stream\nmetadata: {name: orders}\nspec: {partitions: 3}\n").await;
    assert_eq!(text(&kernel, "Stream", "orders"), None);
    assert_eq!(world.log.scan(crate::text::SPACE, b"", None, 10), []);
    // A text that says something else by now, as of a node of another version, is not told.
    apply(&kernel, "KIND Stream\nmetadata: {name: orders}\nspec: {partitions: 4}\n").await;
    let other =
        Resource { spec: json!({"partitions": 5}), ..Resource::clone(&kernel.get("Stream", "orders").unwrap()) };
    assert_eq!(kernel.text(&other), None);
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_text_is_kept_of_secrets_and_of_what_a_node_has_printed() {
    let world = World::new();
    let kernel = world.open().await;
    apply(&kernel, "# hunter2\nKIND Secret\nmetadata: {name: key}\nspec: {from: {env: KEY}} # hunter2\n").await;
    assert_eq!(text(&kernel, "Secret", "key"), None);
    apply(&kernel, STREAM).await;
    apply(&kernel, "KIND Stream\nmetadata: {name: orders, generation: 1}\nspec: {partitions: 3}\n").await;
    assert_eq!(text(&kernel, "Stream", "orders"), None);
    assert_eq!(world.log.scan(crate::text::SPACE, b"", None, 10), []);
    kernel.stop().await;
}
