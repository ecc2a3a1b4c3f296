//! Conditions, updates, transactions, changes, indexes, expiry.

use std::collections::BTreeMap;

use headwater_log::View as Seen;
use headwater_wire::batch;
use headwater_wire::change::{Change as Told, EventName};
use headwater_wire::exact::Exact;
use serde_json::json;

use super::*;
use crate::port::Cause;
use crate::port::tables::{Change, Expression, Query};

fn expression(text: &str, values: Value) -> Expression {
    let values = values.as_object().into_iter().flatten();
    let values = values.map(|(name, value)| (name.clone(), Exact::from(value))).collect();
    Expression { text: text.to_owned(), values, ..Expression::default() }
}

fn exact(value: Value) -> Exact {
    Exact::from(&value)
}

fn update(key: &str, text: &str, values: Value) -> Write {
    let change = Change::Update(expression(text, values));
    Write { change, ..Write::unconditional(&users(), key, None) }
}

fn put(key: &str, value: &str) -> Write {
    Write::unconditional(&users(), key, json(value))
}

fn only_if(write: Write, condition: &str) -> Write {
    Write { condition: Some(expression(condition, json!({}))), ..write }
}

async fn write(kernel: &Kernel, writes: &[Write]) -> Result<Vec<Option<String>>, String> {
    match kernel.tables().write(writes).await {
        Ok(written) => Ok(written.into_iter().map(|one| one.new.map(text_of)).collect()),
        Err(error) => Err(error.problem(writes).to_string()),
    }
}

fn text_of(document: Document) -> String {
    String::from_utf8(document.value.to_vec()).unwrap()
}

fn found(kernel: &Kernel, key: &str) -> Option<String> {
    kernel.tables().get("users", key).unwrap().map(text_of)
}

