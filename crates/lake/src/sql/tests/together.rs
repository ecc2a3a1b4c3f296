//! Statements and charts that are asked together: each is answered as it is alone.

use bytes::Bytes;
use futures::FutureExt as _;
use headwater_kernel::port::Charts as _;
use headwater_kernel::port::charts::{Choice, Drawn, Wanted, Whose, Window};
use headwater_kernel::port::sql::Via;

use super::queries::none;
use super::*;
use crate::Dashboards;
use crate::sql::shared::{Statement, begin};

/// Nothing is answered by what was answered before.
fn forgetful() -> Limits {
    Limits { sql_cache_bytes: 0, ..Limits::default() }
}

/// Of orders asha sees those of the kind `even`; lea does not know that there are any.
const POLICIES: &str = "\
apiVersion: headwater.dev/v1
kind: RowPolicy
metadata: {name: even}
spec:
  principals: [asha]
  relations: [orders]
  filter: kind = 'even'
---
apiVersion: headwater.dev/v1
kind: RowPolicy
metadata: {name: records}
spec:
  principals: [asha, lea]
  relations: ['streams.\"orders.raw\"']
  filter: partition = 0
";

const SOURCES: [&str; 9] = [
    "FROM orders",
    "FROM orders WHERE kind = 'even' AND n > 3",
    "FROM (SELECT *, n % 3 AS part FROM orders) AS source WHERE part <> 1",
    "FROM (SELECT o.n, k.kind FROM orders o LEFT JOIN orders k ON k.n = o.n + 1) AS source WHERE n < 40",
    r#"FROM (SELECT CAST(value->>'n' AS bigint) AS n, value->>'kind' AS kind FROM streams."orders.raw") AS source"#,
    "FROM (SELECT n, kind FROM orders UNION ALL SELECT n, kind FROM orders WHERE n > 5) AS source",
    // Its columns have other types once the engine has looked closer.
    "FROM (SELECT n, kind FROM orders UNION ALL SELECT CAST(n AS double), kind FROM orders) AS source",
    "FROM (SELECT kind, max(n) AS n FROM orders GROUP BY kind, n % 7) AS source WHERE n IN (SELECT n FROM orders)",
    "FROM (SELECT value AS n, 'even' AS kind FROM generate_series(1, 50)) AS source",
];

/// What charts make of rows, and things that they should not.
const HEADS: [(&str, &str); 11] = [
    ("count(*) AS c", "LIMIT 10"),
    ("kind AS kind, count(*) AS c, sum(n) AS s", "GROUP BY 1 ORDER BY 1 LIMIT 10"),
    ("n % 5 AS m, avg(n) AS a", "GROUP BY 1 ORDER BY 2 DESC NULLS LAST, 1 LIMIT 3"),
    ("n AS n, kind AS kind", "ORDER BY 1, 2 LIMIT 7"),
    ("count(DISTINCT kind) AS d, min(n) AS l, max(kind) AS k", "LIMIT 1"),
    ("kind AS kind, sum(count(*)) OVER (ORDER BY kind) AS r", "GROUP BY 1 ORDER BY 1 LIMIT 10"),
    ("'x' AS x", "ORDER BY 1 LIMIT 2"),
    ("kind AS kind", "LIMIT 0"),
    ("(SELECT max(n) FROM orders) AS top, count(*) AS c", "LIMIT 1"),
    ("sum(1 / (n - 4)) AS x", "LIMIT 1"),
    ("sum(nothing) AS x", "LIMIT 1"),
];

fn over(source: &str) -> Vec<String> {
    HEADS.iter().map(|(columns, end)| format!("SELECT {columns}\n{source}\n{end}")).collect()
}

fn who(name: &str) -> Principal {
    Principal::new(name).unwrap()
}

impl House {
    /// Appends so many orders.
    fn fill(&self, orders: i64) {
        for from in (0..orders).step_by(1_000) {
            self.append(from, from + 1_000);
        }
    }

    fn together(&self, who: &Principal, texts: &[String]) -> Vec<Result<String, Problem>> {
        self.together_as(Question { principal: who.clone(), via: Via::Chart, ..Question::default() }, texts)
    }

    /// The same where `of` says all of the statements but the texts.
    fn together_as(&self, of: Question, texts: &[String]) -> Vec<Result<String, Problem>> {
        self.runtime.block_on(async {
            let answers = self.engine.ask_together(texts.to_vec(), of).await.unwrap();
            let read = answers.into_iter().map(|answer| async {
                let body: Vec<Bytes> = answer.await?.body.try_collect().await?;
                Ok(String::from_utf8(body.concat()).unwrap())
            });
            futures::future::join_all(read).await
        })
    }

