//! Records that a forecast reads: what is measured, of a cohort whose name has as many parts as it has, or a refusal.

use headwater_kernel::path::Path;
use headwater_watch::reader::Reader;

/// How many parts a cohort has; the record.
pub fn run(bytes: &[u8]) {
    let Some((parts, record)) = bytes.split_first() else { return };
    let path = |text: &str| Path::parse(text).expect("a path");
    let cohort = [("country", ".country"), ("shop", ".shop[0]")].map(|(name, text)| (name.to_owned(), path(text)));
    let cohort = cohort.into_iter().take(usize::from(parts % 3)).collect();
    let reader = Reader { time: path(".at"), cohort, value: path(".sum.net") };
    match reader.read(record) {
        Ok(measured) => {
            assert!(measured.value.is_finite());
            assert_eq!(measured.parts.len(), reader.cohort.len());
            // A slash in a part is written as something else.
            let mut named = measured.cohort.split('/');
            assert!(named.all(|part| !part.is_empty()), "{}", measured.cohort);
            assert_eq!(measured.cohort.split('/').count(), reader.cohort.len().max(1));
        }
        Err(refused) => assert!(!refused.0.is_empty()),
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    crate::texts(&[
        "\0{\"at\":\"2024-01-01T00:00:00Z\",\"sum\":{\"net\":1.5}}",
        "\u{1}{\"at\":\"2024-01-01T00:00:00+05:30\",\"country\":\"a/b%\",\"sum\":{\"net\":-0}}",
        "\u{2}{\"at\":\"2024-01-01T00:00:00Z\",\"country\":1e2,\"shop\":[true],\"sum\":{\"net\":9007199254740993}}",
    ])
}
