//! Drafts: kept for everybody, overwritten by nobody who has not seen them, published in one go.

use headwater_base::Principal;

use super::*;

const TEXT: &str = "# mine\napiVersion: headwater.dev/v1\nkind: Pipe\nmetadata: {name: a}\nspec: {from: orders}\n";

fn change(version: u64, begun: impl Into<Option<u64>>, who: &str, text: &str) -> DraftChange {
    let (name, who) = (Name::new("a").unwrap(), Principal::new(who).unwrap());
    DraftChange { kind: "Pipe", name, version, begun: begun.into(), who, text: text.to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_overwrites_what_they_have_not_seen() {
    let world = World::new();
    let kernel = world.open().await;
    assert_eq!(kernel.kept_draft("Pipe", "a").unwrap_err().code, "HW-KERNEL-039");
    // Nothing reads it yet, and it is no resource.
    let first = kernel.keep_draft(change(0, 0, "asha", "no: [yaml")).await.unwrap();
    assert_eq!((kernel.get("Pipe", "a"), world.audit()), (None, Vec::new()));
    let refused = kernel.keep_draft(change(0, 0, "bo", TEXT)).await.unwrap_err();
    assert_eq!(
        (refused.code.as_str(), refused.title.contains("`asha` changed the draft of `Pipe/a`")),
        ("HW-KERNEL-038", true)
    );
    let second = kernel.keep_draft(change(first.version, 0, "bo", TEXT)).await.unwrap();
    assert!(second.version > first.version);
    assert_eq!(kernel.keep_draft(change(first.version, 0, "asha", "x")).await.unwrap_err().code, "HW-KERNEL-038");
    assert_eq!(kernel.discard_draft("Pipe", "a", Some(first.version)).await.unwrap_err().code, "HW-KERNEL-038");
    kernel.stop().await;

    let kernel = world.open().await;
    assert_eq!(kernel.kept_drafts(), std::slice::from_ref(&second));
    kernel.discard_draft("Pipe", "a", Some(second.version)).await.unwrap();
    assert_eq!(kernel.kept_drafts(), []);
    // Who has seen an earlier draft of this name does not take the next one for it.
    world.clock.advance(Duration::from_millis(1));
    let third = kernel.keep_draft(change(0, 0, "asha", TEXT)).await.unwrap();
    assert!(third.version > second.version);
    assert_eq!(kernel.keep_draft(change(second.version, 0, "bo", TEXT)).await.unwrap_err().code, "HW-KERNEL-038");
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_becomes_the_resource_or_stays() {
    let world = World::new();
    let kernel = world.open().await;
    let codes = |problems: Vec<Problem>| problems.into_iter().map(|problem| problem.code).collect::<Vec<_>>();
    let mut kept = kernel.keep_draft(change(0, 0, "asha", TEXT)).await.unwrap();
    for (text, code) in [
        ("a: [", "HW-KERNEL-001"),
        ("", "HW-KERNEL-042"),
        (&*TEXT.replace("name: a", "name: b"), "HW-KERNEL-042"),
        (&*TEXT.replace("from", "form"), "HW-KERNEL-007"),
    ] {
        kept = kernel.keep_draft(change(kept.version, 0, "asha", text)).await.unwrap();
        assert_eq!(
            codes(kernel.publish_draft("Pipe", "a", kept.version, Principal::default()).await.unwrap_err()),
            [code]
        );
        assert_eq!(kernel.kept_draft("Pipe", "a").unwrap(), kept);
    }
    kept = kernel.keep_draft(change(kept.version, 0, "asha", TEXT)).await.unwrap();
    assert_eq!(
        codes(kernel.publish_draft("Pipe", "a", kept.version - 1, Principal::default()).await.unwrap_err()),
        ["HW-KERNEL-038"]
    );
    let report = kernel.publish_draft("Pipe", "a", kept.version, Principal::default()).await.unwrap();
    assert_eq!(report.resources[0].outcome, Outcome::Created);
    assert_eq!(kernel.text(&kernel.get("Pipe", "a").unwrap()).as_deref(), Some(TEXT));
    assert_eq!(kernel.kept_drafts(), []);
    assert_eq!(
        codes(kernel.publish_draft("Pipe", "a", kept.version, Principal::default()).await.unwrap_err()),
        ["HW-KERNEL-039"]
    );

    // One that began before somebody else's change stays what it is, and so does the resource.
    let text = TEXT.replace("orders", "others");
    let kept = kernel.keep_draft(change(0, report.resources[0].version, "asha", &text)).await.unwrap();
    let theirs =
        apply(&kernel, "KIND Pipe\nmetadata: {name: a}\nspec: {from: orders, n: 2}\n").await.resources[0].version;
    assert_eq!(
        codes(kernel.publish_draft("Pipe", "a", kept.version, Principal::default()).await.unwrap_err()),
        ["HW-KERNEL-011"]
    );
    assert_eq!(kernel.kept_drafts(), std::slice::from_ref(&kept));
    // With nothing to change, publishing discards it all the same.
    let same = "apiVersion: headwater.dev/v1\nkind: Pipe\nmetadata: {name: a}\nspec: {from: orders, n: 2}\n";
    let kept = kernel.keep_draft(change(kept.version, theirs, "asha", same)).await.unwrap();
    let report = kernel.publish_draft("Pipe", "a", kept.version, Principal::default()).await.unwrap();
    assert_eq!((report.resources[0].outcome, kernel.kept_drafts()), (Outcome::Unchanged, Vec::new()));
    // It goes with its resource.
    kernel.keep_draft(change(0, theirs, "asha", TEXT)).await.unwrap();
    kernel.delete("Pipe", "a", &DeleteOptions::default()).await.unwrap();
    assert_eq!(kernel.kept_drafts(), []);
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_keeps_the_version_that_it_began_with() {
    let world = World::new();
    let kernel = world.open().await;
    let spec = |n: u64| format!("KIND Pipe\nmetadata: {{name: a}}\nspec: {{from: orders, n: {n}}}\n");
    let first = apply(&kernel, &spec(1)).await.resources[0].version;
    let begun = kernel.keep_draft(change(0, None, "asha", TEXT)).await.unwrap();
    assert_eq!(begun.begun, first, "that of the resource as it was");
    // A label is no part of the spec, and the draft's text would undo it all the same.
    let labelled = spec(1).replace("{name: a}", "{name: a, labels: {team: shop}}");
    let second = apply(&kernel, &labelled).await.resources[0].version;
    let kept = kernel.keep_draft(change(begun.version, None, "asha", TEXT)).await.unwrap();
    assert_eq!(kept.begun, first, "whatever has come since");
    let refused = kernel.publish_draft("Pipe", "a", kept.version, Principal::default()).await.unwrap_err().remove(0);
    assert_eq!(
        (refused.code.as_str(), refused.title),
        (
            "HW-KERNEL-011",
            format!("the draft began with version {first} of `Pipe/a`, which is at version {second} by now")
        )
    );
    assert!(refused.help.is_some_and(|help| help.contains(&format!("`resourceVersion={second}`"))));
    let kept = kernel.keep_draft(change(kept.version, second, "asha", TEXT)).await.unwrap();
    kernel.publish_draft("Pipe", "a", kept.version, Principal::default()).await.unwrap();
    assert_eq!(kernel.get("Pipe", "a").map(|resource| resource.metadata.generation), Some(2));

    // One of a resource that is not there does not go over one that somebody else has made meanwhile.
    let name = Name::new("b").unwrap();
    let text = TEXT.replace("name: a", "name: b");
    let kept = kernel.keep_draft(DraftChange { name, ..change(0, None, "asha", &text) }).await.unwrap();
    let theirs = apply(&kernel, &spec(1).replace("name: a", "name: b")).await.resources[0].version;
    let refused = kernel.publish_draft("Pipe", "b", kept.version, Principal::default()).await.unwrap_err().remove(0);
    assert_eq!(
        refused.title,
        format!("the draft of `Pipe/b` began when there was none, and there is one of version {theirs} by now")
    );
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drafts_are_bounded_in_bytes_and_number() {
    let world = World::new();
    let kernel = world.open().await;
    let limits = Limits::default();
    let large = "x".repeat(limits.resource_text_bytes + 1);
    assert_eq!(kernel.keep_draft(change(0, 0, "asha", &large)).await.unwrap_err().code, "HW-KERNEL-040");
    for number in 0..limits.drafts {
        let name = Name::new(&format!("d{number}")).unwrap();
        kernel.keep_draft(DraftChange { name, ..change(0, 0, "asha", "") }).await.unwrap();
    }
    assert_eq!(kernel.keep_draft(change(0, 0, "asha", TEXT)).await.unwrap_err().code, "HW-KERNEL-041");
    kernel.discard_draft("Pipe", "d7", None).await.unwrap();
    kernel.keep_draft(change(0, 0, "asha", TEXT)).await.unwrap();
    kernel.stop().await;
}