    /// How many of these statements need no rows, share them, and read their own.
    fn counts(&self, texts: &[String]) -> [usize; 3] {
        self.runtime.block_on(async {
            let seat = self.engine.seat().await.unwrap();
            let running = self.engine.running().await.unwrap();
            let statements = texts.iter().map(|text| {
                let question = Question { text: text.clone(), ..Question::default() };
                let turn = self.engine.seated(&seat, asked(&question));
                let (reply, _) = reply(question.format);
                Statement { question, turn, reply }
            });
            let statements = statements.collect();
            let (inner, context) = (&self.engine.0, running.context(&Principal::default()).unwrap());
            begin(inner, &context.state(), statements, inner.deadline()).await.counts()
        })
    }
}

/// Whatever is asked, by whomever, of whatever: rows and problems are those of the statement alone.
#[test]
fn statements_are_answered_together_as_each_alone() {
    let house = House::new(forgetful());
    house.append(0, 60);
    house.runtime.block_on(apply(&house.kernel, POLICIES));
    let outcome = |answer: Result<String, Problem>| answer.map_err(|problem| problem.code);
    for source in SOURCES {
        let texts = over(source);
        for who in [Principal::default(), who("asha"), who("lea")] {
            let together = house.together(&who, &texts);
            for (text, answer) in texts.iter().zip(together) {
                let alone = outcome(house.text_for(&who, text, Format::Json));
                assert_eq!(outcome(answer), alone, "{who} asks {text}");
            }
        }
    }
}

#[test]
fn rows_are_shared_where_they_are_the_same() {
    let house = House::new(forgetful());
    house.append(0, 10);
    for source in [SOURCES[0], SOURCES[1], SOURCES[3], SOURCES[5]] {
        // Rows of their own have the one that asks another query and the one that wants no rows.
        assert_eq!(house.counts(&over(source)), [1, HEADS.len() - 3, 2], "{source}");
    }
    // What a function makes has one name, whatever it makes.
    assert_eq!(house.counts(&over(SOURCES[8]))[1], 0);
    let series = [5, 7].map(|end| format!("SELECT sum(value) AS s FROM generate_series(1, {end}) LIMIT 1"));
    assert_eq!(house.counts(&series), [0, 0, 2]);
    assert_eq!(house.counts(&series[..1]), [0, 0, 1]);
    // Other rows, and rows that are given out before all have been read.
    let other = ["SELECT count(*) AS c FROM orders", "SELECT count(*) AS c FROM orders WHERE n > 1"].map(str::to_owned);
    assert_eq!(house.counts(&other), [0, 0, 2]);
    let streaming = ["SELECT n FROM orders LIMIT 5", "SELECT kind FROM orders LIMIT 5"].map(str::to_owned);
    assert_eq!(house.counts(&streaming), [0, 0, 2]);
}

/// What one of them fails by is no matter of the others.
#[test]
fn a_column_that_fails_fails_those_that_need_it() {
    let house = House::new(forgetful());
    house.append(0, 10);
    let source = "FROM (SELECT n, 1 / (n - 4) AS bad FROM orders) AS source";
    let texts = ["sum(bad)", "count(*)", "sum(n)"].map(|measure| format!("SELECT {measure} AS m {source} LIMIT 1"));
    assert_eq!(house.counts(&texts), [0, 3, 0]);
    let [bad, count, sum]: [_; 3] = house.together(&Principal::default(), &texts).try_into().unwrap();
    assert_eq!(bad.unwrap_err().code, "HW-LAKE-044");
    assert!(count.unwrap().ends_with("[[10]]}") && sum.unwrap().ends_with("[[45]]}"));
}

#[test]
fn one_that_needs_too_much_memory_leaves_the_others_theirs() {
    let house = House::new(Limits { sql_memory_bytes: 8 << 20, sql_spill_bytes: 1 << 20, ..forgetful() });
    house.fill(20_000);
    let texts = ["array_agg(repeat(kind, 1000))", "count(*)", "max(n)"]
        .map(|measure| format!("SELECT {measure} AS m FROM orders LIMIT 1"));
    let [large, count, max]: [_; 3] = house.together(&Principal::default(), &texts).try_into().unwrap();
    assert_eq!(large.unwrap_err().code, "HW-LAKE-043");
    assert!(count.unwrap().ends_with("[[20000]]}") && max.unwrap().ends_with("[[19999]]}"));
}

