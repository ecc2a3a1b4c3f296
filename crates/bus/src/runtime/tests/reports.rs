//! Reports: each time once, with what a reader sees, whatever happens in between.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use headwater_base::Problem;
use headwater_kernel::port::charts::{Choice, Drawn, Ready, Wanted, Whose};
use headwater_kernel::port::outlet::Answer;
use headwater_kernel::port::picture::Scene;
use headwater_kernel::port::sql;
use headwater_kernel::port::{Bus as _, Charts, Pictures};
use headwater_testkit::FaultyDisk;
use parking_lot::Mutex;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::bench::{Bench, Outside, START};
use super::powercut::until_gone;

/// Charts that have one row, which says who asks; and pictures that show where they were taken.
#[derive(Default)]
struct Board {
    broken: Mutex<Vec<&'static str>>,
    /// What a chart answers instead of its row.
    bodies: Mutex<BTreeMap<&'static str, Bytes>>,
    scenes: Mutex<Vec<Scene>>,
    blind: bool,
}

impl Charts for Board {
    fn defaults(&self, _: &Whose) -> Result<BTreeMap<String, Vec<Value>>, Problem> {
        Err(Problem::new("HW-LAKE-071", "a report reads the dashboard itself"))
    }

    fn draw<'a>(&'a self, _: &'a Whose, chart: &'a str, choice: &'a Choice) -> BoxFuture<'a, Result<Drawn, Problem>> {
        let broken = self.broken.lock().contains(&chart);
        let instead = self.bodies.lock().get(chart).cloned();
        Box::pin(async move {
            if broken {
                return Err(Problem::new("HW-LAKE-044", "the query was stopped"));
            }
            let rows = json!({"columns": [{"name": "who"}], "rows": [[choice.reader.as_str()]]}).to_string();
            let body = futures::stream::iter([Ok(instead.unwrap_or_else(|| Bytes::from(rows)))]);
            let answer = sql::Answer { columns: Vec::new(), body: Box::pin(body) };
            Ok(Drawn { query: String::new(), grain: None, axes: 0, answer, totals: Vec::new(), before: None })
        })
    }

    fn draw_together(&self, _: &Whose, _: Vec<Wanted>) -> Result<BoxStream<'static, Ready>, Problem> {
        Err(Problem::new("HW-LAKE-071", "reports ask one chart at a time"))
    }

    fn values<'a>(
        &'a self,
        _: &'a Whose,
        _: &'a str,
        _: &'a str,
        _: &'a Choice,
    ) -> BoxFuture<'a, Result<Drawn, Problem>> {
        Box::pin(async { Err(Problem::new("HW-LAKE-071", "reports ask for no values")) })
    }
}

impl Pictures for Board {
    fn take<'a>(&'a self, scene: &'a Scene) -> BoxFuture<'a, Result<Bytes, Problem>> {
        self.scenes.lock().push(scene.clone());
        let taken = match self.blind {
            true => Err(Problem::new("HW-CONNECT-120", "there is no Chromium on this machine")),
            false => Ok(Bytes::from_static(b"png")),
        };
        Box::pin(async { taken })
    }
}

fn bench(board: Board) -> (Bench, Arc<Board>) {
    over(Bench::new(), board)
}

fn over(bench: Bench, board: Board) -> (Bench, Arc<Board>) {
    let board = Arc::new(board);
    let site = "https://data.example.com".parse().unwrap();
    bench.buses.serve_charts(board.clone(), Some(board.clone()), site);
    let charts = json!([{"id": "total", "title": "Total"}, {"id": "course"}]);
    bench.put_resource("Dashboard", "sales", json!({"title": "Sales", "charts": charts}));
    (bench, board)
}

