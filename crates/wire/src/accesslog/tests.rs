use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

fn check(line: &str, expected: Expect) {
    let text = match combined(line.as_bytes()) {
        Ok(json) => json,
        Err(fault) => fault.to_string(),
    };
    expected.assert_eq(&text);
}

#[test]
fn a_line_of_apache_and_nginx() {
    check(
        "83.149.9.216 - frank [17/May/2015:10:05:03 +0200] \"GET /a?b=c HTTP/1.1\" 200 203 \"http://x/\" \"Mozilla/5.0 (X11)\"\r\n",
        expect![[
            r#"{"remote_addr":"83.149.9.216","ident":null,"user":"frank","time":"2015-05-17T08:05:03Z","method":"GET","path":"/a?b=c","protocol":"HTTP/1.1","status":200,"bytes":203,"referer":"http://x/","user_agent":"Mozilla/5.0 (X11)"}"#
        ]],
    );
}

#[test]
fn the_common_format_ends_after_the_bytes() {
    check(
        r#"h - - [17/May/2015:10:05:03 +0000] "HEAD / HTTP/1.0" 304 -"#,
        expect![[
            r#"{"remote_addr":"h","ident":null,"user":null,"time":"2015-05-17T10:05:03Z","method":"HEAD","path":"/","protocol":"HTTP/1.0","status":304,"bytes":0,"referer":null,"user_agent":null}"#
        ]],
    );
}

#[test]
fn escapes_are_undone_and_fields_behind_the_agent_ignored() {
    check(
        r#"h - - [17/May/2015:10:05:03 +0000] "GET /\x22q\" HTTP/1.0" 200 1 "-" "say \"hi\" \\ \xc3\xa9 \xzz" 0.003"#,
        expect![[
            r#"{"remote_addr":"h","ident":null,"user":null,"time":"2015-05-17T10:05:03Z","method":"GET","path":"/\"q\"","protocol":"HTTP/1.0","status":200,"bytes":1,"referer":null,"user_agent":"say \"hi\" \\ é \\xzz"}"#
        ]],
    );
}

#[test]
fn a_request_that_is_none_is_kept_as_it_came() {
    check(
        r#"h - - [17/May/2015:10:05:03 +0000] "\x16\x03\x01" 400 226 "-" "-""#,
        expect![[
            r#"{"remote_addr":"h","ident":null,"user":null,"time":"2015-05-17T10:05:03Z","method":null,"path":null,"protocol":null,"request":"\u0016\u0003\u0001","status":400,"bytes":226,"referer":null,"user_agent":null}"#
        ]],
    );
}

#[test]
fn faults_say_where() {
    let line = r#"h - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.0" 200 235 "-" "Mozilla/5.0 (compat"#;
    check(line, expect!["at byte `84`: the line is cut off inside quotes"]);
    check(&line[..51], expect!["at byte `51`: the line is cut off"]);
    check("", expect!["at byte `0`: the client's address"]);
    check(
        "h - - [99/May/2015:10:05:03 +0000] ",
        expect!["at byte `6`: expected a time such as `[17/May/2015:10:05:03 +0000]`"],
    );
    check(
        r#"h - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.0" OK 1"#,
        expect!["at byte `52`: a status of three digits"],
    );
}

proptest! {
    #[test]
    fn any_bytes_get_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = combined(&bytes);
    }

    #[test]
    fn a_cut_off_line_is_a_fault_or_the_common_format(keep in 0usize..90, tail in "[\"\\\\ -~]{0,9}") {
        let line = format!("h - - [17/May/2015:10:05:03 +0000] \"GET /\\\" HTTP/1.0\" 200 235 \"-\" \"Mozilla \\\"5.0\"{tail}");
        let answer = combined(&line.as_bytes()[..keep.min(line.len())]);
        prop_assert!(answer.is_err() || keep >= 58);
    }
}
