mod differential;

use headwater_base::Micros;
use vrl::compiler::SecretTarget;

use super::*;

struct Vault;

impl Secrets for Vault {
    fn read(&self, name: &str) -> Result<Bytes, Problem> {
        match name {
            "k" => Ok(Bytes::from_static(b"a secret of some length")),
            other => Err(Problem::new("HW-KERNEL-900", format!("there is no secret `{other}`"))),
        }
    }
}

fn compiler() -> Compiler {
    Compiler::new(Arc::new(Vault))
}

fn place() -> Place {
    Place { path: "p.yaml".into(), line: 10, column: 9 }
}

fn env() -> Env {
    let mut env = Env::new();
    env.set(&meta(true));
    env
}

/// Where events came from; not `timed` = they have no time of their own.
fn meta(timed: bool) -> Meta<'static> {
    let time = Micros::parse_rfc3339("2026-11-23T23:30:00Z").unwrap();
    Meta { stream: "clicks", partition: 3, offset: 42, ingested: time, time: timed.then_some(time), now: time }
}

fn run(program: &str, event: &str) -> Result<String, Fault> {
    let mut doc = Doc::new(Bytes::copy_from_slice(event.as_bytes()))?;
    compiler().program(program, &place()).unwrap_or_else(|problem| panic!("{problem}")).run(&mut doc, &mut env())?;
    Ok(String::from_utf8(doc.encode().to_vec()).unwrap())
}

#[test]
fn splices_edits_into_the_original_bytes() {
    let event = r#"{ "id": 1.50, "ip" : "203.0.113.9",  "user": {"email":"a@b", "big": 123456789012345678901234567890}, "z":[1 , 2]}"#;
    assert_eq!(
        run("del(.ip)\ndel(.user.email)\n.n = 1", event).unwrap(),
        r#"{"id": 1.50,"user":{"big": 123456789012345678901234567890},"z":[1 , 2],"n":1}"#
    );
    assert_eq!(run("if .ip == \"none\" { del(.ip) }", event).unwrap(), event);
}

