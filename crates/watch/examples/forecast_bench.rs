//! What forecasting costs: records of many cohorts through the core, one thread, nothing written.
//! `cargo run --release -p headwater-watch --example forecast_bench [cohorts] [days]`

#![allow(clippy::print_stdout, reason = "a measurement says what it measured")]

use std::sync::Arc;
use std::time::Instant;

use headwater_base::Micros;
use headwater_kernel::path::Path;
use headwater_watch::cohorts::{Cohorts, Taken};
use headwater_watch::holidays::Holidays;
use headwater_watch::reader::{Reader, Refused};
use headwater_watch::shape::{Missing, Shape, Side};
use headwater_watch::state;

const HOUR: i64 = 3_600_000_000;

fn main() -> Result<(), Refused> {
    let mut numbers = std::env::args().skip(1).filter_map(|text| text.parse::<i64>().ok());
    let (cohorts, days) = (numbers.next().unwrap_or(200), numbers.next().unwrap_or(70));
    let path = |text: &str| Path::parse(text).map_err(Refused);
    let reader = Reader { time: path(".t")?, cohort: vec![("who".to_owned(), path(".who")?)], value: path(".v")? };
    let shape = Shape {
        interval_micros: HOUR,
        seasons: vec![24, 168],
        cycles: 8,
        horizon: 24,
        width: 2.0,
        tolerance: 0.0,
        sustain: 2,
        side: Side::Both,
        missing: Missing::Unknown,
        holidays: Holidays::default(),
    };
    let mut core = Cohorts::new(Arc::new(shape), reader, usize::MAX);
    let (mut told, mut deltas, mut seed) = (0, 0, 1_u64);
    let (warm, all) = (days / 2 * 24, days * 24);
    let mut begun = Instant::now();
    for hour in 0..all {
        if hour == warm {
            begun = Instant::now();
        }
        for cohort in 0..cohorts {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let value = 100 + hour % 24 * 10 + i64::try_from(seed >> 60).unwrap_or(0);
            let record = format!(r#"{{"t":"{}","who":"c{cohort}","v":{value}}}"#, Micros(hour * HOUR));
            while core.take(0, record.as_bytes(), Micros::MAX)? == Taken::More {
                told += core.told().len();
                let changed = core.drain();
                deltas += state::encode(&core, &changed).len();
            }
            if core.is_full() {
                told += core.told().len();
                let changed = core.drain();
                deltas += state::encode(&core, &changed).len();
            }
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = ((all - warm) * cohorts) as f64 / begun.elapsed().as_secs_f64();
    println!(
        "{cohorts} cohorts, {days} days: {rate:.0} values/s with full histories; {told} told, {deltas} changes of state"
    );
    Ok(())
}
