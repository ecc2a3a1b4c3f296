//! The lazy path against parsing everything, running and writing everything, on generated events and programs.
//!
//! `HEADWATER_CASES` sets how many (default a million for programs, 20,000 for conditions and damaged texts),
//! `HEADWATER_SEED` where programs start; a failure prints seed, event and program.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value as Json;

use super::*;

/// Few names, so that they meet; some need escapes or quotes.
const NAMES: [&str; 9] = ["a", "b", "ip", "user", "x y", "é", "q\"", "items", "k\\"];

/// Parts in which programs are tried at once, each with the next seed: what is tried is the same on any machine.
const PARTS: u64 = 4;

struct Generate {
    rng: ChaCha8Rng,
}

impl Generate {
    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.rng.random_range(0..from.len())]
    }

    fn space(&mut self, out: &mut String) {
        if self.rng.random_range(0..8) == 0 {
            out.push_str(self.pick(&[" ", "\n", "\t ", "  \r\n"]));
        }
    }

    /// A name as JSON text: plain, or with some characters as escapes.
    fn quoted(&mut self, text: &str, out: &mut String) {
        out.push('"');
        for character in text.chars() {
            if character == '"' || character == '\\' || (character as u32) < 0x20 || self.rng.random_range(0..12) == 0 {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            } else {
                out.push(character);
            }
        }
        out.push('"');
    }

    fn object(&mut self, depth: u32, out: &mut String) {
        out.push('{');
        let count = self.rng.random_range(0..if depth == 0 { 7 } else { 4 });
        for n in 0..count {
            if n > 0 {
                out.push(',');
            }
            self.space(out);
            let name = self.pick(&NAMES);
            self.quoted(name, out);
            self.space(out);
            out.push(':');
            self.space(out);
            self.value(depth + 1, out);
            self.space(out);
        }
        out.push('}');
    }

    fn value(&mut self, depth: u32, out: &mut String) {
        match self.rng.random_range(0..if depth < 4 { 14 } else { 10 }) {
            0 => out.push_str("null"),
            1 => out.push_str(self.pick(&["true", "false"])),
            2..=4 => out.push_str(self.pick(&[
                "0",
                "-0",
                "7",
                "-12",
                "9223372036854775807",
                "-9223372036854775808",
                "9223372036854775808",
                "18446744073709551615",
                "18446744073709551616",
                "123456789012345678901234567890",
                "1.5",
                "-0.0",
                "1e3",
                "1E-7",
                "1.0",
                "0.1",
                "2.5e+10",
                "1e300",
                "3.141592653589793",
            ])),
            5..=9 => {
                let text = self.pick(&[
                    "",
                    "x",
                    "203.0.113.9",
                    "2026-11-23T08:00:00Z",
                    "grüße",
                    "😀 smile",
                    "tab\tnew\nline",
                    "\u{0}",
                    "\"q\"",
                    "back\\slash",
                    "a much longer text that does not fit into eight bytes at all, plain ASCII",
                ]);
                self.quoted(text, out);
            }
            10..=11 => self.object(depth, out),
            _ => {
                out.push('[');
                for n in 0..self.rng.random_range(0..4) {
                    if n > 0 {
                        out.push(',');
                    }
                    self.space(out);
                    self.value(depth + 1, out);
                }
                out.push(']');
            }
        }
    }

    fn event(&mut self) -> String {
        let mut text = String::new();
        self.space(&mut text);
        self.object(0, &mut text);
        self.space(&mut text);
        text
    }

    fn path(&mut self) -> String {
        let mut path = String::new();
        for n in 0..self.rng.random_range(1..4) {
            if n > 0 && self.rng.random_range(0..4) == 0 {
                path.push_str(self.pick(&["[0]", "[1]", "[-1]", "[3]", "[-2]"]));
            } else {
                let name = self.pick(&NAMES);
                path.push_str(&format!(".{}", serde_json::to_string(name).unwrap()));
            }
        }
        path
    }

    fn statement(&mut self) -> String {
        let (one, other) = (self.path(), self.path());
        match self.rng.random_range(0..33) {
            20 => format!("n = int({one}) ?? 3\n{other} = (n * 7 - 1) + n"),
            21 => format!(
                "list = [\"y\"]\nif {} {{ list = push(list, {one}) }}\n{one} = list\n{other} = length(list)",
                self.test(2)
            ),
            22 => format!("o = object({one}) ?? {{}}\n{other} = o.a\n{one} = int(o.user.b) ?? 5"),
            23 => format!(
                "second = mod(to_unix_timestamp(timestamp!(%time)), 86400)\nif second >= {} {{ {one} = {other} }}",
                self.pick(&["82800", "86000"])
            ),
            24 => format!("{one} = token({other}, \"k\", at: to_unix_timestamp(timestamp!(%time)) - 86400)"),
            25 => format!("{one} = user_agent({other})\n{other} = exists({one}.bot)"),
            26 => format!(
                "bad = {} && exists({one})\nif bad {{ {other} = bad }} else if !bad {{ del({one}) }} else {{ .a = 1 }}",
                self.test(2)
            ),
            27 => format!("found = includes([\"x\", 7, null], {one})\n{other} = found\n{one} = [1, {{\"b\": null}}]"),
            28 => format!("if {} {{ n = 1 }}\nn = \"text\"\n{one} = n", self.test(2)),
            29 => format!("if {} {{ return . }}\ndel({one})", self.test(2)),
            30 => format!("o = {{\"k\": 1}}\no.a = encode_json({one})\n{other} = o"),
            32 => format!(
                "o = object({one}) ?? {{}}\nif {} {{ o = object({other}) ?? {{}} }}\n{other} = o.a\ndel({one})\n{one} = int(o.user.ip) ?? 5\n.a = o\n.b = object(o.user) ?? {{}}",
                self.test(2)
            ),
            31 => format!("{one} = \"x\"\n{other}, failed = {one} + {other}"),
            0..=3 => format!("del({one})"),
            4 => format!("del({one}, compact: true)"),
            5 => format!("{one} = del({other})"),
            6..=7 => format!("{one} = {other}"),
            8 => format!(
                "{one} = {}",
                self.pick(&[
                    "1",
                    "\"text\"",
                    "null",
                    "{}",
                    "[]",
                    "{\"a\": {\"b\": [1, 2]}}",
                    "t'2026-11-23T08:00:00Z'",
                    "1.5"
                ])
            ),
            9 => format!("{one} = exists({other})"),
            10 => format!("if {one} == {other} {{ {one} = \"same\" }} else {{ del({other}) }}"),
            11 => format!("{one} = token({other}, \"k\")"),
            12 => format!("{one} = truncate_ip({other})"),
            13 => format!("{one} = to_string({other}) ?? \"none\""),
            14 => format!("{one} = encode_json({other})"),
            15 => format!("{one} = . "),
            16 => ". = merge(., {\"a\": 1, \"new\": true})".to_owned(),
            17 => format!(". |= {{\"b\": {other}}}"),
            18 => format!("if is_null({one}) {{ {other} = 0 }}"),
            _ => match self.rng.random_range(0..6) {
                0 => ". = map_keys(., recursive: true) -> |key| { upcase(key) }".to_owned(),
                1 => ". = compact(.)".to_owned(),
                2 => "del(.)".to_owned(),
                3 => format!("abort_if = {one}\nif abort_if == true {{ abort \"no\" }}"),
                4 => format!("{one} = length(string({other}) ?? \"\")"),
                _ => format!(". = {{\"all\": ., \"part\": {other}}}"),
            },
        }
    }
}

