//! VRL that anybody may write, over any event: refused with its place, or compiled; then the lazy way says what the
//! whole way says.

use std::cell::RefCell;

use bytes::Bytes;
use headwater_base::Place;
use headwater_flow::doc::Doc;
use headwater_flow::program::{Compiler, Env};
use serde_json::Value;

thread_local! {
    static COMPILER: (Compiler, RefCell<Env>) = (Compiler::for_check(), RefCell::new(Env::new()));
}

/// A program, a zero byte, an event. The compiler and its functions are somebody else's and may panic, which is caught.
pub fn run(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let source = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let event = parts.next().unwrap_or(b"{}");
    crate::quietly(|| COMPILER.with(|(compiler, env)| compare(compiler, &mut env.borrow_mut(), &source, event)));
}

fn compare(compiler: &Compiler, env: &mut Env, source: &str, event: &[u8]) {
    let place = Place { path: "fuzz".to_owned(), line: 1, column: 1 };
    let _ = compiler.condition(source, &place);
    let program = match compiler.program(source, &place) {
        Ok(program) => program,
        Err(problem) => {
            assert!(problem.place.is_some(), "{problem}");
            return;
        }
    };
    let Ok(mut doc) = Doc::new(Bytes::copy_from_slice(event)) else { return };
    let lazy = program.run(&mut doc, env).map(|()| doc.encode());
    let whole = program.run_in_full(event, env);
    assert_eq!(lazy.is_ok(), whole.is_ok(), "{lazy:?} {whole:?}");
    if let (Ok(lazy), Ok(whole)) = (lazy, whole) {
        let parse = |text: &[u8]| serde_json::from_slice::<Value>(text).expect("it is JSON");
        assert_eq!(parse(&lazy), parse(&whole));
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    crate::texts(&[
        ".a = .b.c ?? 1\ndel(.d)\0{\"b\":{\"c\":[1,{}]},\"d\":null}",
        "if exists(.a) { abort }\n.n, err = .n + 1\nif err != null { .n = 0 }\0{\"n\":\"x\"}",
        ".list = map_values(array!(.list)) -> |v| { to_string(v) ?? \"\" }\0{\"list\":[1,\"a\",null]}",
        ". = merge(., {\"t\": parse_timestamp!(\"2026-01-01\", \"%F\")})\nif .x == r'a\\'b' { .x = s'q' }\0{\"x\":\"q\"}",
        ".a[1].\"b c\" = {\"k\": [.a, %stream]} # and so on\0{\"a\":[0]}",
    ])
}
