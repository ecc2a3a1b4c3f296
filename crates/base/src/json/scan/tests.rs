use proptest::prelude::*;
use serde_json::Value;

use super::*;

#[test]
fn what_is_inside_a_member_is_read_through_once() {
    let text = r#" {"a":{"b":{"c":[1]}, "d" : [2,{"e":3}],"f":{},"s":"{[","n":4},"l":[[5],[]],"x":1}"#;
    let mut inner = Vec::new();
    object(text.as_bytes(), 1, Known::default(), |_, _| {}, |extent| inner.push(extent)).unwrap();
    let shown: Vec<&str> = inner.iter().map(|extent| &text[extent.start as usize..extent.end as usize]).collect();
    assert_eq!(shown, [r#"{"c":[1]}"#, r#"[2,{"e":3}]"#, "{}", "[5]", "[]"]);
    // What is known is not read again: what has been put in its place since would be refused.
    let start = text.find(r#"{"b""#).unwrap();
    let part = text[start..text.find(r#","l""#).unwrap()].replace("[1]", "???").replace("3", "-");
    let known = Known { extents: &inner[..3], base: start as u32 };
    let members = |known: Known<'_>| {
        let mut members = Vec::new();
        let member = |_, value: Extent| members.push(part[value.start as usize..value.end as usize].to_owned());
        let read = object(part.as_bytes(), 1, known, member, |_| {});
        read.map(|_| members)
    };
    assert_eq!(members(known).unwrap(), [r#"{"c":???}"#, r#"[2,{"e":-}]"#, "{}", r#""{[""#, "4"]);
    assert!(members(Known::default()).is_err());
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (text, at, what) in [
        ("", 0, "the text ends too early"),
        ("[1", 2, "the text ends too early"),
        ("{\"a\":1} x", 8, "more text behind the end"),
        ("{\"a\" 1}", 5, "expected `:`"),
        ("{\"a\":1]", 6, "expected `,` or `}`"),
        ("[1 2]", 3, "expected `,` or `]`"),
        ("[01]", 2, "expected `,` or `]`"),
        ("[-]", 2, "expected a digit"),
        ("[1e400]", 1, "a number out of range"),
        ("[\"\\uD800\"]", 2, "half of a surrogate pair"),
        ("[\"a\nb\"]", 3, "a control character inside a string"),
        ("nul", 0, "expected a value"),
    ] {
        assert_eq!(value(text), Err(Flaw { at, what }), "{text}");
    }
}

/// A quote, backslash or control character is found wherever it stands, and nothing else is taken for one.
#[test]
fn strings_end_where_they_end() {
    for length in 0..40 {
        for byte in 0..=0x7f_u8 {
            let text = format!("\"{}{}{}\" , \"a text behind it\"", "a".repeat(length), byte as char, "!".repeat(17));
            let mut scan = Scan { bytes: text.as_bytes(), at: 0 };
            let wanted = match byte {
                b'"' => Ok((length + 2, false)),
                b'\\' => Err(Flaw { at: length + 2, what: "an unknown escape in a string" }),
                0..0x20 => Err(Flaw { at: length + 1, what: "a control character inside a string" }),
                _ => Ok((length + 20, false)),
            };
            assert_eq!(scan.string().map(|escaped| (scan.at, escaped)), wanted, "{text:?}");
            // The same at the very end of a text.
            let text = format!("\"{}{}\"", "é".repeat(length), byte as char);
            let mut scan = Scan { bytes: text.as_bytes(), at: 0 };
            let wanted = match byte {
                b'"' => Ok((2 * length + 2, false)),
                b'\\' => Err(Flaw { at: text.len(), what: "the text ends too early" }),
                0..0x20 => Err(Flaw { at: 2 * length + 1, what: "a control character inside a string" }),
                _ => Ok((text.len(), false)),
            };
            assert_eq!(scan.string().map(|escaped| (scan.at, escaped)), wanted, "{text:?}");
        }
    }
}

/// Numbers that round to the largest double are where ways to read them differ.
#[test]
fn the_largest_numbers_are_those_of_a_full_parse() {
    let digits = "17976931348623157869";
    let mut texts = vec!["1.7976931348623158e308".to_owned(), "-1.797693134862315805e308".to_owned()];
    for count in 1..=digits.len() {
        let (before, behind) = digits.split_at(count);
        let point = if behind.is_empty() { "" } else { "." };
        texts.push(format!("{before}{point}{behind}e{}", 309 - count));
        texts.push(format!("{}e{}", &digits[..count], 309 - count));
        texts.push(format!("{}{}", &digits[..count], "0".repeat(309 - count)));
    }
    for text in texts {
        assert_eq!(value(&text).is_ok(), serde_json::from_str::<Value>(&text).is_ok(), "{text}");
    }
}

#[test]
fn a_full_parse_gives_the_nearest_double() {
    for text in ["9.158478740507359", "100.00000000000001", "0.22661652924476305", "-122.40641500000001"] {
        assert_eq!(serde_json::from_str::<Value>(text).unwrap().as_f64(), text.parse().ok(), "{text}");
    }
}

/// How deep an object lies, counted by who looks into each on the way.
fn inward(scan: &mut Scan<'_>, outside: u32) -> Result<(), Flaw> {
    scan.members(outside, |scan, _| match scan.peek() {
        b'{' => inward(scan, outside + 1),
        _ => scan.value(outside + 1, |_| {}),
    })
}

#[test]
fn who_looks_into_objects_may_go_as_deep_as_who_passes_them() {
    let nested = |depth: usize, inner: &str| format!("{}{inner}{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    for (text, fits) in [
        (nested(126, "{}"), true),
        (nested(127, "{}"), false),
        (nested(126, "[1]"), true),
        (nested(127, "[1]"), false),
        (nested(127, "1"), true),
    ] {
        assert_eq!(value(&text).is_ok(), fits);
        assert_eq!(whole(text.as_bytes(), |scan| inward(scan, 0)), value(&text));
    }
}

/// JSON text and what is nearly that: pieces that fit together often.
fn text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,4})?([eE][+-]?[0-9]{1,3})?",
        "[0-9.eE+-]{0,6}",
        ".{0,20}".prop_map(|text| Value::from(text).to_string()),
        "(\\\\u[dD][89a-fA-F][0-9]{2}|\\\\n|\\\\x|[a-z\\u{1F600}]){0,5}".prop_map(|text| format!("\"{text}\"")),
        prop::sample::select(vec!["true", "false", "null", "nul", "", "[]", "{}", "{ }"]).prop_map(str::to_owned),
    ];
    let space = || prop::sample::select(vec!["", "", "", " ", "\n", "\t\r"]);
    leaf.prop_recursive(4, 40, 4, move |inner| {
        let item =
            (space(), inner.clone(), space()).prop_map(|(before, value, after)| format!("{before}{value}{after}"));
        let member = (space(), "[ab]{0,2}", space(), item.clone())
            .prop_map(|(before, name, behind, value)| format!("{before}\"{name}\"{behind}:{value}"));
        prop_oneof![
            prop::collection::vec(item, 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(member, 0..4).prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_accepted_is_what_a_full_parse_accepts(text in text(), cut in any::<prop::sample::Index>(), byte in "[\\[\\]{}\",:0-9a-f\\\\ ]?") {
        prop_assert_eq!(value(&text).is_ok(), serde_json::from_str::<Value>(&text).is_ok(), "{}", text);
        let at = cut.index(text.len() + 1);
        prop_assume!(text.is_char_boundary(at));
        let changed = format!("{}{byte}{}", &text[..at], &text[at..]);
        prop_assert_eq!(value(&changed).is_ok(), serde_json::from_str::<Value>(&changed).is_ok(), "{}", changed);
        let cut = &text[..at];
        prop_assert_eq!(value(cut).is_ok(), serde_json::from_str::<Value>(cut).is_ok(), "{}", cut);
    }

    #[test]
    fn members_lie_where_they_are_said_to(text in text()) {
        let mut members = serde_json::Map::new();
        let member = |key: Key, value: Extent| {
            let name: String = serde_json::from_slice(key.span.of(text.as_bytes())).unwrap();
            assert!(key.is(text.as_bytes(), &name) && key.tag(text.as_bytes()) == tag(name.as_bytes()), "{name}");
            assert!(!key.is(text.as_bytes(), &format!("{name}x")));
            members.insert(name, serde_json::from_slice(value.of(text.as_bytes())).unwrap());
        };
        let read = object(text.as_bytes(), 1, Known::default(), member, |_| {});
        match serde_json::from_str::<Value>(&text) {
            Ok(whole @ Value::Object(_)) => {
                prop_assert!(read.is_ok());
                prop_assert_eq!(Value::Object(members), whole);
            }
            _ => prop_assert!(read.is_err()),
        }
    }

    #[test]
    fn strings_are_read_as_by_a_full_parse(text in "(\\\\u00[0-9a-f]{2}|\\\\ud83d\\\\ude0[0-9]|\\\\[bfnrt/\\\\\"]|[a-z\\u{1F600}]|é){0,24}") {
        let quoted = format!("\"{text}\"");
        prop_assert_eq!(unescape(quoted.as_bytes()), serde_json::from_str::<String>(&quoted).unwrap());
    }
}