/// The changes of `users`, with their headers.
fn changes(world: &World, partitions: u32) -> Vec<(Value, Vec<(String, String)>)> {
    let name = Name::new("table.users.changes").unwrap();
    let mut all = Vec::new();
    for partition in 0..partitions {
        let fetched = world.log.read(&name, partition, 0, usize::MAX, Seen::Durable).unwrap();
        for part in fetched.batches.each() {
            for record in batch::records(&part.unwrap().1, 1 << 30).unwrap() {
                let record = record.unwrap();
                let value = record.value.unwrap();
                assert_eq!(record.key.as_deref(), Some(Told::read(&value).unwrap().key.as_bytes()));
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                let headers = record.headers.iter();
                let headers = headers.map(|(name, value)| (text(name), text(value.as_deref().unwrap_or_default())));
                all.push((serde_json::from_slice(&value).unwrap(), headers.collect()));
            }
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_and_conditions_are_decided_on_what_is_there() {
    let world = World::new();
    let kernel = world.with_users("{key: id}").await;
    let made = write(&kernel, &[update("a", "SET n = :n", json!({":n": 1}))]).await.unwrap();
    assert_eq!(made, [Some(r#"{"id":"a","n":1}"#.to_owned())], "a document that is made has its key");
    let refused = write(&kernel, &[only_if(put("a", "{}"), "n > 5")]).await.unwrap_err();
    assert!(refused.starts_with("error[HW-KERNEL-034]: the condition does not hold for `a` of the table `users`"));
    write(&kernel, &[only_if(put("a", r#"{"n":7}"#), "n = 1")]).await.unwrap();
    write(&kernel, &[only_if(put("b", r#"{"n":0}"#), "attribute_not_exists(n)")]).await.unwrap();
    let twice = write(&kernel, &[only_if(put("b", "{}"), "attribute_not_exists(n)")]).await.unwrap_err();
    assert!(twice.contains("HW-KERNEL-034"));
    let key = write(&kernel, &[update("a", "SET id = :x", json!({":x": "b"}))]).await.unwrap_err();
    assert!(key.contains("HW-KERNEL-033") && key.contains("`id` is the key of `users`"));
    let unread = write(&kernel, &[update("a", "SET n = :nothing", json!({}))]).await.unwrap_err();
    assert!(unread.contains("HW-KERNEL-032") && unread.contains("expression:1:9"), "{unread}");
    assert_eq!(found(&kernel, "a").as_deref(), Some(r#"{"n":7}"#));
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_counts_every_addition_whoever_writes_beside_it() {
    let world = World::new();
    let kernel = world.with_users("{}").await;
    let adders = (0..8).map(|_| {
        let kernel = Arc::clone(&kernel);
        tokio::spawn(async move {
            for _ in 0..25 {
                write(&kernel, &[update("n", "ADD n :one", json!({":one": 1}))]).await.unwrap();
            }
        })
    });
    let adders: Vec<_> = adders.collect();
    for n in 0..100 {
        // Past the tables, as a log of another node's would be.
        world.append(1, &[(format!("other{}", n % 3), Some("{}".to_owned()))]);
        tokio::task::yield_now().await;
    }
    for adder in adders {
        adder.await.unwrap();
    }
    assert_eq!(found(&kernel, "n").as_deref(), Some(r#"{"n":200}"#));
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_to_be_there_is_not_made() {
    let world = World::new();
    let kernel = world.with_users("{}").await;
    let over = |one: Write| Write { present: true, ..one };
    write(&kernel, &[over(put("a", "{}"))]).await.unwrap_err();
    assert_eq!(found(&kernel, "a"), None);
    // The earlier write of the same transaction takes it away.
    write(&kernel, &[put("a", "{}")]).await.unwrap();
    let gone = [Write::unconditional(&users(), "a", None), over(put("a", r#"{"n":1}"#))];
    write(&kernel, &gone).await.unwrap_err();
    assert_eq!(found(&kernel, "a").as_deref(), Some("{}"));
    write(&kernel, &[over(put("a", r#"{"n":2}"#))]).await.unwrap();
    assert_eq!(found(&kernel, "a").as_deref(), Some(r#"{"n":2}"#));
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_all_or_nothing_over_tables_and_the_callers_commit() {
    let world = World::new();
    let kernel = world.with_users("{}").await;
    let text = "apiVersion: headwater.dev/v1\nkind: Table\nmetadata: {name: accounts}\nspec: {partitions: 3}\n";
    let drafts = kernel.registry().read("t.yaml", text.as_bytes(), &Limits::default()).unwrap();
    kernel.apply(drafts, &ApplyOptions::default()).await.unwrap();
    assert_eq!(kernel.settled(&["Table/accounts".into()], Duration::from_secs(20)).await, []);
    let accounts = Name::new("accounts").unwrap();
    let account = |key: &str, text: &str, condition: Option<&str>| Write {
        table: accounts.clone(),
        condition: condition.map(|text| expression(text, json!({}))),
        ..update(key, text, json!({}))
    };
    write(&kernel, &[account("x", "SET sum = 10", None), account("y", "SET sum = 0", None)]).await.unwrap();
    let delta = |value: &str| headwater_log::Delta {
        key: Bytes::from_static(b"step"),
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
    };
    let pay = |amount: u32, step: &str| {
        let writes = [
            account("x", &format!("SET sum = sum - {amount}"), Some(&format!("sum >= {amount}"))),
            account("y", &format!("ADD sum {amount}"), None),
            put("last", &format!(r#"{{"paid":{amount}}}"#)),
            // A later write sees what an earlier one did.
            update("last", "ADD paid 1", json!({})),
        ];
        let mut also = Commit { deltas: vec![(Arc::from("flow"), vec![delta(step)])], ..Commit::default() };
        let transacted = kernel.tables().transact(&writes, &mut also);
        assert_eq!(
            (also.appends.len(), also.ends.len(), also.deltas.len()),
            (0, 0, 1),
            "the commit is the caller's again"
        );
        transacted
    };
    let done = pay(7, "1").unwrap();
    assert_eq!(done.written[3].new.clone().map(text_of).as_deref(), Some(r#"{"paid":8}"#));
    assert!(matches!(pay(7, "2"), Err(TransactError::Condition { index: 0, document: Some(_) })));
    world.log.durable(done.ticket.sequence).await.unwrap();
    assert_eq!(world.log.get("flow", b"step", Seen::Durable).as_deref(), Some(b"1".as_slice()));
    let sum = |key: &str| kernel.tables().get("accounts", key).unwrap().map(text_of);
    until("the sums", || sum("y").as_deref() == Some(r#"{"sum":7}"#)).await;
    until("of both partitions", || sum("x").as_deref() == Some(r#"{"sum":3}"#)).await;
    until("the last", || found(&kernel, "last").as_deref() == Some(r#"{"paid":8}"#)).await;
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_decided_and_not_visible_yet_counts() {
    let world = World::new();
    let kernel = world.with_users("{}").await;
    let held = world.disk.hold_syncs();
    let transact = |write: Write| kernel.tables().transact(&[write], &mut Commit::default());
    for n in 1..=50 {
        let done = transact(update("a", "ADD n 1", json!({}))).unwrap();
        assert_eq!(done.written[0].new.clone().map(text_of), Some(format!(r#"{{"n":{n}}}"#)));
    }
    assert_eq!(found(&kernel, "a"), None);
    transact(Write::unconditional(&users(), "a", None)).unwrap();
    let again = transact(only_if(put("a", r#"{"x":1}"#), "attribute_not_exists(n)")).unwrap();
    assert_eq!(again.written[0].old, None);
    drop(held);
    until("the document", || found(&kernel, "a").as_deref() == Some(r#"{"x":1}"#)).await;
    let version = kernel.tables().get("users", "a").unwrap().unwrap().version;
    assert_eq!(Some(version), again.written[0].new.as_ref().map(|document| document.version));
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_write_is_told_with_its_images_and_its_cause() {
    let world = World::new();
    let kernel = world.with_users("{key: id, changes: {images: newAndOldImages}}").await;
    write(&kernel, &[put("a", r#"{"id":"a","n":1.50}"#)]).await.unwrap();
    let cause = Cause { id: "event-7".to_owned(), hops: 3 };
    let caused = Write { cause: Some(cause), ..update("a", "SET n = n + 1", json!({})) };
    let mut also = Commit::default();
    let done = kernel.tables().transact(&[caused], &mut also).unwrap();
    world.log.durable(done.ticket.sequence).await.unwrap();
    assert_eq!(done.ticket.placed.len(), 2, "the document and its change are in one commit");
    write(&kernel, &[Write::unconditional(&users(), "a", None)]).await.unwrap();
    // Of what is not there nothing is told.
    write(&kernel, &[Write::unconditional(&users(), "b", None)]).await.unwrap();
    let told = changes(&world, 1);
    let shown: Vec<Value> = told.iter().map(|(change, _)| change.clone()).collect();
    let time = "2023-11-14T22:13:20Z";
    let change = |event: &str, version: u64, mut images: Value| {
        let rest = json!({"eventName": event, "table": "users", "keyField": "id", "key": "a", "version": version,
            "time": time, "images": "newAndOldImages"});
        images.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        images
    };
    let (one, two) = (json!({"id": "a", "n": 1.5}), json!({"id": "a", "n": 2.5}));
    assert_eq!(
        shown,
        [
            change("INSERT", 1, json!({"newImage": one})),
            change("MODIFY", 2, json!({"oldImage": one, "newImage": two})),
            change("REMOVE", 3, json!({"oldImage": two})),
        ]
    );
    let header =
        |at: usize, name: &str| told[at].1.iter().find(|(one, _)| one == name).map(|(_, value)| value.as_str());
    assert_eq!((header(1, "ce_causationid"), header(1, "ce_hops")), (Some("event-7"), Some("3")));
    assert_eq!((header(0, "ce_causationid"), header(0, "ce_id")), (None, Some("users-0-1")));
    assert_eq!(header(2, "ce_type"), Some("headwater.table.changed"));
    kernel.stop().await;
}

/// Who gathers writes gathers those of several chains; each goes on with its own, whoever wrote it and how.
#[tokio::test(flavor = "multi_thread")]
async fn changes_of_one_commit_go_on_with_their_own_chains() {
    let world = World::new();
    let kernel = world.with_users("{changes: {images: newImage}}").await;
    let cause = |id: &str, hops: u32| Some(Cause { id: id.to_owned(), hops });
    let writes = [
        Write { cause: cause("one", 1), ..put("a", "{}") },
        put("b", "{}"),
        Write { cause: cause("two", 15), ..put("c", "{}") },
    ];
    let mut builder = Builder::new(Compression::None);
    let headers: [(&str, &[u8]); 2] = [("ce_causationid", b"three"), ("ce_hops", b"7")];
    builder.push(world.clock.now().millis(), Some(b"d"), Some(b"{}"), &headers);
    let append = Append { stream: Name::new("table.users").unwrap(), partition: 0, batches: builder.finish() };
    let mut also = Commit { appends: vec![append], ..Commit::default() };
    let done = kernel.tables().transact(&writes, &mut also).unwrap();
    world.log.durable(done.ticket.sequence).await.unwrap();
    let chain = |(change, headers): (Value, Vec<(String, String)>)| {
        let header = |name: &str| headers.iter().find(|(one, _)| one == name).map_or("", |(_, value)| value.as_str());
        format!("{} {} {}", change["key"].as_str().unwrap(), header("ce_causationid"), header("ce_hops"))
    };
    let told: Vec<String> = changes(&world, 1).into_iter().map(chain).collect();
    assert_eq!(told, ["d three 7", "a one 1", "b  ", "c two 15"]);
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_in_the_shape_of_dynamodb_passes_the_filter_once() {
    let filter = r#"{"dynamodb":{"NewImage":{"status":{"S":["COMPLETE"]},"totalCost":{"S":[{"exists":false}]}}}}"#;
    let rules = headwater_pattern::RuleSet::build([&headwater_pattern::Pattern::parse(filter).unwrap()]).unwrap();
    let mut scratch = headwater_pattern::Scratch::default();
    let world = World::new();
    let kernel = world.with_users("{changes: {}}").await;
    write(&kernel, &[put("run", r#"{"status":"RUNNING"}"#)]).await.unwrap();
    write(&kernel, &[update("run", "SET status = 'COMPLETE'", json!({}))]).await.unwrap();
    // What the price's update does must not pass again.
    write(&kernel, &[update("run", "SET totalCost = :cost", json!({":cost": "12.50"}))]).await.unwrap();
    let passed: Vec<bool> = changes(&world, 1)
        .iter()
        .zip(0_i64..)
        .map(|((change, _), offset)| {
            let text = change.to_string();
            let origin = headwater_wire::dynamodb::Origin { region: "local", arn: "arn", partition: 0, offset };
            let record = headwater_wire::dynamodb::record(&Told::read(text.as_bytes()).unwrap(), origin).unwrap();
            !rules.matches(record.as_bytes(), &mut scratch).unwrap().is_empty()
        })
        .collect();
    assert_eq!(passed, [false, true, false]);
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_pipelines_append_is_told_too() {
    let world = World::new();
    let kernel = world.with_users("{changes: {images: newImage}}").await;
    let append = |entries: &[(&str, Option<&str>)]| {
        let mut builder = Builder::new(Compression::None);
        for (key, value) in entries {
            builder.push(world.clock.now().millis(), Some(key.as_bytes()), value.map(str::as_bytes), &[]);
        }
        let stream = Name::new("table.users").unwrap();
        let mut commit =
            Commit { appends: vec![Append { stream, partition: 0, batches: builder.finish() }], ..Commit::default() };
        kernel.log().append(&mut commit).unwrap()
    };
    let ticket =
        append(&[("a", Some(r#"{"n":1}"#)), ("b", Some("no document")), ("a", Some(r#"{"n":2}"#)), ("a", None)]);
    assert_eq!((ticket.placed.len(), ticket.placed[0].last), (1, 3), "the caller sees its own places");
    kernel.log().durable(ticket.sequence).await.unwrap();
    let told: Vec<(String, u64)> = changes(&world, 1)
        .into_iter()
        .map(|(change, _)| (change["eventName"].as_str().unwrap().to_owned(), change["version"].as_u64().unwrap()))
        .collect();
    assert_eq!(told, [("INSERT".to_owned(), 1), ("MODIFY".to_owned(), 3), ("REMOVE".to_owned(), 4)]);
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn indexes_are_kept_made_when_added_and_come_back() {
    let world = World::new();
    let kernel = world.with_users("{indexes: [{name: by_plan, fields: [plan, since]}]}").await;
    for (key, value) in [
        ("a", r#"{"plan":"pro","since":3}"#),
        ("b", r#"{"plan":"free","since":1}"#),
        ("c", r#"{"plan":"pro","since":20}"#),
        ("d", r#"{"plan":"pro"}"#),
        ("e", r#"{"plan":"pro","since":1.5}"#),
    ] {
        write(&kernel, &[put(key, value)]).await.unwrap();
    }
    let ask = |query: Query| {
        let page = kernel.tables().query("users", &query).unwrap();
        (page.documents.iter().map(|document| document.key.clone()).collect::<String>(), page.next)
    };
    let by_plan = Query { index: Some("by_plan".to_owned()), count: 100, ..Query::default() };
    let pro = Query { equals: vec![exact(json!("pro"))], ..by_plan.clone() };
    assert_eq!(kernel.tables().index_fields("users", "by_plan").unwrap(), ["plan", "since"]);
    assert_eq!(kernel.tables().index_fields("users", "by_age").unwrap_err().code, "HW-KERNEL-036");
    assert_eq!(ask(by_plan.clone()).0, "beac");
    assert_eq!(ask(pro.clone()).0, "eac", "what has not all fields is not in the index");
    assert_eq!(ask(Query { from: Some(exact(json!(2))), ..pro.clone() }).0, "ac");
    assert_eq!(ask(Query { to: Some(exact(json!(3))), descending: true, ..pro.clone() }).0, "ae");
    let filter = Some(expression("since < 10", json!({})));
    let (first, next) = ask(Query { filter: filter.clone(), count: 1, ..pro.clone() });
    assert_eq!(first, "e");
    assert_eq!(ask(Query { filter, after: next, ..pro.clone() }).0, "a");
    let late = Query { filter: Some(expression("since > 10", json!({}))), scan_max: Some(2), ..pro.clone() };
    let (none, next) = ask(late.clone());
    assert_eq!((none.as_str(), next.is_some()), ("", true), "two were looked at");
    assert_eq!(ask(Query { after: next, ..late }).0, "c");
    let beyond = Some(expression("since > 1.5", json!({})));
    assert_eq!(ask(Query { beyond, scan_max: Some(1), ..pro.clone() }).0, "a");
    write(&kernel, &[update("a", "SET plan = 'free'", json!({}))]).await.unwrap();
    assert_eq!(ask(pro.clone()).0, "ec");
    for (query, code) in [
        (Query { index: Some("by_age".to_owned()), ..Query::default() }, "there are `by_plan`"),
        (Query { from: Some(exact(json!([]))), ..pro.clone() }, "bounds"),
        (Query { equals: vec![exact(json!(1)); 3], ..by_plan.clone() }, "3 values for an index of 2 fields"),
    ] {
        let problem = kernel.tables().query("users", &query).unwrap_err();
        assert!(problem.code == "HW-KERNEL-036" && problem.to_string().contains(code), "{problem}");
    }
    // By key: bounds, order, a filter.
    let (from, to) = (Some(exact(json!("b"))), Some(exact(json!("d"))));
    let keys = Query { from, to, descending: true, count: 100, ..Query::default() };
    assert_eq!(ask(keys).0, "dcb");
    // A second index, over what is there already.
    let text = "apiVersion: headwater.dev/v1\nkind: Table\nmetadata: {name: users}\nspec: {indexes: [{name: by_since, fields: [since]}]}\n";
    let drafts = kernel.registry().read("t.yaml", text.as_bytes(), &Limits::default()).unwrap();
    kernel.apply(drafts, &ApplyOptions::default()).await.unwrap();
    assert_eq!(kernel.settled(&["Table/users".into()], Duration::from_secs(20)).await, []);
    let by_since = Query { index: Some("by_since".to_owned()), count: 100, ..Query::default() };
    assert_eq!(ask(by_since.clone()).0, "beac");
    kernel.tables().replace_view().unwrap();
    until("the index", || ask(by_since.clone()).0 == "beac").await;
    kernel.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_go_when_their_own_field_says_so() {
    let world = World::new();
    let kernel = world.with_users("{ttlField: ends, changes: {images: oldImage}}").await;
    for (key, value) in [
        ("seconds", r#"{"ends":1700000060}"#),
        ("text", r#"{"ends":"2023-11-14T22:14:20Z"}"#),
        ("later", r#"{"ends":1700003600}"#),
        ("never", "{}"),
        ("odd", r#"{"ends":"soon"}"#),
    ] {
        write(&kernel, &[put(key, value)]).await.unwrap();
    }
    world.clock.advance(Duration::from_secs(61));
    assert_eq!(all(&kernel).len(), 3);
    assert_eq!(found(&kernel, "seconds"), None);
    // Gone means gone for conditions.
    write(&kernel, &[only_if(put("text", r#"{"new":1}"#), "attribute_not_exists(ends)")]).await.unwrap();
    kernel.tables().expire(&kernel.tables().table("users").unwrap(), &|| false).await.unwrap();
    let told: Vec<Value> = changes(&world, 1).into_iter().map(|(change, _)| change).collect();
    let last = told.last().unwrap();
    assert_eq!(
        (&last["eventName"], &last["key"], &last["expired"]),
        (&json!("REMOVE"), &json!("seconds"), &json!(true))
    );
    assert_eq!(told.iter().filter(|change| change["eventName"] == "REMOVE").count(), 1);
    kernel.stop().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whoever writes, by transactions, updates or appends beside them: the table is what a model says, the versions
    /// grow, and the changes, applied one by one, give the table.
    #[test]
    fn changes_give_the_table(
        steps in proptest::collection::vec((0_u8..5, 0_u8..4, 0_u8..5, any::<bool>()), 1..60),
        partitions in 1_u32..4,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async move {
            let world = World::new();
            let kernel = world.with_users(&format!("{{partitions: {partitions}, changes: {{}}}}")).await;
            let mut model: BTreeMap<String, i64> = BTreeMap::new();
            let mut held = None;
            for (what, key, other, hold) in steps {
                drop(held.take());
                held = hold.then(|| world.disk.hold_syncs());
                let (key, other) = (format!("k{key}"), format!("k{other}"));
                let transact = |writes: &[Write]| kernel.tables().transact(writes, &mut Commit::default());
                match what {
                    0 => {
                        transact(&[put(&key, r#"{"n":0}"#), update(&other, "ADD n 2", json!({}))]).unwrap();
                        model.insert(key, 0);
                        *model.entry(other).or_default() += 2;
                    }
                    1 => {
                        transact(&[Write::unconditional(&users(), &key, None)]).unwrap();
                        model.remove(&key);
                    }
                    2 => {
                        let guarded = [update(&other, "ADD n 5", json!({})), only_if(update(&key, "ADD n 1", json!({})), "n >= 2")];
                        let mut after = model.clone();
                        *after.entry(other).or_default() += 5;
                        let holds = after.get(&key).is_some_and(|n| *n >= 2);
                        assert_eq!(transact(&guarded).is_ok(), holds);
                        if holds {
                            *after.entry(key).or_default() += 1;
                            model = after;
                        }
                    }
                    _ => {
                        let mut builder = Builder::new(Compression::None);
                        builder.push(world.clock.now().millis(), Some(key.as_bytes()), Some(br#"{"n":1}"#), &[]);
                        let stream = Name::new("table.users").unwrap();
                        let partition = partition_of(key.as_bytes(), partitions);
                        let appends = vec![Append { stream, partition, batches: builder.finish() }];
                        kernel.log().append(&mut Commit { appends, ..Commit::default() }).unwrap();
                        model.insert(key, 1);
                    }
                }
            }
            drop(held);
            kernel.tables().write(&[put("end", r#"{"n":0}"#)]).await.unwrap();
            model.insert("end".to_owned(), 0);
            let mut mirror: BTreeMap<String, (u64, Value)> = BTreeMap::new();
            for (change, _) in changes(&world, partitions) {
                let key = change["key"].as_str().unwrap().to_owned();
                let version = change["version"].as_u64().unwrap();
                let before = mirror.remove(&key);
                assert_eq!(before.as_ref().map(|(_, value)| value), change.get("oldImage"), "{change}");
                assert!(before.is_none_or(|(before, _)| before < version));
                let name: EventName = serde_json::from_value(change["eventName"].clone()).unwrap();
                if name != EventName::Remove {
                    mirror.insert(key, (version, change["newImage"].clone()));
                }
            }
            let mirrored: Vec<(String, u64, String)> =
                mirror.into_iter().map(|(key, (version, value))| (key, version, value.to_string())).collect();
            let wanted: Vec<(String, String)> = model.into_iter().map(|(key, n)| (key, format!(r#"{{"n":{n}}}"#))).collect();
            assert!(mirrored.iter().map(|(key, _, value)| (key, value)).eq(wanted.iter().map(|(key, value)| (key, value))));
            // With its versions: an append that changes no value is in the changes before the view has it.
            until("the view", || all(&kernel) == mirrored).await;
            kernel.stop().await;
        });
    }
}
