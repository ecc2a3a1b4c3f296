#![allow(clippy::unwrap_used, clippy::panic)]

use serde_json::json;

use super::*;
use crate::kinds::archive;

#[test]
fn an_event_that_an_archive_met_a_bug_with_has_a_letter() {
    let all = Name::new("all").unwrap();
    let subscription = Subscription {
        unit: archive::UNIT,
        space: std::sync::Arc::from("archive/all"),
        patterns: Vec::new(),
        shape: Shape::Plain,
        start: Start::Latest,
        targets: Vec::new(),
        enrichment: None,
        batch: None,
        dead: crate::kinds::dead_letters(&all, None),
        archive: archive::stream_name("all").ok(),
        name: all,
    };
    let value = Bytes::from_static(b"{\"n\":1}");
    let record = Record { offset: 7, timestamp: 0, key: None, value: Some(value.clone()), headers: Vec::new() };
    let place = Place { stream: "in", partition: 0, offset: 7 };
    let event = Happened { record: &record, view: &value, place, now: Micros(0), hops_max: 16 };
    let led = subscription.led(&event).unwrap();
    let [Effect::Record(kept)] = led.as_slice() else { panic!("it is kept") };
    assert_eq!((kept.stream.as_str(), kept.value.as_ref()), ("archive.all", Some(&value)));
    let Ok(Effect::Dead(letter)) = subscription.lost_to("it broke", &event) else { panic!("there is a letter") };
    let text: serde_json::Value = serde_json::from_slice(&letter.encode()).unwrap();
    assert_eq!((&text["code"], &text["data"]), (&json!("HW-KERNEL-043"), &json!("{\"n\":1}")));
    assert_eq!(
        text["reason"], "`archive/all`, with the event at in-0-7, ended by a bug in the program: it broke",
        "{text}"
    );
    assert_eq!(subscription.dead.as_str(), "all.dead");
}