#[test]
fn a_variable_keeps_the_object_that_it_was_given() {
    let (both, one) = (r#"{"a":{"n":1},"b":{"n":2}}"#, r#"{"a":{"n":1}}"#);
    let chosen = "o = object(.a) ?? {}\nif exists(.b) { o = object(.b) ?? {} }\ndel(.b)\n.n = int(o.n) ?? 0";
    for (program, event, wanted) in [
        (
            "o = object(.r.ip) ?? {}\n.r.ip.n = 5\n.was = o.n\n.now = .r.ip.n\n.all = o",
            r#"{"r":{"ip":{"n":1,"m":2}}}"#,
            r#"{"r":{"ip":{"n":5,"m":2}},"was":1,"now":5,"all":{"m":2,"n":1}}"#,
        ),
        (
            "o = object(.r.ip) ?? {}\ndel(.r)\n.n = o.n\n.none = o.none",
            r#"{"r":{"ip":{"n":1}}}"#,
            r#"{"n":1,"none":null}"#,
        ),
        (
            "o = object(.r.ip) ?? {}\n.r.other = 5\n.n = o.x.n",
            r#"{"r":{"ip":{"x":{"n":1},"x":{"n":2}}}}"#,
            r#"{"r":{"ip":{"x":{"n":1},"x":{"n":2}},"other":5},"n":2}"#,
        ),
        (chosen, both, r#"{"a":{"n":1},"n":2}"#),
        (chosen, one, r#"{"a":{"n":1},"n":1}"#),
        ("o = object(.a) ?? {}\n.n = o.n\n.o = o", r#"{"a":[1]}"#, r#"{"a":[1],"n":null,"o":{}}"#),
    ] {
        let compiled = compiler().program(program, &place()).unwrap();
        assert!(compiled.body.is_none(), "needs VRL: {program}");
        assert_eq!(run(program, event).unwrap(), wanted, "{program}");
    }
}

#[test]
fn a_deleted_field_is_gone_under_every_spelling_and_in_every_twin() {
    for event in [
        r#"{"ip":"secret","a":1,"ip":"secret"}"#,
        r#"{"\u0069p":"secret","a":1,"ip":"secret"}"#,
        r#"{"a":1,"\u0069\u0070":"secret"}"#,
    ] {
        assert_eq!(run("del(.ip)", event).unwrap(), r#"{"a":1}"#);
    }
    assert_eq!(
        run("del(.user.email)", r#"{"user":{"email":"secret"},"user":{"n":1}}"#).unwrap(),
        r#"{"user":{"n":1}}"#
    );
}

#[test]
fn tokens_depend_on_secret_value_and_period_and_can_be_made_again() {
    let token = |program: &str, value: &str| {
        let text = run(&format!(".t = token(.v, {program})"), &format!("{{\"v\":{value}}}")).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["t"].clone()
    };
    let day = token("\"k\"", "\"203.0.113.9\"");
    assert_eq!(day.as_str().unwrap().len(), 32);
    assert_eq!(day, token("\"k\", at: \"2026-11-23T00:00:01Z\"", "\"203.0.113.9\""));
    assert_ne!(day, token("\"k\", at: \"2026-11-24T00:00:01Z\"", "\"203.0.113.9\""));
    assert_ne!(day, token("\"k\"", "\"203.0.113.8\""));
    let month = token("\"k\", period: \"month\"", "\"203.0.113.9\"");
    assert_eq!(month, token("\"k\", period: \"month\", at: \"2026-11-01T00:00:00Z\"", "\"203.0.113.9\""));
    assert_ne!(month, token("\"k\", period: \"month\", at: \"2026-12-01T00:00:00Z\"", "\"203.0.113.9\""));
    assert_eq!(token("\"k\"", "null"), serde_json::Value::Null);
    // HMAC-SHA256(HMAC-SHA256(secret, "headwater token v1 2026-11-23"), value), by RFC 2104: stored tokens depend on it.
    let mac = |key: &[u8], text: &[u8]| {
        use hmac::{Hmac, KeyInit, Mac};
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key).unwrap();
        mac.update(text);
        mac.finalize().into_bytes().to_vec()
    };
    let code = mac(&mac(b"a secret of some length", b"headwater token v1 2026-11-23"), b"203.0.113.9");
    let hex: String = code[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(day, hex);
}

#[test]
fn addresses_are_cut_to_their_network_and_nothing_else_slips_through() {
    for (address, network) in [
        ("\"203.0.113.9\"", "\"203.0.113.0\""),
        ("\"2001:db8:1:2:3::4\"", "\"2001:db8:1::\""),
        ("\"::ffff:203.0.113.9\"", "\"203.0.113.0\""),
        ("\"unknown 203.0.113.9\"", "null"),
        ("17", "null"),
        ("null", "null"),
    ] {
        assert_eq!(
            run(".n = truncate_ip(.v)\ndel(.v)", &format!("{{\"v\":{address}}}")).unwrap(),
            format!("{{\"n\":{network}}}")
        );
    }
}

#[test]
fn user_agents_are_told_apart() {
    let bot = |agent: &str| {
        let text = run(".a = user_agent(.ua)", &serde_json::json!({"ua": agent}).to_string()).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["a"].clone()
    };
    let chrome = bot(
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36",
    );
    assert_eq!((chrome["family"].as_str(), chrome["bot"].as_bool()), (Some("Chrome"), Some(false)));
    for agent in [
        "python-requests/2.32.3",
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "curl/8.0",
        "-",
        "",
    ] {
        assert_eq!(bot(agent)["bot"], true, "{agent}");
    }
}

#[test]
fn metadata_and_the_clock_come_from_the_pipeline() {
    assert_eq!(
        run(".m = [%stream, %partition, %offset, %time, now()]", "{}").unwrap(),
        r#"{"m":["clicks",3,42,"2026-11-23T23:30:00Z","2026-11-23T23:30:00Z"]}"#
    );
    assert_eq!(
        run(".all = keys(%)", "{}").unwrap(),
        r#"{"all":["ingested","now","offset","partition","stream","time"]}"#
    );
}

#[test]
fn each_event_sees_its_own_metadata() {
    let program = compiler().program(".m = [%time, %ingested, %now]\n.all = values(%)", &place()).unwrap();
    let mut env = Env::new();
    let mut seen = |meta: &Meta<'_>| {
        env.set(meta);
        let mut doc = Doc::new(Bytes::from_static(b"{}")).unwrap();
        program.run(&mut doc, &mut env).unwrap();
        let event: serde_json::Value = serde_json::from_slice(&doc.encode()).unwrap();
        // By name: ingested, now, offset, partition, stream, time.
        let times = [5, 0, 1].map(|place: usize| event["all"][place].clone());
        assert_eq!(event["m"].as_array().unwrap()[..], times);
        times.map(|time| time.as_str().map(|text| Micros::parse_rfc3339(text).unwrap()))
    };
    let first = meta(true);
    let other = first.now.plus(std::time::Duration::from_secs(1));
    for meta in [
        first,
        Meta { time: Some(other), ..first },
        Meta { ingested: other, ..meta(false) },
        Meta { now: other, ..first },
    ] {
        assert_eq!(seen(&meta), [meta.time, Some(meta.ingested), Some(meta.now)]);
    }
}

#[test]
fn what_goes_wrong_is_a_fault_with_a_code() {
    for (program, event, code, reason) in [
        (".n = to_int!(.a)", r#"{"a":"x"}"#, "HW-FLOW-121", "to_int"),
        ("if .a == 1 { abort \"too odd\" }", r#"{"a":1}"#, "HW-FLOW-122", "too odd"),
        ("abort", "{}", "HW-FLOW-122", "aborted"),
        (". = .a", r#"{"a":[1]}"#, "HW-FLOW-123", "not an object"),
        ("n = 0", "[1]", "HW-FLOW-120", "expected an object at byte 0"),
        ("n = 0", "{\"a\":1", "HW-FLOW-120", "ends too early at byte 6"),
        ("n = 0", "{\"a\":\"\u{1}\"}", "HW-FLOW-120", "control character inside a string at byte 6"),
    ] {
        let fault = run(program, event).unwrap_err();
        assert_eq!(fault.code, code, "{program}: {fault}");
        assert!(fault.reason.contains(reason), "{program}: {fault}");
    }
    let fault = Doc::new(Bytes::from_static(b"{\"a\":\"\xff\"}")).unwrap_err();
    assert_eq!(fault.reason, "not a JSON object: bytes that are not UTF-8 at byte 6");
}

#[test]
fn a_program_in_parts_gives_what_it_gives_in_one_piece() {
    for (program, event, wanted) in [
        ("if .a == 1 { return . }\ndel(.b)", r#"{"a":1,"b":2}"#, r#"{"a":1,"b":2}"#),
        ("if .a == 1 { return . }\ndel(.b)", r#"{"a":2,"b":2}"#, r#"{"a":2}"#),
        ("o = {\"k\": 1}\no.s = upcase!(.s)\n.s = o", r#"{"s":"x"}"#, r#"{"s":{"k":1,"s":"X"}}"#),
        (".a = \"x\"\n.t, .e = .a + .b\ndel(.e)", r#"{"b":5}"#, r#"{"a":"x","b":5,"t":""}"#),
        (".a = \"x\"\n.b = upcase(.a)", "{}", r#"{"a":"x","b":"X"}"#),
    ] {
        let parsed = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).unwrap();
        let compiled = compiler().program(program, &place()).unwrap_or_else(|problem| panic!("{problem}"));
        let full = compiled.run_in_full(event.as_bytes(), &mut env()).unwrap();
        assert_eq!(parsed(&full), parsed(wanted.as_bytes()), "{program}");
        assert_eq!(parsed(run(program, event).unwrap().as_bytes()), parsed(wanted.as_bytes()), "{program}");
    }
    let failing = "if .a == 1 { del(.c) }\n.n = to_int!(.b)\ndel(.d)";
    let compiled = compiler().program(failing, &place()).unwrap();
    let full = compiled.run_in_full(br#"{"b":"x"}"#, &mut env()).unwrap_err();
    assert_eq!(run(failing, r#"{"b":"x"}"#).unwrap_err(), full);
}

#[test]
fn a_program_that_does_not_compile_is_shown_where_it_stands() {
    for (source, code, line, column, text) in [
        (".a = 1\n.b = upcase(.c)", "HW-FLOW-111", 11, 14, "fallible"),
        (".a = 1\n  nothing()", "HW-FLOW-111", 11, 11, "undefined function"),
        (".a = ", "HW-FLOW-111", 10, 0, "syntax"),
        (".a = random_int(0, 9)", "HW-FLOW-113", 10, 14, "replay"),
        (".a = get_env_var(\"HOME\")", "HW-FLOW-113", 10, 14, "environment"),
        ("%offset = 1", "HW-FLOW-111", 10, 0, "read-only"),
        (".a = token(.b, \"none\")", "HW-FLOW-111", 10, 0, "there is no secret `none`"),
        (".a = token(.b, \"k\", period: \"week\")", "HW-FLOW-111", 10, 0, "`week` is not a period"),
        (".a[100000] = 1", "HW-FLOW-114", 10, 9, "beyond 1000"),
    ] {
        let problem = compiler().program(source, &place()).unwrap_err();
        assert_eq!(problem.code, code, "{source}: {problem}");
        let at = problem.place.clone().unwrap();
        assert_eq!(at.line, line, "{source}: {problem}");
        assert!(column == 0 || at.column == column, "{source}: {problem}");
        assert!(problem.to_string().to_lowercase().contains(text), "{source}: {problem}");
    }
    let deep = format!(".a = {}1{}", "(".repeat(5_000), ")".repeat(5_000));
    let long = format!(".a = 1{}", " + 1".repeat(10_000));
    let lines = format!(".a = 1{}", " + # more\n1".repeat(10_000));
    for source in [deep, long, lines, "x".repeat(100_000)] {
        assert_eq!(compiler().program(&source, &place()).unwrap_err().code, "HW-FLOW-114");
    }
}

#[test]
fn the_largest_programs_that_are_taken_do_not_exhaust_the_stack() {
    let sum = |count: usize| format!(".a = (1{})", " + 1".repeat(count));
    assert_eq!(run(&sum(190), "{}").unwrap(), "{\"a\":191}");
    let lines = format!("if .x != 1 {{\n{}}}", "  .a = 1 + 2 + 3\n".repeat(300));
    assert_eq!(run(&lines, "{}").unwrap(), "{\"a\":6}");
    let longest = format!(".a = \"{}\"", "x".repeat(64 * 1024 - 7));
    assert_eq!(run(&longest, "{}").unwrap().len(), 64 * 1024 + 1);
    let brackets = format!(".a = {}1{}", "[".repeat(60), "]".repeat(60));
    assert!(run(&brackets, "{}").unwrap().starts_with("{\"a\":[[["));
    let branches = format!(".a = if .x == 0 {{ 0 }}{} else {{ 99 }}", " else if .x == 1 {\n1 }".repeat(190));
    assert_eq!(run(&branches, "{\"x\":5}").unwrap(), "{\"x\":5,\"a\":99}");
}

#[test]
fn conditions_read_only_and_give_true_or_false() {
    let test = |source: &str, event: &'static str| {
        let doc = Doc::new(Bytes::from_static(event.as_bytes())).unwrap();
        compiler().condition(source, &place()).unwrap().test(&doc, &mut env()).unwrap()
    };
    assert!(test(".kind == \"view\" && exists(.user.id)", r#"{"kind":"view","user":{"id":1}}"#));
    assert!(!test(".kind == \"view\"", r#"{"kind":"like"}"#));
    for (source, code) in [(".price", "HW-FLOW-112"), ("del(.a) == 1", "HW-FLOW-111"), (".a = true", "HW-FLOW-111")] {
        assert_eq!(compiler().condition(source, &place()).unwrap_err().code, code, "{source}");
    }
    let doc = Doc::new(Bytes::from_static(br#"{"n":2}"#)).unwrap();
    assert_eq!(
        compiler().expression("int!(.n) * 3", &place()).unwrap().eval(&doc, &mut env()).unwrap(),
        Value::Integer(6)
    );
}

/// An event that nobody can read without meeting a bug.
#[derive(Debug)]
struct Broken;

impl Target for Broken {
    fn target_insert(&mut self, _: &OwnedTargetPath, _: Value) -> Result<(), String> {
        Ok(())
    }

    fn target_get(&self, _: &OwnedTargetPath) -> Result<Option<&Value>, String> {
        panic!("what the event says")
    }

    fn target_get_mut(&mut self, _: &OwnedTargetPath) -> Result<Option<&mut Value>, String> {
        Ok(None)
    }

    fn target_remove(&mut self, _: &OwnedTargetPath, _: bool) -> Result<Option<Value>, String> {
        Ok(None)
    }
}

impl SecretTarget for Broken {
    fn get_secret(&self, _: &str) -> Option<&str> {
        None
    }

    fn insert_secret(&mut self, _: &str, _: &str) {}

    fn remove_secret(&mut self, _: &str) {}
}

#[test]
fn a_bug_of_the_runtime_is_the_fault_of_one_event() {
    let expression = compiler().expression("int!(.n) * 3", &place()).unwrap();
    let mut env = env();
    let fault = resolve(&expression.0, &mut Broken, &mut env.runtime).unwrap_err();
    assert_eq!(fault, Fault::new("HW-FLOW-125", "the VRL runtime failed on this event"), "without what it says");
    let doc = Doc::new(Bytes::from_static(br#"{"n":2}"#)).unwrap();
    assert_eq!(expression.eval(&doc, &mut env).unwrap(), Value::Integer(6), "the next one meets nothing of it");
}

#[test]
fn every_function_of_vrl_is_either_allowed_or_refused_with_a_reason() {
    for function in vrl::stdlib::all() {
        let name = function.identifier();
        let (allowed, blocked) = (functions::ALLOWED.contains(&name), functions::blocked(name).is_some());
        assert!(allowed != blocked, "`{name}`: allowed {allowed}, blocked {blocked}");
    }
}

#[test]
fn a_secret_never_shows() {
    let keyring = Keyring::new(Bytes::from_static(b"hush"));
    assert!(!format!("{keyring:?}").contains("hush"));
    let program = compiler().program(".a = token(.b, \"k\")", &place()).unwrap();
    assert!(!format!("{program:?}").contains("secret of some length"));
}
