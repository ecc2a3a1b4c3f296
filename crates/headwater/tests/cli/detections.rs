//! What the clickstream solution thinks of whom: each judgement that its pipelines know, from the fewest events that lead
//! to it. Without the first of them it is another one.

use std::path::Path;

use serde_json::{Value, json};

use super::{command, text};

/// An event of an ordinary morning, three a second; `fields` say what is special about it.
fn event(number: usize, fields: &Value) -> Value {
    let second = number / 3;
    let mut event = json!({
        "id": number.to_string(), "time": format!("2024-03-04T09:{:02}:{:02}Z", second / 60, second % 60),
        "kind": "sign_in", "ok": true, "visitor": "v", "agent": {"bot": false},
        "device": format!("device {number}"), "ip_token": format!("address {number}"),
        "account_token": format!("account {number}"),
    });
    event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    event
}

/// As many events as that, and a last one that is special.
fn events(alike: &[(usize, Value)], last: &Value) -> Vec<Value> {
    let alike = alike.iter().flat_map(|(count, fields)| std::iter::repeat_n(fields, *count));
    alike.chain([last]).enumerate().map(|(number, fields)| event(number, fields)).collect()
}

/// The last decision of a pipeline over events: what, and why.
fn judged(resource: &str, events: &[Value]) -> Option<(Value, Value)> {
    let folder = tempfile::tempdir().unwrap();
    let lines: String = events.iter().map(|event| format!("{event}\n")).collect();
    std::fs::write(folder.path().join("in.ndjson"), lines).unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../solutions/clickstream/resources").join(resource);
    let mut run = command(folder.path());
    let run = run.arg("run").arg(file).args(["--input", "in.ndjson", "--stream", "clicks.decisions"]).output().unwrap();
    assert!(run.status.success(), "{}", text(&run));
    let last = String::from_utf8_lossy(&run.stdout).lines().last().map(str::to_owned)?;
    let last: Value = serde_json::from_str(&last).unwrap();
    Some((last["decision"].clone(), last["reasons"].clone()))
}

fn check(resource: &str, events: &[Value], decision: &str, reasons: &[&str]) {
    let wanted = Some((json!(decision), json!(reasons)));
    assert_eq!(judged(resource, events), wanted);
    assert_ne!(judged(resource, &events[1..]), wanted, "{reasons:?} without the first event");
}

#[test]
fn the_guard_knows_each_attack_by_its_rates() {
    let failed = |fields: Value| {
        let mut failed = json!({"ok": false});
        failed.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        failed
    };
    let bot = |fields: Value| {
        let mut bot = json!({"agent": {"bot": true}});
        bot.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        bot
    };
    let guard = |alike: &[(usize, Value)], last: &Value, decision: &str, reasons: &[&str]| {
        check("guard.yaml", &events(alike, last), decision, reasons);
    };
    let (device, address) = (json!({"device": "d"}), json!({"ip_token": "i"}));

    let tries = failed(device.clone());
    guard(&[(9, tries.clone())], &tries, "ban", &["credential_stuffing"]);
    let tries = failed(address.clone());
    guard(&[(14, tries.clone())], &tries, "ban", &["stuffing_with_many_devices"]);
    // Where people sign in, too, nobody is banned with them.
    guard(&[(4, address.clone()), (14, tries.clone())], &tries, "challenge", &["address_under_attack"]);

    let script = bot(device.clone());
    guard(&[(4, script.clone())], &script, "ban", &["scripted_agent"]);
    let script = bot(address.clone());
    guard(&[(9, script.clone())], &script, "ban", &["scripts_with_many_devices"]);

    let farm = json!({"kind": "sign_up", "device": "d"});
    guard(&[(7, farm.clone())], &farm, "ban", &["sign_up_farm"]);
    let farm = json!({"kind": "sign_up", "ip_token": "i"});
    guard(&[(19, farm.clone())], &farm, "ban", &["sign_ups_with_many_devices"]);

    let user = json!({"country": "US", "device": "home"});
    let abroad = json!({"account_token": "a", "user": user, "geo": {"country": "FR"}});
    guard(&[(4, failed(json!({"account_token": "a"})))], &abroad, "ban", &["account_takeover"]);

    let network = json!({"geo": {"asn": "64500"}});
    guard(&[(200, failed(network.clone()))], &network, "challenge", &["network_under_attack"]);

    let spam = json!({"kind": "listing_create", "user_id": "u", "title": "buy"});
    guard(&[(19, spam.clone())], &spam, "ban", &["listing_spam"]);
}

#[test]
fn the_guard_judges_single_events_by_what_is_known() {
    let judged = |fields: &Value| judged("guard.yaml", &[event(0, fields)]).unwrap();
    assert_eq!(judged(&json!({})), (json!("allow"), json!([])));
    assert_eq!(judged(&json!({"agent": {"bot": true}})), (json!("challenge"), json!(["scripted_agent"])));
    for of in ["ip", "device", "user"] {
        assert_eq!(judged(&json!({"bans": {of: {"since": "yesterday"}}})), (json!("ban"), json!(["banned"])), "{of}");
    }
    let user = |country: &str, device: &str| {
        let user = json!({"country": country, "device": device});
        judged(&json!({"device": "d", "user": user, "geo": {"country": "FR"}}))
    };
    assert_eq!(user("US", "home"), (json!("challenge"), json!(["new_country_and_device"])));
    assert_eq!((user("FR", "home").0, user("US", "d").0), (json!("allow"), json!("allow")), "one of both is no news");
}

#[test]
fn nobody_is_as_fast_as_two_events_a_second() {
    let fast = json!({"kind": "view", "device": "d"});
    check("behaviour.yaml", &events(&[(120, fast.clone())], &fast), "ban", &["impossible_pace"]);
}
