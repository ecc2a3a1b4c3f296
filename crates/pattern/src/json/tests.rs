use super::*;

fn content(text: &str) -> Result<String, Broken> {
    let raw = Scanner::new(text.as_bytes()).string()?;
    let mut out = Vec::new();
    unescape(raw, &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn strings() {
    assert_eq!(content(r#""""#).unwrap(), "");
    assert_eq!(content(r#""0123456\"89abcdef\\""#).unwrap(), r#"0123456"89abcdef\"#);
    assert_eq!(content(r#""\u00e9\ud83d\ude80\n\/""#).unwrap(), "é🚀\n/");
    assert_eq!(content(r#""\ud83d x \ude80""#).unwrap(), "\u{FFFD} x \u{FFFD}");
    for text in [r#""abc"#, r#""abcdefgh\"#, r#""abcdefg\""#, r#""\x""#, r#""\u12""#, r#""\u12g4""#] {
        assert!(content(text).is_err(), "{text}");
    }
}

#[test]
fn closing_quote_is_found_at_every_distance() {
    for length in 0..40 {
        for backslash in 0..length {
            let mut inside = "x".repeat(length);
            inside.replace_range(backslash..=backslash, "\\\"");
            let text = format!("\"{inside}\",\"");
            let mut scanner = Scanner::new(text.as_bytes());
            let found = scanner.string().unwrap();
            assert_eq!((found.raw, found.escaped), (inside.as_bytes(), true));
            assert_eq!(scanner.peek(), Some(b','));
        }
    }
}

#[test]
fn skips_what_is_balanced_at_any_depth() {
    let deep = format!("{}\"]}}\"{}", "[{\"a\":".repeat(100_000), "}]".repeat(100_000));
    let mut scanner = Scanner::new(deep.as_bytes());
    scanner.skip().unwrap();
    assert!(scanner.end().is_ok());
    assert!(Scanner::new(b"[[1]").skip().is_err());
    assert!(Scanner::new(b"{\"a\":\"").skip().is_err());
    assert!(Scanner::new(b"nul").skip().is_err());
}

#[test]
fn strict_agrees_with_serde_json() {
    for text in [
        "1",
        "-0.5e+3",
        "\"a\"",
        "[]",
        "{}",
        "[1, 2 ,\n3]",
        r#"{"a": {"b": [true, false, null]}}"#,
        r#""\u00e9""#, // valid
        "",
        "01",
        "[1,]",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "[1 2]",
        "tru",
        "\"\t\"",
        "1 1",
        "]",
        "{\"a\":1]",
        "\"\\q\"",
    ] {
        assert_eq!(is_value(text.as_bytes()), serde_json::from_str::<serde_json::Value>(text).is_ok(), "{text}");
    }
    assert!(!is_value("[".repeat(10_000).as_bytes()));
}
