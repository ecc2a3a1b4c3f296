//! Which streams that the node made go with a resource where that is asked for, and which are somebody else's.

use super::*;

/// A pipe that writes to one stream (`to`), reads one that the node makes (`also`), or names one in a text (`says`).
fn pipe(name: &str, spec: &str) -> String {
    format!("KIND Pipe\nmetadata: {{name: {name}}}\nspec: {{from: orders, {spec}}}\n")
}

fn with_made() -> DeleteOptions {
    DeleteOptions { made: true, ..DeleteOptions::default() }
}

async fn apply_all(kernel: &Arc<Kernel>, pipes: &[String]) {
    let report = apply(kernel, &format!("{STREAM}{}", pipes.concat())).await;
    let ids: Vec<String> = report.resources.iter().map(|one| format!("{}/{}", one.kind, one.name)).collect();
    assert_eq!(kernel.settled(&ids, Duration::from_secs(20)).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_read_stays() {
    let world = World::new();
    let kernel = world.open().await;
    // What clients write to, and what another one writes to.
    apply_all(&kernel, &[pipe("a", "also: out"), pipe("b", "to: out, also: clicks")]).await;
    assert_eq!(kernel.delete("Pipe", "b", &with_made()).await.unwrap(), ["Pipe/b"], "the other one reads it");
    assert_eq!(kernel.delete("Pipe", "a", &with_made()).await.unwrap(), ["Pipe/a", "Stream/out"]);
    assert!(world.log.stream("clicks").is_some() && world.log.stream("out").is_none());
    // Who asked for it is told all the same.
    let told = |name: &str| kernel.get("Stream", name).unwrap().status.message.clone();
    assert_eq!(told("clicks"), "was made because `Pipe/b` asked for it and has no resource; applying one adopts it");
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_text_names_stays() {
    let world = World::new();
    let kernel = world.open().await;
    apply_all(&kernel, &[pipe("a", "to: dead"), pipe("b", "says: 'SELECT * FROM \"dead\"'")]).await;
    let dry = DeleteOptions { dry_run: true, ..with_made() };
    assert_eq!(kernel.delete("Pipe", "a", &dry).await.unwrap(), ["Pipe/a"]);
    apply_all(&kernel, &[pipe("b", "says: 'SELECT * FROM \"dead.more\"'")]).await;
    assert_eq!(kernel.delete("Pipe", "a", &dry).await.unwrap(), ["Pipe/a", "Stream/dead"]);
    kernel.stop().await;
}

/// Whether one looks at them all together, as a dry run does, or at one after the other, as they go.
#[tokio::test(flavor = "multi_thread")]
async fn of_several_that_go_together_each_stream_is_looked_at() {
    let world = World::new();
    let kernel = world.open().await;
    let goes = [("a", "to: one"), ("b", "to: two"), ("c", "to: three"), ("d", "to: one")];
    let stays = [("x", "says: 'two'"), ("y", "to: three"), ("z", "says: 'one.more'")];
    let pipes: Vec<String> = goes.iter().chain(&stays).map(|(name, spec)| pipe(name, spec)).collect();
    apply_all(&kernel, &pipes).await;
    let asked = || {
        let of = |name: &str| Deletion { kind: "Pipe".to_owned(), name: name.to_owned(), version: None };
        goes.iter().map(|(name, _)| of(name)).collect::<Vec<_>>()
    };
    for dry_run in [true, false] {
        let report = kernel.delete_all(asked(), &DeleteOptions { dry_run, ..with_made() }).await.unwrap();
        let went = ["Pipe/a", "Pipe/b", "Pipe/c", "Pipe/d", "Stream/one"].map(str::to_owned).to_vec();
        assert_eq!((report.deleted, report.refused), (went, vec![]), "{dry_run}");
    }
    let there = ["one", "two", "three"].map(|name| world.log.stream(name).is_some());
    assert_eq!(there, [false, true, true]);
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_one_of_the_name_left_stays() {
    let world = World::new();
    let kernel = world.open().await;
    apply_all(&kernel, &[pipe("a", "to: old")]).await;
    assert_eq!(kernel.delete("Pipe", "a", &DeleteOptions::default()).await.unwrap(), ["Pipe/a"]);
    world.clock.advance(Duration::from_secs(1));
    apply_all(&kernel, &[pipe("a", "to: new")]).await;
    assert_eq!(kernel.delete("Pipe", "a", &with_made()).await.unwrap(), ["Pipe/a", "Stream/new"]);
    assert!(world.log.stream("old").is_some());
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_was_cut_off_goes_on_in_the_next_life() {
    for is_behind_the_stream in [false, true] {
        let world = World::new();
        let kernel = world.open().await;
        apply_all(&kernel, &[pipe("a", "to: dead")]).await;
        kernel.stop().await;
        // A life that writes down what is to go, and carries out nothing of it or the first step.
        let kernel = world.at_rest(Arc::clone(&world.clock) as Arc<dyn Clock>).await;
        let of = Arc::clone(&kernel);
        let deleting = tokio::spawn(async move { of.delete("Pipe", "a", &with_made()).await });
        until(&kernel, "the mark", || kernel.get("Pipe", "a").unwrap().metadata.deleting_made).await;
        deleting.abort();
        if is_behind_the_stream {
            world.log.delete(&Name::new("dead").unwrap()).await.unwrap();
        }
        let kernel = world.open().await;
        until(&kernel, "its end", || kernel.get("Pipe", "a").is_none()).await;
        assert!(world.log.stream("dead").is_none());
        let all = ["delete Pipe/a 1 deleting", "delete Stream/dead 0 deleting", "delete Stream/dead 0 deleted"];
        let told = if is_behind_the_stream { &all[..1] } else { &all[..] };
        let told: Vec<String> = told.iter().chain(&["delete Pipe/a 1 deleted"]).map(|&line| line.to_owned()).collect();
        assert!(world.audit().ends_with(&told), "{:?}", world.audit());
        kernel.stop().await;
    }
}