/// A bug that one of them meets, be it when it is planned or later, is no end of the others.
#[test]
fn a_bug_is_told_of_the_one_that_meets_it() {
    let house = House::new(forgetful());
    house.append(0, 10);
    house.with_bug(&Principal::default());
    for measure in ["sum(buggy())", "forecast(time, 1, 13)"] {
        let texts = [measure, "count(*)", "max(\"offset\") >= 0"]
            .map(|measure| format!("SELECT {measure} AS m FROM {ORDERS} LIMIT 1"));
        let [bad, count, max]: [_; 3] = house.together(&Principal::default(), &texts).try_into().unwrap();
        let problem = bad.unwrap_err();
        assert_eq!(problem.code, "HW-KERNEL-043", "{measure}");
        assert!(problem.title.contains("a bug, made by a test"), "{problem}");
        assert!(count.unwrap().ends_with("[[10]]}") && max.unwrap().ends_with("[[true]]}"), "{measure}");
    }
}

#[test]
fn each_gives_so_many_rows_at_most() {
    let house = House::new(forgetful());
    house.append(0, 10);
    let texts = ["SELECT n FROM orders ORDER BY n", "SELECT kind FROM orders ORDER BY n DESC", "SELECT n FROM orders"];
    let texts = texts.map(str::to_owned);
    assert_eq!(house.counts(&texts), [0, 2, 1]);
    for answer in house.together_as(Question { rows_max: Some(2), ..Question::default() }, &texts) {
        let answer: Value = serde_json::from_str(&answer.unwrap()).unwrap();
        assert_eq!(answer["rows"].as_array().unwrap().len(), 2, "{answer}");
    }
}

#[test]
fn answers_are_kept_for_each_of_them() {
    let house = House::new(Limits::default());
    house.append(0, 10);
    let texts = ["count(*)", "sum(n)"].map(|measure| format!("SELECT {measure} AS m FROM orders LIMIT 1"));
    let ask = || house.together(&Principal::default(), &texts).into_iter().map(Result::unwrap).collect::<Vec<_>>();
    let begun = Instant::now();
    // A dataset is at one position as soon as its first snapshot is made.
    while house.engine.0.cache.len() < 2 {
        assert!(begun.elapsed() < Duration::from_secs(60), "the answers are kept");
        assert!(ask()[1].ends_with("[[45]]}"));
    }
    let kept = ask();
    assert_eq!(kept, texts.clone().map(|text| house.text(&text, Format::Json).unwrap()));
    house.append(10, 11);
    assert!(ask()[0].ends_with("[[11]]}") && ask()[1].ends_with("[[55]]}"));
}

#[test]
fn each_is_listed_and_ended_by_itself_and_the_pass_with_the_last_one() {
    // One turn is enough.
    let house = House::new(Limits { sql_queries: 1, ..forgetful() });
    house.fill(3_000);
    let admin = Principal::default();
    let texts = ["sum(n)", "max(n)", "min(n)"].map(|measure| {
        format!("SELECT {measure} AS m FROM (SELECT a.n FROM orders a, orders b, orders c) AS source LIMIT 1")
    });
    assert_eq!(house.counts(&texts), [0, 3, 0]);
    house.runtime.block_on(async {
        let answers = house.engine.ask_together(texts.to_vec(), Question::default()).await.unwrap();
        let listed = house.engine.queries(&admin);
        assert_eq!(listed.iter().map(|query| &query.text).collect::<Vec<_>>(), texts.iter().collect::<Vec<_>>());
        let [first, second, third]: [_; 3] = answers.try_into().map_err(|_| ()).unwrap();
        drop(third);
        house.engine.cancel(listed[0].id, &admin).unwrap();
        assert_eq!(first.await.map(drop).unwrap_err().code, "HW-LAKE-072");
        drop(second);
        none(&house).await;
    });
    let running = house.engine.0.running.get().unwrap();
    let begun = Instant::now();
    while running.handle.metrics().num_alive_tasks() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(30), "the pass goes on");
        std::thread::yield_now();
    }
    assert_eq!(house.rows("SELECT 1"), json!([[1]]));
}

/// A dashboard with all that charts ask.
fn board() -> Value {
    let count = json!([{"name": "n", "expr": "count(*)"}]);
    json!({
        "filters": [
            {"id": "kind", "from": "orders", "column": "kind"},
            {"id": "part", "from": "orders", "column": "n % 3"},
        ],
        "charts": [
            {"id": "all", "type": "kpi", "from": "orders", "time": "to_timestamp(n)", "measures": count, "compare": "10s"},
            {"id": "mean", "type": "kpi", "from": "orders", "time": "to_timestamp(n)", "compare": "10s",
                "measures": [{"name": "mean", "expr": "avg(n)"}]},
            {"id": "kinds", "type": "pivot", "from": "orders", "time": "to_timestamp(n)", "totals": true,
                "dimensions": ["kind", "n % 2"], "measures": [{"name": "kinds", "expr": "count(DISTINCT n % 5)"}]},
            {"id": "course", "type": "line", "from": "orders", "time": "to_timestamp(n)", "grain": "minute",
                "measures": count, "ignores": ["part"]},
            {"id": "levels", "type": "bar", "from": "orders", "time": "to_timestamp(n)", "drill": ["year", "minute"],
                "measures": count},
            {"id": "raw", "type": "table", "from": "orders", "dimensions": ["n", "kind"], "limit": 3},
            {"id": "wrong", "type": "kpi", "from": "orders", "measures": [{"name": "x", "expr": "sum(nothing)"}]},
        ],
    })
}

