#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::breaks;

fn object(required: &[&str], properties: Value) -> Value {
    json!({"type": "object", "required": required, "properties": properties})
}

#[test]
fn what_a_reader_does_not_take_is_named() {
    let text = || json!({"type": "string"});
    let check = |reader: Value, writer: Value| breaks(&reader, &writer);
    let none: [&str; 0] = [];
    // A property that is not required comes or goes.
    assert_eq!(check(object(&["a"], json!({"a": text(), "b": text()})), object(&["a"], json!({"a": text()}))), none);
    assert_eq!(
        check(object(&["a", "b"], json!({"a": text(), "b": text()})), object(&["a"], json!({"a": text()}))),
        ["`b` of the event may be missing"]
    );
    assert_eq!(
        check(object(&[], json!({"a": {"type": "integer"}})), object(&[], json!({"a": {"type": ["integer", "null"]}}))),
        ["`a` may be of type `null`"]
    );
    assert_eq!(
        check(object(&[], json!({"a": {"type": "number"}})), object(&[], json!({"a": {"type": "integer"}}))),
        none
    );
    assert_eq!(check(json!({"enum": ["a"]}), json!({"enum": ["a", "b"]})), ["the event may be \"b\""]);
    assert_eq!(check(json!({"minimum": 5}), json!({"minimum": 1})), ["`minimum` of the event is narrower"]);
    assert_eq!(
        check(
            object(&[], json!({"a": {"type": "array", "items": object(&["x"], json!({}))}})),
            object(&[], json!({"a": {"type": "array", "items": object(&[], json!({}))}}))
        ),
        ["`x` of `a[]` may be missing"]
    );
    assert_eq!(
        check(json!({"pattern": "a"}), json!({"pattern": "b"})),
        ["`pattern` of the event differs, and cannot be judged"]
    );
    let closed = json!({"type": "object", "additionalProperties": false, "properties": {}});
    let wider = json!({"type": "object", "additionalProperties": false, "properties": {"a": {}}});
    assert_eq!(check(closed, wider), ["`a` of the event is not known"]);
    // Further properties that are described, and one that stands by itself on the other side.
    let described = |properties: Value| json!({"properties": properties, "additionalProperties": {"type": "string"}});
    let number = || described(json!({"a": {"type": "number"}}));
    assert_eq!(check(described(json!({})), number()), ["`a` may be of type `number`"]);
    assert_eq!(check(number(), described(json!({}))), ["`a` may be of type `string`"]);
    assert_eq!(check(described(json!({})), json!({"properties": {"a": text()}, "additionalProperties": false})), none);
}

