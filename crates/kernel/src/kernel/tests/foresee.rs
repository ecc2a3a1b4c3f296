//! What deletions of many would come to.

use super::*;

fn asked(ids: &[&str]) -> Vec<Deletion> {
    let of = |id: &&str| {
        let (kind, name) = id.split_once('/').unwrap();
        Deletion { kind: kind.to_owned(), name: name.to_owned(), version: None }
    };
    ids.iter().map(of).collect()
}

fn codes(foreseen: &Foreseen) -> Vec<&str> {
    foreseen.refused.iter().map(|problem| problem.code.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_foreseen_of_deletions_is_what_they_come_to() {
    let world = World::new();
    let kernel = world.open().await;
    let pipe = |name: &str| format!("KIND Pipe\nmetadata: {{name: {name}}}\nspec: {{from: orders, to: dead}}\n");
    apply(&kernel, &format!("{STREAM}{}{}", pipe("a"), pipe("b"))).await;
    assert_eq!(kernel.settled(&["Pipe/a".into(), "Pipe/b".into()], Duration::from_secs(20)).await, []);
    let plain = DeleteOptions::default();
    let made = DeleteOptions { made: true, ..plain.clone() };

    // What others among them name waits for those; twice named is deleted once.
    let all = asked(&["Stream/orders", "Pipe/b", "Pipe/a", "Pipe/b"]);
    let foreseen = kernel.foresee(&all, &made);
    assert_eq!(foreseen.deleted, ["Pipe/b", "Pipe/a", "Stream/orders", "Stream/dead"]);
    assert_eq!(foreseen.refused, []);
    assert_eq!(kernel.foresee(&all, &plain).deleted, ["Pipe/b", "Pipe/a", "Stream/orders"]);

    // One stays, and so does what it names.
    let some = kernel.foresee(&asked(&["Pipe/a", "Stream/orders", "Pipe/c"]), &made);
    assert_eq!((&some.deleted[..], codes(&some)), (&["Pipe/a".to_owned()][..], vec!["HW-KERNEL-013", "HW-KERNEL-012"]));
    assert!(some.refused[0].title.contains("is named by `Pipe/b`"), "{:?}", some.refused);
    let cascade = DeleteOptions { cascade: true, ..plain.clone() };
    let whole = kernel.foresee(&asked(&["Stream/orders", "Pipe/a", "Stream/dead"]), &cascade);
    assert_eq!(whole.deleted, ["Pipe/b", "Pipe/a", "Stream/orders", "Stream/dead"]);

    // A stream that is named and was made goes once.
    let both = kernel.foresee(&asked(&["Pipe/a", "Pipe/b", "Stream/dead"]), &made);
    assert_eq!(
        (&both.deleted[..], both.refused.len()),
        (&["Pipe/a", "Pipe/b", "Stream/dead"].map(str::to_owned)[..], 0)
    );

    let mut other = asked(&["Pipe/a"]);
    other[0].version = Some(1_000);
    assert_eq!(codes(&kernel.foresee(&other, &plain)), ["HW-KERNEL-011"]);
    assert!(kernel.get("Pipe", "a").is_some() && world.log.stream("dead").is_some(), "nothing has gone");
    kernel.stop().await;
}