impl Generate {
    fn test(&mut self, depth: u32) -> String {
        let path = self.path();
        match self.rng.random_range(0..if depth < 3 { 9 } else { 5 }) {
            0 => {
                let literal =
                    self.pick(&["1", "\"x\"", "true", "null", "s'x'", "-12", "\"\"", "7", "0", "\"gr\u{fc}\u{df}e\""]);
                format!("{path} {} {literal}", self.pick(&["==", "!="]))
            }
            1 => format!("exists({path})"),
            2 => {
                let (sign, bound) = (self.pick(&["<", "<=", ">", ">="]), self.pick(&["0", "7", "-12"]));
                format!("(int({path}) ?? {}) {sign} {bound}", self.pick(&["0", "3"]))
            }
            3 => format!("{}({path})", self.pick(&["is_null", "is_string"])),
            4 => format!("{path} == true"),
            5 => format!("!({})", self.test(depth + 1)),
            6 => format!("({})", self.test(depth + 1)),
            _ => {
                let (one, other) = (self.test(depth + 1), self.test(depth + 1));
                format!("({one}) {} {other}", self.pick(&["&&", "||"]))
            }
        }
    }
}

#[test]
fn plain_conditions_give_what_vrl_gives() {
    let cases: u64 = std::env::var("HEADWATER_CASES").ok().map_or(20_000, |text| text.parse().unwrap());
    let mut generate = Generate { rng: ChaCha8Rng::seed_from_u64(3) };
    let (compiler, mut env) = (compiler(), env());
    let (mut done, mut plain, mut held) = (0, 0, 0);
    while done < cases {
        let source = generate.test(0);
        let Ok(condition) = compiler.condition(&source, &place()) else { continue };
        for _ in 0..20 {
            done += 1;
            let event = generate.event();
            let doc = Doc::new(Bytes::from(event.clone())).unwrap();
            let wanted = condition.test_in_vrl(&doc, &mut env);
            assert_eq!(condition.test(&doc, &mut env), wanted, "event: {event}\ncondition: {source}");
            plain += u64::from(condition.plain.is_some());
            held += u64::from(wanted == Ok(true));
        }
    }
    assert!(plain > cases / 4 && held > cases / 10, "{plain} of {done} plain, {held} held");
}

