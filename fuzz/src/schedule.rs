//! Schedule expressions and time zones: what is read is due at times that go on, or never again.

use headwater_base::Micros;
use headwater_kernel::schedule::{self, Dialect, Expression};

/// Zones whose clocks did what clocks rarely do: half an hour, a midnight, a whole day.
const ZONES: [&str; 5] = ["UTC", "Europe/Zurich", "Pacific/Apia", "America/Sao_Paulo", "Australia/Lord_Howe"];
/// 2011-12-29, a day before the one that Apia left out.
const FROM: Micros = Micros(1_325_116_800_000_000);

/// A byte for the zone; the expression.
pub fn run(bytes: &[u8]) {
    let Some((zone, text)) = bytes.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let _ = schedule::zone(text);
    let zone = schedule::zone(ZONES[usize::from(*zone) % ZONES.len()]).expect("a zone");
    for dialect in [Dialect::Rule, Dialect::Schedule] {
        let Ok(expression) = Expression::parse(text, dialect) else { continue };
        // What a bus keeps of the last time may be anything.
        for after in [Micros(i64::MIN), Micros(i64::MAX)] {
            assert!(expression.next(zone, FROM, after).is_none_or(|next| next > after));
        }
        let mut after = FROM;
        for _ in 0..10 {
            let Some(next) = expression.next(zone, FROM, after) else { break };
            assert!(next > after, "{next} after {after}");
            after = next;
        }
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    crate::texts(&[
        "\0rate(5 minutes)",
        "\0rate(1 day)",
        "\u{1}cron(0/15 18 ? * MON-FRI *)",
        "\u{2}cron(30 0 L,15W * ? 2011-2199)",
        "\u{3}cron(0 0 ? 10,2 6#3,1L *)",
        "\u{4}cron(0 2 LW NOV-JAN ? *)",
        "\u{2}at(2026-12-24T18:00:00)",
    ])
}
