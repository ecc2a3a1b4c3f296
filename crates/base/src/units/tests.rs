use super::*;

#[test]
fn spans_and_sizes_read_and_show_what_people_write() {
    for (text, millis, shown) in [
        ("250ms", 250, "250ms"),
        ("30s", 30_000, "30s"),
        ("90s", 90_000, "90s"),
        ("7d", 604_800_000, "1w"),
        ("0s", 0, "0ms"),
    ] {
        let span = Span::try_from(text.to_owned()).unwrap();
        assert_eq!((span.millis(), span.to_string().as_str()), (millis, shown), "{text}");
    }
    for (text, bytes, shown) in [("512KiB", 524_288, "512KiB"), ("10GB", 10_000_000_000, "10GB"), ("7B", 7, "7B")] {
        let size = Size::try_from(text.to_owned()).unwrap();
        assert_eq!((size.bytes(), size.to_string().as_str()), (bytes, shown), "{text}");
    }
}

#[test]
fn what_is_no_span_or_size_is_refused_with_the_forms() {
    for text in ["", "10", "s", "1.5s", "-1s", "10 s", "10S", "99999999999999999999s", "18446744073709551615w", "é"] {
        let problem = Span::try_from(text.to_owned()).unwrap_err();
        assert!(problem.contains("`30s`"), "{text}: {problem}");
    }
    for text in ["", "10", "10kb", "1.5GB", "GB", "18446744073709551615TiB"] {
        let problem = Size::try_from(text.to_owned()).unwrap_err();
        assert!(problem.contains("`64MiB`"), "{text}: {problem}");
    }
}