fn spec(more: Value) -> Value {
    let mut spec = json!({"dashboard": "sales", "schedule": "cron(0 7 * * ? *)", "timezone": "Europe/Zurich", "to": [{"destination": "out"}]});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

fn subjects(bench: &Bench) -> Vec<Value> {
    bench.outside.came.lock().iter().map(|(_, report)| report["subject"].clone()).collect()
}

#[test]
fn a_report_is_sent_when_it_is_due_as_its_reader_sees_it() {
    let (bench, board) = bench(Board::default());
    let unit = bench.start("Report", "daily", spec(json!({"principal": "asha"})));
    assert_eq!(unit.status().message, "next 2026-01-01T06:00:00Z, last never; 0 sent, 0 wait, 0 dead letters");
    bench.until_ticking(Duration::from_secs(60), "two of them", || bench.outside.came.lock().len() >= 2);
    assert_eq!(subjects(&bench), ["Sales: 2026-01-01 07:00", "Sales: 2026-01-02 07:00"]);
    let (key, report) = bench.outside.came.lock()[0].clone();
    assert_eq!(key, "report-post.daily.0.daily.reports-0-0");
    assert_eq!(report["charts"][0]["rows"], json!([["asha"]]));
    assert_eq!((&report["picture"]["data"], &report["principal"]), (&json!("cG5n"), &json!("asha")));
    assert_eq!(report["link"], "https://data.example.com/console/dashboards/sales?t=all");
    assert!(board.scenes.lock()[0].path.contains("&as=asha&charts=total,course"), "{:?}", board.scenes.lock());
    let seen = bench.read("daily.reports").remove(0);
    assert_eq!((seen.headers["ce_source"].as_str(), seen.headers["ce_type"].as_str()), ("headwater.report", "Report"));
    assert_eq!((seen.headers["ce_time"].as_str(), &seen.value), ("2026-01-01T06:00:00Z", &report));
    bench.until("both are counted", || bench.figure("report-post/daily", "delivered_total") == 2);
    let told = unit.status().message;
    assert!(told.ends_with("last 2026-01-02T06:00:00Z; 2 sent, 0 wait, 0 dead letters"), "{told}");
    bench.stop(&unit);
}

#[test]
fn a_server_that_is_down_gets_the_same_report_once_it_is_up_and_a_restart_sends_none_twice() {
    let (bench, _) = bench(Board { blind: true, ..Board::default() });
    bench.outside.answer(vec![
        Outside::refuse(503, true),
        Outside::refuse(503, true),
        Outside::refuse(503, true),
        Ok(Answer::default()),
    ]);
    let unit = bench.start("Report", "daily", spec(json!({})));
    bench.until_ticking(Duration::from_secs(60), "the first try", || !bench.outside.came.lock().is_empty());
    bench.until("it is told", || unit.status().message.ends_with("last error: answered 503"));
    assert_eq!(unit.status().reason, "Failing");
    bench.stop(&unit);
    let unit = bench.start("Report", "daily", spec(json!({})));
    bench.until_ticking(Duration::from_secs(1), "it is there", || {
        bench.figure("report-post/daily", "delivered_total") == 1
    });
    let came = bench.outside.came.lock().clone();
    assert!(came.len() == 4 && came.iter().all(|one| *one == came[0]), "{came:#?}");
    assert!(came[0].1["text"].as_str().unwrap().contains("Without a picture: there is no Chromium"), "{came:#?}");
    assert_eq!(unit.status().reason, "Running");
    bench.stop(&unit);
    let unit = bench.start("Report", "daily", spec(json!({})));
    bench.until_ticking(Duration::from_secs(60), "the next day", || bench.outside.came.lock().len() == 5);
    assert_eq!(subjects(&bench)[3..], ["Sales: 2026-01-01 07:00", "Sales: 2026-01-02 07:00"]);
    bench.stop(&unit);
}

#[test]
fn a_chart_that_cannot_be_drawn_is_waited_for_and_then_left_out() {
    let (bench, board) = bench(Board::default());
    board.broken.lock().push("course");
    let unit = bench.start("Report", "daily", spec(json!({"picture": false})));
    bench.until_ticking(Duration::from_secs(60), "it goes without", || bench.outside.came.lock().len() == 1);
    let report = bench.outside.came.lock()[0].1.clone();
    assert_eq!(report["charts"][1]["note"], "Not drawn: HW-LAKE-044: the query was stopped");
    assert_eq!((bench.figure("report/daily", "retries_total"), report.get("picture")), (2, None));
    assert!(board.scenes.lock().is_empty());
    // Without any chart there is no report.
    board.broken.lock().push("total");
    bench.until_ticking(Duration::from_secs(60), "the next is tried", || {
        bench.figure("report/daily", "retries_total") > 8
    });
    assert_eq!((bench.outside.came.lock().len(), unit.status().reason.as_str()), (1, "Failing"));
    board.broken.lock().clear();
    bench.until_ticking(Duration::from_secs(60), "it is made", || bench.outside.came.lock().len() >= 2);
    assert_eq!(subjects(&bench)[1], "Sales: 2026-01-02 07:00");
    bench.stop(&unit);
}

#[test]
fn rows_that_break_off_or_are_too_many_are_those_of_a_chart_that_cannot_be_drawn() {
    let bodies = [
        (Bytes::from_static(b"{\"columns\": ["), "the chart's rows cannot be read"),
        (Bytes::from(vec![b' '; (16 << 20) + 1]), "the chart has more than 16777216 bytes of rows"),
    ];
    for (body, why) in bodies {
        // Each has a bench of its own: days go by while a report is on its way, and the next one is drawn by then.
        let (bench, board) = bench(Board::default());
        board.bodies.lock().insert("course", body);
        let unit = bench.start("Report", "daily", spec(json!({"picture": false})));
        bench.until_ticking(Duration::from_secs(60), "it goes without", || !bench.outside.came.lock().is_empty());
        let report = bench.outside.came.lock()[0].1.clone();
        assert_eq!(report["charts"][1]["note"], format!("Not drawn: HW-BUS-061: {why}"));
        bench.stop(&unit);
    }
}

#[test]
fn what_is_sent_can_be_shaped_for_each_destination() {
    let (bench, _) = bench(Board::default());
    let slack = json!({"template": "{\"text\": <subject>}", "variables": {"subject": "$.detail.subject"}});
    let to = json!([{"destination": "out", "input": slack}]);
    let unit = bench.start("Report", "daily", spec(json!({ "to": to })));
    bench.until_ticking(Duration::from_secs(60), "it comes", || !bench.outside.came.lock().is_empty());
    assert_eq!(bench.outside.came.lock()[0].1, json!({"text": "Sales: 2026-01-01 07:00"}));
    bench.stop(&unit);
}

#[test]
fn a_report_can_be_had_at_once_and_its_times_go_on() {
    let (bench, _) = bench(Board::default());
    let unit = bench.start("Report", "daily", spec(json!({})));
    let due = bench.buses.run_now("report", "daily").unwrap();
    assert_eq!(due, START);
    bench.until("it is there", || bench.outside.came.lock().len() == 1);
    bench.until_ticking(Duration::from_secs(60), "the next as well", || bench.outside.came.lock().len() == 2);
    assert_eq!(subjects(&bench), ["Sales: 2026-01-01 01:00", "Sales: 2026-01-01 07:00"]);
    bench.stop(&unit);
    assert_eq!(bench.buses.run_now("report", "daily").unwrap_err().code, "HW-BUS-062");
}

#[test]
fn a_power_cut_at_any_moment_loses_and_doubles_no_report() {
    // The scheduler naps for a quarter of a second at most, in which less than an hour passes.
    let tick = Duration::from_secs(20);
    let hourly = || spec(json!({"schedule": "rate(1 hours)"}));
    let key = |number: usize| format!("report-post.hourly.0.hourly.reports-0-{number}");
    for seed in 0..3_u64 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let disk = FaultyDisk::default();
        let mut came = BTreeSet::new();
        let mut passed = Duration::ZERO;
        for cut in 0..4 {
            let (bench, _) = over(Bench::on(&disk), Board::default());
            bench.clock.advance(passed);
            let unit = bench.start("Report", "hourly", hourly());
            if cut < 3 {
                disk.cut_after(rng.random_range(2..30));
                bench.until_ticking(tick, "the power goes", || disk.is_off());
            } else {
                let before = bench.read("hourly.reports").len();
                let (made, sent) = ("report/hourly", "report-post/hourly");
                bench.until_ticking(tick, "another", || bench.read("hourly.reports").len() > before);
                // Figures are of a moment ago: what was made just now is in none of them yet.
                bench.until("all is there", || {
                    let idle = |id: &str| bench.figure(id, "pending_deliveries") == 0;
                    let mut keys = (0..bench.read("hourly.reports").len()).map(key);
                    let here = bench.outside.came.lock().clone();
                    let has = |key: String| {
                        came.iter().any(|(came, _)| *came == key) || here.iter().any(|(came, _)| *came == key)
                    };
                    idle(made) && idle(sent) && keys.all(has)
                });
            }
            passed = headwater_base::Clock::now(&*bench.clock).since(START);
            bench.stop(&unit);
            came.extend(bench.outside.came.lock().iter().map(|(key, report)| (key.clone(), report["due"].to_string())));
            if cut == 3 {
                let made: Vec<String> =
                    bench.read("hourly.reports").iter().map(|seen| seen.value["due"].to_string()).collect();
                let hours = (1..=made.len() as u64)
                    .map(|hour| json!(START.plus(Duration::from_secs(hour * 3_600)).to_string()));
                assert_eq!(made, hours.map(|hour| hour.to_string()).collect::<Vec<_>>(), "seed {seed}: each hour once");
                let owed = made.into_iter().enumerate();
                let owed = owed.map(|(number, due)| (key(number), due));
                assert_eq!(
                    came,
                    owed.collect::<BTreeSet<_>>(),
                    "seed {seed}: each at least once, always under its key"
                );
                assert!(bench.read("hourly.dead").is_empty());
            }
            let log = Arc::downgrade(&bench.log);
            drop((unit, bench));
            until_gone(&log);
            disk.power_on(seed * 10 + cut);
        }
    }
}
