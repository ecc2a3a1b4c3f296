//! VRL programs over any event: the lazy way says what the whole way says, and neither ends the process.

use std::cell::RefCell;

use bytes::Bytes;
use headwater_base::Place;
use headwater_flow::doc::Doc;
use headwater_flow::program::{Compiler, Env, Program};

const SOURCE: &str = r#"
.agent = user_agent(string(.agent) ?? "")
.ip = truncate_ip(string(.ip) ?? "")
.at = parse_timestamp(string(.at) ?? "", format: "%+") ?? null
del(.drop)
if exists(.a.b) { .n = to_int(.a.b) ?? -1 }
.list = push(array(.list) ?? [], .c)
"#;

thread_local! {
    static PROGRAM: (Program, RefCell<Env>) = {
        let place = Place { path: "fuzz".to_owned(), line: 1, column: 1 };
        let program = Compiler::for_check().program(SOURCE, &place).unwrap_or_else(|problem| panic!("{problem}"));
        (program, RefCell::new(Env::new()))
    };
}

pub fn run(bytes: &[u8]) {
    PROGRAM.with(|(program, env)| {
        let env = &mut *env.borrow_mut();
        let Ok(mut doc) = Doc::new(Bytes::copy_from_slice(bytes)) else { return };
        let lazy = program.run(&mut doc, env).map(|()| doc.encode());
        let whole = program.run_in_full(bytes, env);
        assert_eq!(lazy.is_ok(), whole.is_ok(), "{lazy:?} {whole:?}");
        if let (Ok(lazy), Ok(whole)) = (lazy, whole) {
            let parse = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).expect("it is JSON");
            assert_eq!(parse(&lazy), parse(&whole));
        }
    });
}

pub fn seeds() -> Vec<Vec<u8>> {
    crate::texts(&[
        r#"{"agent":"Mozilla/5.0 (Windows NT 10.0; Win64) Chrome/120.0 Safari/537.36","ip":"203.0.113.7","at":"2026-01-01T00:00:00Z"}"#,
        r#"{"ip":"2001:db8::1","drop":[1],"a":{"b":"12"},"list":[1,2],"c":{"d":null}}"#,
    ])
}