/// Equal but for the last bits of a float: a full parse rounds some of them less exactly.
fn same(one: &Json, other: &Json) -> bool {
    match (one, other) {
        (Json::Number(one), Json::Number(other)) => {
            let (a, b) = (one.as_f64().unwrap(), other.as_f64().unwrap());
            one == other || (a - b).abs() <= a.abs() * 1e-15
        }
        (Json::Array(one), Json::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| same(a, b))
        }
        (Json::Object(one), Json::Object(other)) => {
            one.len() == other.len() && one.iter().all(|(key, a)| other.get(key).is_some_and(|b| same(a, b)))
        }
        _ => one == other,
    }
}

#[test]
fn gives_what_a_full_parse_run_and_encode_gives() {
    let number = |name: &str, default: u64| std::env::var(name).ok().map_or(default, |text| text.parse().unwrap());
    let cases = number("HEADWATER_CASES", 1_000_000);
    let seed = number("HEADWATER_SEED", 1);
    let tried: Vec<[u64; 4]> = std::thread::scope(|scope| {
        let part = |seed: u64| scope.spawn(move || compared(seed, cases.div_ceil(PARTS)));
        let parts: Vec<_> = (seed..seed + PARTS).map(part).collect();
        parts.into_iter().map(|part| part.join().unwrap()).collect()
    });
    let sum = |at: usize| tried.iter().map(|part| part[at]).sum::<u64>();
    let [done, programs, plain, faults]: [u64; 4] = std::array::from_fn(sum);
    let counts = format!("{programs} programs, {plain} without VRL, {faults} faults in {done}");
    assert!(programs > cases / 120 && plain > programs / 10 && faults < done / 4, "{counts}");
}

