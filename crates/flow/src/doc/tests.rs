use super::*;

fn doc(text: &'static str) -> Doc {
    Doc::new(Bytes::from_static(text.as_bytes())).unwrap()
}

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

fn text(doc: &Doc) -> String {
    String::from_utf8(doc.encode().to_vec()).unwrap()
}

#[test]
fn reads_by_type() {
    let doc = doc(r#"{"s":"x","i":7,"f":1.5,"b":true,"n":null,"o":{"d":{"e":"deep"}},"l":[1,{"k":"v"}]}"#);
    assert_eq!(doc.str(&path(".s")), Some("x"));
    assert_eq!((doc.i64(&path(".i")), doc.f64(&path(".i")), doc.f64(&path(".f"))), (Some(7), Some(7.0), Some(1.5)));
    assert_eq!((doc.bool(&path(".b")), doc.i64(&path(".f")), doc.str(&path(".i"))), (Some(true), None, None));
    assert_eq!(
        (doc.str(&path(".o.d.e")), doc.str(&path(".l[1].k")), doc.str(&path(".l[-1].k"))),
        (Some("deep"), Some("v"), Some("v"))
    );
    assert_eq!(
        (doc.get(&path(".o.x.y")), doc.get(&path(".s.t")), doc.get(&path(".n"))),
        (None, None, Some(&Value::Null))
    );
}

#[test]
fn keys_and_times_take_several_forms() {
    let doc = doc(
        r#"{"s":"x","i":7,"f":1.50,"b":false,"n":null,"o":{},"t":"2026-11-23T08:00:00.5Z","sec":1795420800,"ms":1795420800500,"us":1795420800500000,"fs":1795420800.5,"bad":"now"}"#,
    );
    let key = |name: &str| doc.key(&path(name)).map(|key| String::from_utf8(key.to_vec()).unwrap());
    assert_eq!(
        [key(".s"), key(".i"), key(".f"), key(".b")],
        ["x", "7", "1.50", "false"].map(|text| Some(text.to_owned()))
    );
    assert_eq!([key(".n"), key(".o"), key(".none")], [None, None, None]);
    let at = Some(Micros(1_795_420_800_500_000));
    assert_eq!(
        [doc.time(&path(".t")), doc.time(&path(".ms")), doc.time(&path(".us")), doc.time(&path(".fs"))],
        [at; 4]
    );
    assert_eq!(
        (doc.time(&path(".sec")), doc.time(&path(".bad")), doc.time(&path(".o"))),
        (Some(Micros(1_795_420_800_000_000)), None, None)
    );
}

#[test]
fn sets_json_as_it_is_and_lets_later_steps_look_inside() {
    let mut doc = doc(r#"{"a":1}"#);
    doc.set_json(&path(".geo"), Bytes::from_static(br#"{ "city": "Oslo", "lat": 59.90 }"#)).unwrap();
    assert_eq!(doc.str(&path(".geo.city")), Some("Oslo"));
    assert_eq!(text(&doc), r#"{"a":1,"geo":{ "city": "Oslo", "lat": 59.90 }}"#);
    doc.set_str(&path(".geo.zip"), "0150");
    doc.remove(&path(".geo.city"));
    assert_eq!(text(&doc), r#"{"a":1,"geo":{"lat": 59.90,"zip":"0150"}}"#);
    assert_eq!(doc.set_json(&path(".bad"), Bytes::from_static(b"{")).unwrap_err().code, "HW-FLOW-120");
    doc.set_json(&path(".a.b"), Bytes::from_static(b"[1,2]")).unwrap();
    assert_eq!(doc.i64(&path(".a.b[1]")), Some(2));
    assert_eq!(text(&doc), r#"{"a":{"b":[1,2]},"geo":{"lat": 59.90,"zip":"0150"}}"#);
}

#[test]
fn space_around_json_that_is_set_is_no_part_of_it() {
    let mut doc = doc(r#"{"a":1}"#);
    doc.set_json(&path(".geo"), Bytes::from_static(b"\r\n\t {\"city\": \"Oslo\"}\n")).unwrap();
    doc.set_json(&path(".n"), Bytes::from_static(b" 7 ")).unwrap();
    assert_eq!((doc.str(&path(".geo.city")), doc.i64(&path(".n"))), (Some("Oslo"), Some(7)));
    assert!(doc.get(&path(".geo")).unwrap().is_object());
    doc.set(&path(".geo.zip"), 150);
    assert_eq!(text(&doc), r#"{"a":1,"geo":{"city": "Oslo","zip":150},"n":7}"#);
    assert_eq!(doc.remove(&path(".n")), Some(Value::Integer(7)));
}

#[test]
fn gives_the_json_text_of_a_part() {
    let mut doc = doc(r#"{"a":{"b":[1 , 2.50]},"c":"x"}"#);
    let json = |doc: &Doc, at: &str| doc.json(&path(at)).map(|json| String::from_utf8(json.to_vec()).unwrap());
    assert_eq!((json(&doc, ".a.b"), json(&doc, ".c")), (Some("[1 , 2.50]".into()), Some("\"x\"".into())));
    doc.set(&path(".a.n"), 5);
    assert_eq!(
        (json(&doc, ".a.b"), json(&doc, ".a.n"), json(&doc, ".z")),
        (Some("[1 , 2.50]".into()), Some("5".into()), None)
    );
    assert_eq!(json(&doc, ".a"), Some(r#"{"b":[1,2.5],"n":5}"#.into()));
}

#[test]
fn a_part_is_given_as_it_was_written_whatever_was_read_before() {
    let mut doc = doc(r#"{"o":{"p":{"f":1.50},"big":123456789012345678901234}}"#);
    doc.set_json(&path(".geo"), Bytes::from_static(br#"{"lat":59.90}"#)).unwrap();
    assert!(doc.get(&path(".o")).unwrap().is_object() && doc.get(&path(".geo")).unwrap().is_object());
    let key = |at: &str| doc.key(&path(at)).map(|key| String::from_utf8(key.to_vec()).unwrap());
    let written = ["1.50", "123456789012345678901234", "59.90"].map(|text| Some(text.to_owned()));
    assert_eq!([key(".o.p.f"), key(".o.big"), key(".geo.lat")], written);
    assert_eq!(doc.json(&path(".o.p")).as_deref(), Some(br#"{"f":1.50}"#.as_slice()));
    assert_eq!(key(".o.none"), None);
}

#[test]
fn an_object_that_was_looked_into_is_still_all_it_was() {
    let inside = r#"{"a":{"b":[1]},"n":null, "a" : {"b":7,"\u0062":"\"last\"","d":{"e":[{"f":2.50}]}}}"#;
    let mut doc = Doc::new(Bytes::from(format!(r#"{{"before":{{"a":[0]}},"o":{inside},"x":1}}"#))).unwrap();
    doc.set_json(&path(".j"), Bytes::from(inside)).unwrap();
    for at in [".o", ".j"] {
        let at = |rest: &str| path(&format!("{at}{rest}"));
        assert_eq!((doc.str(&at(".a.b")), doc.f64(&at(".a.d.e[0].f"))), (Some("\"last\""), Some(2.5)));
        assert_eq!(
            (doc.get(&at(".n")), doc.get(&at(".n.none")), doc.get(&at(".a[0]"))),
            (Some(&Value::Null), None, None)
        );
        let has =
            [".a.d", ".a.d.e[0].f", ".n", ".none", ".a.none", ".a.b.c"].map(|rest| doc.has_at(at(rest).segments()));
        assert_eq!(has, [true, true, true, false, false, false]);
        assert_eq!(doc.json(&at(".a.d")).as_deref(), Some(br#"{"e":[{"f":2.50}]}"#.as_slice()));
        let names = |value: &Value| value.as_object().map(|object| object.len());
        assert_eq!((doc.get(&at("")).and_then(names), doc.get(&at(".a")).and_then(names)), (Some(2), Some(2)));
        assert_eq!(doc.str(&at(".a.b")), Some("\"last\""));
    }
    assert_eq!(doc.remove(&path(".o.a.none")), None);
    doc.set(&path(".o.a.g"), 5);
    assert_eq!(doc.f64(&path(".o.a.d.e[0].f")), Some(2.5));
    assert_eq!(
        text(&doc),
        format!(
            r#"{{"before":{{"a":[0]}},"o":{{"n":null,"a":{{"b":7,"\u0062":"\"last\"","d":{{"e":[{{"f":2.50}}]}},"g":5}}}},"x":1,"j":{inside}}}"#
        )
    );
    // What was looked into is taken out, and put in elsewhere.
    let taken = doc.remove(&path(".j")).unwrap();
    doc.set(&path(".k"), taken);
    assert_eq!((doc.str(&path(".k.a.b")), doc.f64(&path(".k.a.d.e[0].f"))), (Some("\"last\""), Some(2.5)));
}

#[test]
fn the_last_of_equal_keys_counts() {
    let doc = doc(r#"{"a":1,"b":{"c":1,"c":2},"a":3}"#);
    assert_eq!((doc.i64(&path(".a")), doc.i64(&path(".b.c"))), (Some(3), Some(2)));
    assert_eq!(text(&doc), r#"{"a":1,"b":{"c":1,"c":2},"a":3}"#);
}

#[test]
fn what_is_beside_a_change_keeps_its_text() {
    let mut doc = doc(r#"{"n":12345678901234567890123,"o":{"z":1.50,"big":123456789012345678901234,"a":1},"x":1}"#);
    // The object is read as one value, and then changed inside.
    assert!(doc.get(&path(".o")).unwrap().is_object());
    // Nothing is there to be removed.
    assert_eq!((doc.remove(&path(".n.none")), doc.remove(&path(".o.none.none"))), (None, None));
    doc.set(&path(".o.a"), 2);
    doc.remove(&path(".x"));
    assert_eq!(text(&doc), r#"{"n":12345678901234567890123,"o":{"z":1.50,"big":123456789012345678901234,"a":2}}"#);
}

#[test]
fn depth_is_bounded_without_recursion() {
    let nested = |depth: usize| Bytes::from(format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth)));
    let deep = Doc::new(nested(126)).unwrap();
    assert!(deep.get(&path(".a")).is_some());
    assert!(Doc::new(nested(127)).unwrap_err().reason.contains("127 nested"));
    assert!(Doc::new(nested(1_000_000)).is_err());
}

#[test]
fn numbers_behave_as_in_a_full_parse() {
    let doc = doc(r#"{"max":9223372036854775807,"over":9223372036854775808,"zero":-0}"#);
    assert_eq!(doc.i64(&path(".max")), Some(i64::MAX));
    assert_eq!((doc.i64(&path(".over")), doc.f64(&path(".over"))), (None, Some(9_223_372_036_854_775_808.0)));
    assert!(doc.f64(&path(".zero")).unwrap().is_sign_negative());
    assert!(Doc::new(Bytes::from_static(b"{\"a\":1e400}")).is_err());
}

#[test]
fn objects_inside_objects_keep_their_places() {
    let mut doc = doc(
        r#"{"p":[{"o":[1]}],"o":{"e":{},"l":[ ],"d":{"x":[1,{"y":2}],"z":{"w":[3]}},"s":"}","n":1},"q":{"r":{"s":{"t":4}}}}"#,
    );
    assert_eq!((doc.i64(&path(".o.d.x[1].y")), doc.i64(&path(".o.d.z.w[0]"))), (Some(2), Some(3)));
    assert_eq!((doc.i64(&path(".q.r.s.t")), doc.i64(&path(".p[0].o[0]"))), (Some(4), Some(1)));
    doc.remove(&path(".o.d.z"));
    doc.remove(&path(".o.l"));
    doc.set(&path(".q.r.s.u"), 5);
    assert_eq!(
        text(&doc),
        r#"{"p":[{"o":[1]}],"o":{"e":{},"d":{"x":[1,{"y":2}]},"s":"}","n":1},"q":{"r":{"s":{"t":4,"u":5}}}}"#
    );
}

#[test]
fn added_names_may_be_long() {
    let mut doc = doc(r#"{"a":{}}"#);
    let names =
        ["", "short", "exactly 22 bytes long ", "23 bytes, which is more", "ünïcödé ünïcödé", "a \"quoted\" \\ one"];
    for (at, name) in (0_i64..).zip(names) {
        doc.set(&Path::field("a").child(name), at);
        doc.set(&Path::field(name), at);
        doc.set(&Path::field(name), at + 10);
    }
    for (at, name) in (0_i64..).zip(names) {
        assert_eq!(doc.i64(&Path::field(name)), Some(at + 10), "{name}");
        assert_eq!(doc.i64(&Path::field("a").child(name)), Some(at), "{name}");
    }
    let inside = r#""":0,"short":1,"exactly 22 bytes long ":2,"23 bytes, which is more":3,"ünïcödé ünïcödé":4,"a \"quoted\" \\ one":5"#;
    let beside = inside.replace(':', ":1");
    assert_eq!(text(&doc), format!("{{\"a\":{{{inside}}},{beside}}}"));
    // As one value, and with some of them taken away again.
    assert_eq!(doc.get(&path(".a")).and_then(|value| value.as_object()).map(|object| object.len()), Some(names.len()));
    for name in names {
        doc.remove(&Path::field(name));
    }
    assert_eq!(text(&doc), format!("{{\"a\":{{{inside}}}}}"));
}

#[test]
fn an_object_may_have_any_number_of_members() {
    for count in [15, 16, 17, 40] {
        let members: Vec<String> = (0..count).map(|n| format!("\"m{n}\":{n}")).collect();
        let inner = format!("{{{}}}", members.join(","));
        let mut doc = Doc::new(Bytes::from(format!("{{\"o\":{inner}}}"))).unwrap();
        let at = |name: &str| Path::field("o").child(name);
        for n in 0..count {
            assert_eq!(doc.i64(&at(&format!("m{n}"))), Some(n), "{count}");
        }
        doc.set(&at("m0"), 7);
        doc.set(&at("one more"), count);
        doc.remove(&at("m1"));
        let wanted = format!(r#"{{"o":{{"m0":7,{},"one more":{count}}}}}"#, members[2..].join(","));
        assert_eq!(text(&doc), wanted);
    }
}

#[test]
fn what_a_document_holds_grows_with_what_is_put_in() {
    let mut doc = doc(r#"{"a":1}"#);
    let before = doc.held_bytes();
    doc.set_json(&path(".answer.of"), Bytes::from(format!("\"{}\"", "x".repeat(50_000)))).unwrap();
    assert!((50_000..52_000).contains(&(doc.held_bytes() - before)), "{} and {before}", doc.held_bytes());
    let members: Vec<String> = (0..100).map(|n| format!("\"{n}\":{n}")).collect();
    let many = Doc::new(Bytes::from(format!("{{{}}}", members.join(",")))).unwrap();
    assert!(many.held_bytes() > many.original().len() + 100 * 16, "{}", many.held_bytes());
}

#[test]
fn memory_of_one_event_serves_the_next() {
    let mut first = doc(r#"{"a":"x","b":{"c":[1,2]},"d":3}"#);
    assert_eq!(first.i64(&path(".b.c[1]")), Some(2));
    first.set(&path(".e"), 4);
    first.remove(&path(".a"));
    let mut doc = Doc::new_in(Bytes::from_static(br#"{"b":{"z":5},"a":6}"#), first.into_memory()).unwrap();
    assert_eq!((doc.i64(&path(".a")), doc.i64(&path(".b.z"))), (Some(6), Some(5)));
    assert_eq!(["d", "e", "b.c"].map(|at| doc.get(&path(&format!(".{at}"))).cloned()), [None, None, None]);
    doc.set(&path(".d"), 7);
    assert_eq!(text(&doc), r#"{"b":{"z":5},"a":6,"d":7}"#);
    // An event of many members, in the memory of one of few, and the other way round.
    let members: Vec<String> = (0..5_000).map(|n| format!("\"m{n}\":{n}")).collect();
    let large = Doc::new_in(Bytes::from(format!("{{{}}}", members.join(","))), doc.into_memory()).unwrap();
    assert_eq!(large.i64(&path(".m4999")), Some(4_999));
    let small = Doc::new_in(Bytes::from_static(br#"{"m7":"few"}"#), large.into_memory()).unwrap();
    assert_eq!((small.str(&path(".m7")), small.get(&path(".m4999"))), (Some("few"), None));
    // A small event that waits does not hold the room of a large one meanwhile.
    let members = members.into_iter().take(300).collect::<Vec<_>>().join(",");
    let memory = Doc::new(Bytes::from(format!("{{{members}}}"))).unwrap().into_memory();
    assert!(memory.room() >= 300);
    let small = Doc::new_in(Bytes::from_static(br#"{"m7":"few"}"#), memory).unwrap();
    assert_eq!(small.str(&path(".m7")), Some("few"));
    assert!(small.into_memory().room() < 100);
}