/// All that is told of a chart.
async fn told(drawn: Result<Drawn, Problem>) -> Value {
    let Drawn { query, grain, axes, answer, totals, before } = match drawn {
        Ok(drawn) => drawn,
        Err(problem) => return json!(problem.code),
    };
    let text = |answer: Result<Bytes, Problem>| match answer {
        Ok(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        Err(problem) => problem.code,
    };
    let totals: Vec<Value> = totals.into_iter().map(|total| json!([total.by, total.cut, text(total.answer)])).collect();
    let before = before.map(|it| json!([it.from.to_string(), it.to.to_string(), text(it.answer)]));
    let body: Result<Vec<Bytes>, Problem> = answer.body.try_collect().await;
    let body = body.map(|body| String::from_utf8(body.concat()).unwrap()).map_err(|problem| problem.code);
    json!([query, grain, axes, totals, before, body.unwrap_or_else(|code| code)])
}

#[test]
fn charts_are_answered_together_as_each_alone() {
    let house = House::new(forgetful());
    house.append(0, 120);
    house.runtime.block_on(apply(&house.kernel, POLICIES));
    let dashboards = Dashboards::new(house.kernel.clone(), house.engine.clone());
    let of = Whose::Draft(board());
    let moment = |text| Micros::parse_rfc3339(text).unwrap();
    let minute = Window::Between(moment("1970-01-01T00:00:30Z"), moment("1970-01-01T00:01:30Z"));
    for reader in [Principal::default(), who("asha"), who("lea")] {
        for (filters, window) in [(json!({}), Window::All), (json!({"kind": ["even"], "part": [0, null]}), minute)] {
            let choice = Choice {
                filters: serde_json::from_value(filters).unwrap(),
                window,
                reader: reader.clone(),
                ..Choice::default()
            };
            let drill = Choice { drill: vec![json!("1970-01-01T00:00:00Z")], ..choice.clone() };
            let charts = ["all", "mean", "kinds", "course", "levels", "raw", "wrong", "absent"];
            let wanted = charts.map(|chart| Wanted {
                chart: chart.to_owned(),
                choice: if chart == "levels" { drill.clone() } else { choice.clone() },
            });
            house.runtime.block_on(async {
                let ready = dashboards.draw_together(&of, wanted.to_vec()).unwrap();
                let mut together: Vec<(String, Value)> =
                    ready.then(|(chart, drawn)| async move { (chart, told(drawn).await) }).collect().await;
                together.sort_by_key(|(chart, _)| charts.iter().position(|one| one == chart));
                let mut alone = Vec::new();
                for Wanted { chart, choice } in &wanted {
                    alone.push((chart.clone(), told(dashboards.draw(&of, chart, choice).await).await));
                }
                assert_eq!(together, alone, "{reader}");
            });
        }
    }
}

#[test]
fn charts_that_nobody_waits_for_are_ended() {
    let house = House::new(forgetful());
    house.fill(3_000);
    let dashboards = Dashboards::new(house.kernel.clone(), house.engine.clone());
    let from = "SELECT a.n FROM orders a, orders b, orders c";
    let chart = |id: &str, expr: &str| json!({"id": id, "type": "kpi", "from": from, "measures": [{"name": "m", "expr": expr}]});
    let of = Whose::Draft(json!({"charts": [chart("sum", "sum(n)"), chart("max", "max(n)")]}));
    let wanted = ["sum", "max"].map(|chart| Wanted { chart: chart.to_owned(), choice: Choice::default() });
    house.runtime.block_on(async {
        let mut ready = dashboards.draw_together(&of, wanted.to_vec()).unwrap();
        let begun = Instant::now();
        while house.engine.queries(&Principal::default()).len() < 2 {
            assert!(ready.next().now_or_never().is_none(), "there is no end of them");
            assert!(begun.elapsed() < Duration::from_secs(30), "both are asked");
            tokio::task::yield_now().await;
        }
        drop(ready);
        none(&house).await;
    });
}
