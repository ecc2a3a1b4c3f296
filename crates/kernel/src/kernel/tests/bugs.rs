//! What a panic in code of a feature does: one resource's failure, and everything else goes on.

use std::sync::atomic::AtomicBool;

use super::*;

fn pipe(name: &str, n: u64) -> String {
    format!("KIND Pipe\nmetadata: {{name: {name}}}\nspec: {{from: orders, n: {n}}}\n")
}

fn message(kernel: &Kernel, id: &str) -> String {
    let (kind, name) = id.split_once('/').unwrap();
    kernel.get(kind, name).unwrap().status.message.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_or_a_status_that_panics_is_the_failure_of_one_resource() {
    let world = World::new();
    let kernel = world.open().await;
    apply(&kernel, &format!("{STREAM}{}{}", pipe("a", 13), pipe("b", 14))).await;
    until(&kernel, "no plan", || status(&kernel, "Pipe/a") == "False Failed").await;
    until(&kernel, "no status", || status(&kernel, "Pipe/b") == "False Failed").await;
    assert!(
        message(&kernel, "Pipe/a").starts_with("HW-KERNEL-043: the plan of `Pipe/a`"),
        "{}",
        message(&kernel, "Pipe/a")
    );
    assert!(message(&kernel, "Pipe/a").contains("no plan for thirteen"));
    assert!(message(&kernel, "Pipe/b").contains("no status of fourteen"));
    // The supervisor goes on: others start, and better specs take the place of those.
    apply(&kernel, &format!("{}{}{}", pipe("a", 1), pipe("b", 2), pipe("c", 3))).await;
    let ids = ["Pipe/a".to_owned(), "Pipe/b".to_owned(), "Pipe/c".to_owned()];
    assert_eq!(kernel.settled(&ids, Duration::from_secs(20)).await, []);
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_panics_is_said_and_holds_nobody_up() {
    let world = World::new();
    let kernel = world.open().await;
    apply(&kernel, &format!("{STREAM}{}{}", pipe("a", 13), pipe("b", 1))).await;
    until(&kernel, "no plan", || status(&kernel, "Pipe/a") == "False Failed").await;
    let of = Arc::clone(&kernel);
    let deleting = tokio::spawn(async move { of.delete("Pipe", "a", &DeleteOptions::default()).await });
    until(&kernel, "the failure", || status(&kernel, "Pipe/a") == "False DeletionFailed").await;
    assert_eq!(kernel.delete("Pipe", "b", &DeleteOptions::default()).await.unwrap(), ["Pipe/b"]);
    deleting.abort();
    kernel.stop().await;
}

/// A clock that panics once it is broken.
struct Fragile(Arc<ManualClock>, AtomicBool);

impl Clock for Fragile {
    fn now(&self) -> headwater_base::Micros {
        self.0.now()
    }

    fn elapsed(&self) -> Duration {
        assert!(!self.1.load(Ordering::SeqCst), "the clock is broken");
        self.0.elapsed()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_supervisor_itself_is_told() {
    let world = World::new();
    let clock = Arc::new(Fragile(Arc::clone(&world.clock), AtomicBool::new(false)));
    let kernel = world.open_with(Arc::clone(&clock) as Arc<dyn Clock>).await;
    apply(&kernel, STREAM).await;
    assert_eq!(kernel.settled(&["Stream/orders".into()], Duration::from_secs(20)).await, []);
    clock.1.store(true, Ordering::SeqCst);
    kernel.wake();
    let ended = tokio::time::timeout(Duration::from_secs(20), kernel.ended()).await.unwrap();
    assert_eq!(ended.code, "HW-KERNEL-024");
    assert!(ended.title.ends_with("ended by a bug in the program: the clock is broken"), "{ended}");
    kernel.stop().await;
}