/// What a writer alone has may change what the rest of its schema means. Each pair has an event that shows it.
#[test]
fn a_break_is_not_missed_behind_keywords_that_are_not_judged() {
    let draft_7 = "http://json-schema.org/draft-07/schema#";
    let draft_4 = "http://json-schema.org/draft-04/schema#";
    for (reader, writer, event) in [
        // `items` speaks of what comes behind `prefixItems`.
        (json!({"items": {"type": "string"}}), json!({"items": {"type": "string"}, "prefixItems": [{}]}), json!([1])),
        (
            json!({"properties": {}, "additionalProperties": false}),
            json!({"properties": {}, "additionalProperties": false, "patternProperties": {"^x": {}}}),
            json!({"x1": 1}),
        ),
        (
            json!({"properties": {"a": {}}, "unevaluatedProperties": false}),
            json!({"properties": {"a": {}, "b": {}}, "unevaluatedProperties": false}),
            json!({"b": 1}),
        ),
        (
            json!({"properties": {"a": {}}, "unevaluatedProperties": false}),
            json!({"properties": {"a": {}}, "unevaluatedProperties": false, "allOf": [{"properties": {"b": {}}}]}),
            json!({"b": 1}),
        ),
        (json!({"contains": {"const": 1}}), json!({"contains": {"const": 1}, "minContains": 0}), json!([])),
        // Nothing beside a reference counts in this draft.
        (
            json!({"$schema": draft_7, "properties": {"a": {"type": "string"}}}),
            json!({"$schema": draft_7, "properties": {"a": {"type": "string", "$ref": "#/definitions/any"}},
                "definitions": {"any": {}}}),
            json!({"a": 1}),
        ),
        (
            json!({"$schema": draft_7, "properties": {"a": {"$ref": "#/definitions/a", "type": "string"}},
                "definitions": {"a": {"type": "string"}}}),
            json!({"$schema": draft_7, "properties": {"a": {"$ref": "#/definitions/a", "type": "string"}},
                "definitions": {"a": {}}}),
            json!({"a": 1}),
        ),
        (
            json!({"$schema": draft_4, "minimum": 1, "exclusiveMinimum": true}),
            json!({"$schema": draft_4, "minimum": 1}),
            json!(1),
        ),
        // Two numbers that are one as floating-point numbers.
        (
            json!({"minimum": 9_007_199_254_740_993_i64}),
            json!({"minimum": 9_007_199_254_740_992_i64}),
            json!(9_007_199_254_740_992_i64),
        ),
    ] {
        let fits = |schema: &Value| headwater_kernel::schema::compile(schema).unwrap().is_valid(&event);
        assert!(fits(&writer) && !fits(&reader), "{reader} {writer}");
        assert_ne!(breaks(&reader, &writer), [""; 0], "{reader} {writer}");
    }
    // Another draft may mean something else by the same words.
    let named = |draft: &str| json!({"$schema": draft, "type": "object"});
    assert_eq!(
        breaks(&named(draft_7), &json!({"type": "object"})),
        ["`$schema` of the event differs, and cannot be judged"]
    );
    let newest = named("https://json-schema.org/draft/2020-12/schema");
    // What narrows what is written, or stands on both sides, is no break.
    for (reader, writer) in [
        (newest, json!({"type": "object"})),
        (json!({"description": "anything"}), json!({"$ref": "#/$defs/a", "$defs": {"a": {}}})),
        (json!({"type": "object"}), json!({"type": "object", "allOf": [{"required": ["a"]}]})),
        (
            json!({"patternProperties": {"^x": {}}, "properties": {"a": {}}}),
            json!({"patternProperties": {"^x": {}}, "properties": {"a": {"type": "string"}}, "required": ["a"]}),
        ),
    ] {
        assert_eq!(breaks(&reader, &writer), [""; 0], "{reader} {writer}");
    }
}

/// Schemas of small objects, and values to try them with.
fn schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({"type": "string"})),
        Just(json!({"type": "integer"})),
        Just(json!({"type": ["integer", "null"]})),
        Just(json!({"type": "number", "minimum": 1})),
        Just(json!({"type": "number", "minimum": 3})),
        Just(json!({"enum": ["x"]})),
        Just(json!({"enum": ["x", 1]})),
    ];
    let properties = prop::collection::btree_map("[ab]", leaf.clone(), 0..3);
    let further = prop::option::of(prop_oneof![Just(json!(false)), leaf]);
    (properties, prop::collection::btree_set("[ab]", 0..3), further).prop_map(|(properties, required, further)| {
        let mut schema = json!({"type": "object", "properties": properties, "required": required});
        if let Some(further) = further {
            schema["additionalProperties"] = further;
        }
        schema
    })
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!("x")),
        Just(json!("y")),
        Just(json!(1)),
        Just(json!(2.5)),
        Just(json!(4)),
        Just(Value::Null)
    ];
    prop::collection::btree_map("[abc]", leaf, 0..4).prop_map(|map| json!(map))
}

proptest! {
    // Four of five pairs have a break.
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        max_global_rejects: 8_192,
        ..ProptestConfig::default()
    })]

    /// Where no break is found, whatever fits the writer's schema fits the reader's, but for properties that the writer
    /// does not describe.
    #[test]
    fn without_a_break_all_that_is_written_is_read(reader in schema(), writer in schema(), values in prop::collection::vec(value(), 20)) {
        prop_assume!(breaks(&reader, &writer).is_empty());
        let compiled = |schema: &Value| headwater_kernel::schema::compile(schema).unwrap();
        let (reads, writes) = (compiled(&reader), compiled(&writer));
        for value in values {
            let by_name = |key: &String| writer["properties"].get(key).is_some();
            let further = writer["additionalProperties"].is_object();
            let described = further || value.as_object().unwrap().keys().all(by_name);
            if described && writes.is_valid(&value) {
                prop_assert!(reads.is_valid(&value), "{value} {reader} {writer}");
            }
        }
    }

    #[test]
    fn a_schema_reads_itself(schema in schema()) {
        prop_assert!(breaks(&schema, &schema).is_empty());
    }
}
