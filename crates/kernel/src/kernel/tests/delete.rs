//! Deletions of many in one request.

use futures::FutureExt as _;
use headwater_base::suggest::SUGGESTED_MAX;

use super::*;

fn asked(ids: &[&str]) -> Vec<Deletion> {
    let of = |id: &&str| {
        let (kind, name) = id.split_once('/').unwrap();
        Deletion { kind: kind.to_owned(), name: name.to_owned(), version: None }
    };
    ids.iter().map(of).collect()
}

/// What was refused, with its code.
fn refused(report: &DeleteReport) -> Vec<String> {
    report.refused.iter().map(|refusal| format!("{} {}", refusal.id, refusal.problem.code)).collect()
}

fn pipe(name: &str, to: &str) -> String {
    format!("KIND Pipe\nmetadata: {{name: {name}}}\nspec: {{from: orders, to: {to}}}\n")
}

/// The stream `orders` and two pipes from there to `dead`, which the node makes.
async fn ready(world: &World) -> Arc<Kernel> {
    let kernel = world.open().await;
    apply(&kernel, &format!("{STREAM}{}{}", pipe("a", "dead"), pipe("b", "dead"))).await;
    assert_eq!(kernel.settled(&["Pipe/a".into(), "Pipe/b".into()], Duration::from_secs(20)).await, []);
    kernel
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_deletions_come_to() {
    let world = World::new();
    let kernel = ready(&world).await;
    let plain = DeleteOptions { dry_run: true, ..DeleteOptions::default() };
    let made = DeleteOptions { made: true, ..plain.clone() };
    let would = async |ids: &[&str], options: &DeleteOptions| kernel.delete_all(asked(ids), options).await.unwrap();

    // What others among them name waits for those; twice named is deleted once.
    let all = ["Stream/orders", "Pipe/b", "Pipe/a", "Pipe/b"];
    let report = would(&all, &made).await;
    assert_eq!(report.deleted, ["Pipe/b", "Pipe/a", "Stream/orders", "Stream/dead"]);
    assert_eq!(report.refused, []);
    assert_eq!(would(&all, &plain).await.deleted, ["Pipe/b", "Pipe/a", "Stream/orders"]);

    // One stays, and so does what it names.
    let some = would(&["Pipe/c", "Stream/orders", "Pipe/a"], &made).await;
    assert_eq!(some.deleted, ["Pipe/a"]);
    assert_eq!(refused(&some), ["Stream/orders HW-KERNEL-013", "Pipe/c HW-KERNEL-012"]);
    assert!(some.refused[0].problem.title.contains("is named by `Pipe/b`"), "{some:?}");
    let cascade = DeleteOptions { cascade: true, ..plain.clone() };
    let whole = would(&["Stream/dead", "Stream/orders", "Pipe/a"], &cascade).await;
    assert_eq!(whole.deleted, ["Pipe/a", "Pipe/b", "Stream/orders", "Stream/dead"]);
    // What is marked in a commit before others goes before these are marked: streams are in the last.
    let more = "KIND Stream\nmetadata: {name: more}\nspec: {}\nKIND Pipe\nmetadata: {name: c}\nspec: {from: more, to: orders}\n";
    apply(&kernel, more).await;
    let both = would(&["Stream/orders", "Stream/more"], &cascade).await;
    assert_eq!(both.deleted, ["Pipe/b", "Pipe/a", "Pipe/c", "Stream/orders", "Stream/more"]);

    // A stream that is named and was made goes once.
    let both = would(&["Pipe/a", "Pipe/b", "Stream/dead"], &made).await;
    assert_eq!(
        (&both.deleted[..], both.refused.len()),
        (&["Pipe/a", "Pipe/b", "Stream/dead"].map(str::to_owned)[..], 0)
    );

    let mut other = asked(&["Pipe/a"]);
    other[0].version = Some(1_000);
    assert_eq!(refused(&kernel.delete_all(other, &plain).await.unwrap()), ["Pipe/a HW-KERNEL-011"]);
    assert!(kernel.get("Pipe", "a").is_some() && world.log.stream("dead").is_some(), "nothing has gone");
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_go_goes_and_what_cannot_is_told() {
    let world = World::new();
    let kernel = ready(&world).await;
    let plain = DeleteOptions::default();
    let mut some = asked(&["Stream/orders", "Pipe/c", "Pipe/a", "Pipe/b", "Stream/headwater.audit"]);
    let seen = kernel.get("Pipe", "a").unwrap().metadata.version;
    (some[2].version, some[3].version) = (Some(seen), Some(seen + 1));
    let report = kernel.delete_all(some, &plain).await.unwrap();
    assert_eq!(report.deleted, ["Pipe/a"]);
    assert_eq!(
        refused(&report),
        [
            "Pipe/b HW-KERNEL-011",
            "Stream/orders HW-KERNEL-013",
            "Stream/headwater.audit HW-KERNEL-027",
            "Pipe/c HW-KERNEL-012"
        ]
    );
    assert!(kernel.get("Pipe", "a").is_none() && kernel.get("Pipe", "b").is_some());

    let made = DeleteOptions { made: true, ..plain };
    let rest = kernel.delete_all(asked(&["Stream/orders", "Pipe/b"]), &made).await.unwrap();
    assert_eq!(rest.deleted, ["Pipe/b", "Stream/orders", "Stream/dead"]);
    assert_eq!(rest.refused, []);
    let left: Vec<String> = world.log.streams().iter().map(|stream| stream.name.to_string()).collect();
    assert_eq!((left, kernel.list(Some("Pipe"))), (vec![audit::STREAM.to_owned()], vec![]));
    assert_eq!(world.units.running.load(Ordering::SeqCst), 0);
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_are_not_there_few_are_compared_with_all_that_are() {
    let world = World::new();
    let kernel = ready(&world).await;
    let ids: Vec<String> = (0..SUGGESTED_MAX + 10).map(|n| format!("Stream/orders{n}")).collect();
    let all: Vec<&str> = ids.iter().map(String::as_str).collect();
    let report = kernel.delete_all(asked(&all), &DeleteOptions::default()).await.unwrap();
    let help = report.refused.iter().map(|refusal| refusal.problem.help.as_deref().unwrap());
    let near: Vec<bool> = help.map(|help| help == "did you mean `orders`?").collect();
    assert_eq!(near, [vec![true; SUGGESTED_MAX], vec![false; 10]].concat());
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_carried_out_although_nobody_waits_for_it_any_more() {
    let world = World::new();
    let kernel = ready(&world).await;
    let written = |id: &str| {
        let text = world.log.get(crate::resources::SPACE, id.as_bytes(), View::Appended);
        text.map(|text| String::from_utf8_lossy(&text).into_owned())
    };
    let options = DeleteOptions::default();
    let mut deletion = Box::pin(kernel.delete("Pipe", "a", &options));
    // Who asks goes as soon as it is in the log.
    while written("Pipe/a").is_some_and(|text| !text.contains("\"deleting\"")) {
        let _ = (&mut deletion).now_or_never();
        tokio::task::yield_now().await;
    }
    drop(deletion);
    until(&kernel, "the end of it", || kernel.get("Pipe", "a").is_none()).await;

    let (drafts, options) = (drafts(&kernel, &pipe("c", "dead")), ApplyOptions::default());
    let mut change = Box::pin(kernel.apply(drafts, &options));
    while written("Pipe/c").is_none() {
        let _ = (&mut change).now_or_never();
        tokio::task::yield_now().await;
    }
    drop(change);
    until(&kernel, "what was applied", || kernel.get("Pipe", "c").is_some()).await;
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_go_once_nothing_writes_to_them_any_more() {
    let world = World::new();
    let kernel = ready(&world).await;
    apply(&kernel, &format!("KIND Stream\nmetadata: {{name: out}}\nspec: {{}}\n{}", pipe("c", "out"))).await;
    assert_eq!(kernel.settled(&["Pipe/c".into(), "Stream/out".into()], Duration::from_secs(20)).await, []);
    // One is described and one was made; no kind says that a pipe stands in their way.
    let ids = ["Stream/out", "Stream/dead", "Pipe/c", "Pipe/a", "Pipe/b"];
    let report = kernel.delete_all(asked(&ids), &DeleteOptions::default()).await.unwrap();
    assert_eq!(report.refused, []);
    assert_eq!(report.deleted, ["Pipe/c", "Pipe/a", "Pipe/b", "Stream/out", "Stream/dead"]);
    let audit = world.audit();
    let place =
        |of: &str| audit.iter().position(|line| line.starts_with(of)).unwrap_or_else(|| panic!("{of}: {audit:?}"));
    let ends = ["Pipe/c 1 deleted", "Stream/out 1 deleted", "Stream/dead 0 deleted"];
    let [pipe, out, dead] = ends.map(|end| place(&format!("delete {end}")));
    assert!(pipe < out && out < dead, "{audit:?}");
    assert!(world.log.stream("out").is_none() && world.log.stream("dead").is_none(), "nobody has made them again");
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_of_a_table_goes_with_it_and_not_alone() {
    let world = World::new();
    let kernel = world.open().await;
    apply(&kernel, "KIND Table\nmetadata: {name: users}\nspec: {}\n").await;
    assert_eq!(kernel.settled(&["Table/users".into()], Duration::from_secs(20)).await, []);
    let dry = DeleteOptions { dry_run: true, ..DeleteOptions::default() };
    let alone = kernel.delete_all(asked(&["Stream/table.users"]), &dry).await.unwrap();
    assert_eq!(refused(&alone), ["Stream/table.users HW-KERNEL-027"]);
    // Behind the table it is not there, whatever stands first, and for a dry run as for a real one.
    for options in [dry, DeleteOptions::default()] {
        let both = kernel.delete_all(asked(&["Stream/table.users", "Table/users"]), &options).await.unwrap();
        assert_eq!(both.deleted, ["Table/users"]);
        assert_eq!(refused(&both), ["Stream/table.users HW-KERNEL-012"]);
    }
    assert!(world.log.stream("table.users").is_none());
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_its_way_already_goes_together_with_what_is_asked_for_now() {
    let world = World::new();
    let kernel = world.open().await;
    // Its deletion fails again and again.
    apply(&kernel, &format!("{STREAM}KIND Pipe\nmetadata: {{name: a}}\nspec: {{from: orders, n: 13}}\n")).await;
    let begun = || kernel.get("Pipe", "a").unwrap().metadata.deleting;
    for ids in [&["Pipe/a"][..], &["Pipe/a", "Stream/orders"]] {
        world.clock.advance(Duration::from_secs(1));
        let (of, asked, now) = (Arc::clone(&kernel), asked(ids), world.clock.now());
        let deleting = tokio::spawn(async move { of.delete_all(asked, &DeleteOptions::default()).await });
        until(&kernel, "the mark", || begun() == Some(now)).await;
        deleting.abort();
    }
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_names_one_another_in_a_row_goes_from_its_beginning() {
    let world = World::new();
    let kernel = world.open().await;
    let stream = |n: usize| {
        let schema = format!("{{json: {{type: object}}, onMismatch: dead-letter, deadLetter: s{:02}}}", n + 1);
        format!("KIND Stream\nmetadata: {{name: s{n:02}}}\nspec: {{schema: {schema}}}\n")
    };
    apply(&kernel, &(0..20).map(stream).collect::<String>()).await;
    let ids: Vec<String> = (0..20).map(|n| format!("Stream/s{n:02}")).collect();
    let backwards: Vec<&str> = ids.iter().rev().chain(&ids).map(String::as_str).collect();
    let dry = DeleteOptions { dry_run: true, ..DeleteOptions::default() };
    let report = kernel.delete_all(asked(&backwards), &dry).await.unwrap();
    assert_eq!((report.deleted, report.refused), (ids.clone(), vec![]));
    // The first is named by none of the others, and stays.
    let rest: Vec<&str> = ids.iter().skip(1).rev().map(String::as_str).collect();
    let report = kernel.delete_all(asked(&rest), &dry).await.unwrap();
    assert_eq!((report.deleted, report.refused.len()), (vec![], 19));
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_stream_stays_whatever_it_names() {
    let world = World::new();
    let kernel = ready(&world).await;
    let schema = "schema: {json: {type: object}, onMismatch: dead-letter, deadLetter: dead}";
    apply(&kernel, &format!("KIND Stream\nmetadata: {{name: {}}}\nspec: {{{schema}}}\n", audit::STREAM)).await;
    let options = DeleteOptions { cascade: true, ..DeleteOptions::default() };
    for id in ["Stream/dead", "Stream/headwater.audit"] {
        let report = kernel.delete_all(asked(&[id]), &options).await.unwrap();
        assert_eq!(refused(&report), [format!("{id} HW-KERNEL-027")]);
        assert!(report.deleted.is_empty(), "{report:?}");
    }
    assert!(world.log.stream(audit::STREAM).is_some() && world.log.stream("dead").is_some());
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_ones_that_fit_into_no_commit_together_go_all_the_same() {
    let world = World::new();
    let kernel = world.open().await;
    apply(&kernel, STREAM).await;
    let (says, mut ids) = ("x".repeat(400_000), Vec::new());
    // A commit of this log has at most 4 MiB, and each is stored twice: as written, and as the kind reads it.
    for n in 0..12 {
        let pipe = format!("KIND Pipe\nmetadata: {{name: p{n:02}}}\nspec:\n  from: orders\n  says: {says}\n");
        apply(&kernel, &pipe).await;
        ids.push(format!("Pipe/p{n:02}"));
    }
    let all: Vec<&str> = ids.iter().map(String::as_str).collect();
    let report = kernel.delete_all(asked(&all), &DeleteOptions::default()).await.unwrap();
    assert_eq!((report.deleted, report.refused), (ids, vec![]));
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_one_commit_marks_go_all_the_same() {
    let world = World::new();
    let kernel = world.open().await;
    let pipes: Vec<String> = (0..250).map(|n| format!("p{n:03}")).collect();
    apply(&kernel, &format!("{STREAM}{}", pipes.iter().map(|name| pipe(name, "dead")).collect::<String>())).await;
    let ids: Vec<String> = pipes.iter().map(|name| format!("Pipe/{name}")).collect();
    assert_eq!(kernel.settled(&ids, Duration::from_secs(20)).await, []);
    let all: Vec<&str> = std::iter::once("Stream/orders").chain(ids.iter().map(String::as_str)).collect();
    let made = DeleteOptions { made: true, ..DeleteOptions::default() };
    let report = kernel.delete_all(asked(&all), &made).await.unwrap();
    let wanted: Vec<String> = ids.into_iter().chain(["Stream/orders", "Stream/dead"].map(str::to_owned)).collect();
    assert_eq!((report.deleted, report.refused), (wanted, vec![]));
    assert_eq!((kernel.list(Some("Pipe")), kernel.get("Stream", "orders")), (vec![], None));
    kernel.stop().await;
}
