use headwater_base::Limits;
use headwater_kernel::Registry;
use headwater_kernel::kind::{ApplyOptions, View};
use headwater_kernel::port::Context;
use headwater_kernel::resource::{Draft, Resource};
use serde_json::json;

use super::{EXAMPLE, ForecastSpec, KIND};

fn draft(yaml: &str) -> Draft {
    let mut drafts = Registry::new(&[KIND]).read("test.yaml", yaml.as_bytes(), &Limits::default()).unwrap();
    drafts.remove(0)
}

/// The faults of a spec that differs from the example: line and title.
fn faults(from: &str, to: &str) -> Vec<String> {
    let registry = Registry::new(&[KIND]);
    let view = View {
        registry: &registry,
        context: &Context::without_node("."),
        drafts: &std::collections::HashMap::new(),
        stored: &|_, _| None,
    };
    let draft = draft(&EXAMPLE.replace(from, to));
    (KIND.validate)(&draft, &view)
        .into_iter()
        .map(|problem| format!("{}: {}", problem.place.unwrap().line, problem.title))
        .collect()
}

#[test]
fn a_spec_has_defaults_that_follow_from_its_interval_and_seasons() {
    let spec: ForecastSpec = serde_json::from_value(json!({
        "stream": "s", "time": ".t", "value": ".v", "interval": "30m"
    }))
    .unwrap();
    let (shape, _) = spec.plan(&Limits::default()).unwrap();
    assert_eq!((shape.seasons.as_slice(), shape.cycles, shape.horizon), ([48, 336].as_slice(), 8, 48));
    assert_eq!((shape.width, shape.sustain, shape.tolerance), (2.0, 2, 0.0));
}

#[test]
fn each_fault_is_told_with_its_line() {
    assert_eq!(faults("", ""), [""; 0]);
    for (from, to, fault) in [
        ("[1d, 7d]", "[1d, 90m]", "11: a season of 90m is not two or more whole intervals of 1h"),
        ("8w", "2w", "12: `history` is less than 3 of the longest season, or not whole intervals"),
        (
            "horizon: 1d",
            "horizon: 8d",
            "13: `horizon` has to be whole intervals, one at least and the longest season at most",
        ),
        (".measures.channel", ".country", "8: `.country` gives a part of a cohort no name of its own"),
        (
            "seasons: [1d, 7d]\n  history: 8w",
            "seasons: [1d]\n  history: 4d",
            "12: `history` is too short for a band: it needs 30 errors around each moment of the shortest season",
        ),
        ("interval: 1h", "interval: 1m", "10: a cohort would have 82080 intervals of history; the limit is 50000"),
        (
            "  missing: zero\n",
            "  cohorts: 9000\n",
            "15: 9000 cohorts would have 12312000 intervals of history; the limit is 8000000",
        ),
        (
            "  missing: zero\n",
            "  holidays: {days: [{date: 2026-13-25, name: soon}]}\n",
            "15: `2026-13-25` is no date such as `2026-12-25`",
        ),
        ("  missing: zero\n", "  holidays: {zone: Mars}\n", "15: there is no time zone `Mars`"),
        (
            "  missing: zero\n",
            "  deadLetters: sales.verdicts\n",
            "6: the stream, its forecasts, verdicts and dead letters have to be four different streams",
        ),
    ] {
        assert!(faults(from, to).contains(&fault.to_owned()), "{to}: {:?}", faults(from, to));
    }
}

#[test]
fn what_the_kept_series_were_made_by_cannot_change() {
    let stored = draft(EXAMPLE);
    let stored: Resource = serde_json::from_value(json!({
        "apiVersion": "headwater.dev/v1", "kind": "Forecast",
        "metadata": {"name": stored.name}, "spec": stored.spec, "effective": (KIND.effective)(&stored.spec, None),
    }))
    .unwrap();
    let changed = |from: &str, to: &str, reset_state: bool| {
        let options = ApplyOptions { reset_state, ..ApplyOptions::default() };
        (KIND.change)(&stored, &draft(&EXAMPLE.replace(from, to)), &options).len()
    };
    assert_eq!(changed("", "", false), 0);
    assert_eq!(changed("side: below", "side: both", false), 0);
    assert_eq!(changed("  missing: zero\n", "  width: 3\n", false), 0);
    assert_eq!(changed("  missing: zero\n", "  holidays: {days: [{date: 2026-12-25}]}\n", false), 0);
    assert_eq!(changed("interval: 1h", "interval: 2h", false), 1);
    assert_eq!(changed("interval: 1h", "interval: 2h", true), 0);
    assert_eq!(changed(".measures.amount", ".amount", false), 1);
}