/// Tries so many cases of a seed; answers the cases, the programs, those without VRL, and the faults.
fn compared(seed: u64, cases: u64) -> [u64; 4] {
    let mut generate = Generate { rng: ChaCha8Rng::seed_from_u64(seed) };
    let compiler = compiler();
    let (mut lazy_env, mut full_env) = (env(), env());
    let (mut done, mut programs, mut plain, mut faults) = (0_u64, 0_u64, 0_u64, 0_u64);
    let mut memory = crate::doc::Memory::default();
    while done < cases {
        let count = generate.rng.random_range(1..6);
        let mut source: Vec<String> = (0..count).map(|_| generate.statement()).collect();
        if generate.rng.random_range(0..4) == 0 {
            source.insert(0, format!("if {} {{ abort \"refused\" }}", generate.test(1)));
        }
        let source = source.join("\n");
        // Some do not compile: types that can be told before are refused.
        let Ok(program) = compiler.program(&source, &place()) else { continue };
        programs += 1;
        plain += u64::from(program.body.is_none());
        let timed = !programs.is_multiple_of(8);
        lazy_env.set(&meta(timed));
        full_env.set(&meta(timed));
        for _ in 0..60 {
            let event = generate.event();
            done += 1;
            let context = || format!("seed {seed}, case {done}\nevent: {event}\nprogram:\n{source}");
            let full = program.run_in_full(event.as_bytes(), &mut full_env);
            let mut doc = Doc::new_in(Bytes::from(event.clone()), memory)
                .unwrap_or_else(|fault| panic!("{fault}\n{}", context()));
            let lazy = program.run(&mut doc, &mut lazy_env).map(|()| doc.encode());
            memory = doc.into_memory();
            match (lazy, full) {
                (Ok(lazy), Ok(full)) => {
                    let lazy_value: vrl::value::Value = serde_json::from_slice(&lazy)
                        .unwrap_or_else(|error| panic!("{error}: {lazy:?}\n{}", context()));
                    let full_value: vrl::value::Value = serde_json::from_slice(&full).unwrap();
                    let (one, other) =
                        (serde_json::to_value(&lazy_value).unwrap(), serde_json::to_value(&full_value).unwrap());
                    assert!(same(&one, &other), "lazy: {one}\nfull: {other}\n{}", context());
                }
                (Err(lazy), Err(full)) => {
                    faults += 1;
                    assert_eq!(lazy, full, "{}", context());
                }
                (lazy, full) => panic!("lazy: {lazy:?}\nfull: {full:?}\n{}", context()),
            }
        }
    }
    [done, programs, plain, faults]
}

#[test]
fn refuses_what_a_full_parse_refuses() {
    let cases: u64 = std::env::var("HEADWATER_CASES").ok().map_or(20_000, |text| text.parse().unwrap());
    let mut generate = Generate { rng: ChaCha8Rng::seed_from_u64(2) };
    let mut refused = 0;
    for case in 0..cases {
        let mut event = generate.event().into_bytes();
        for _ in 0..generate.rng.random_range(1..4) {
            let at = generate.rng.random_range(0..event.len());
            const BYTES: &[u8] = b"{}[]\",:\\0-+.eEu\x01\xff\xc3 dDn9";
            let byte = BYTES[generate.rng.random_range(0..BYTES.len())];
            match generate.rng.random_range(0..4) {
                0 => drop(event.remove(at)),
                1 => event.insert(at, byte),
                2 => event.truncate(at + 1),
                _ => event[at] = byte,
            }
            if event.is_empty() {
                event.push(b'{');
            }
        }
        let full = serde_json::from_slice::<vrl::value::Value>(&event).is_ok_and(|value| value.is_object());
        let lazy = Doc::new(Bytes::from(event.clone())).is_ok();
        assert_eq!(lazy, full, "case {case}: {:?}", String::from_utf8_lossy(&event));
        refused += u64::from(!full);
    }
    assert!(refused > cases / 2);
}
