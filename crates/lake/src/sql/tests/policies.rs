//! Row policies: what is let through, and that nothing else is, whatever is asked.

use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};
use tokio_postgres::types::{FromSql, Type};

use super::memory::texts;
use super::postgres::Connected;
use super::*;

/// Of orders and documents asha sees those of the kind `even`; lea sees none but a few of the stream.
const POLICIES: &str = "\
apiVersion: headwater.dev/v1
kind: RowPolicy
metadata: {name: even}
spec:
  principals: [asha]
  relations: [datasets.orders, Slow]
  filter: kind = 'even'
---
apiVersion: headwater.dev/v1
kind: RowPolicy
metadata: {name: even-records}
spec:
  principals: [asha]
  relations: ['streams.\"orders.raw\"', tables.kinds]
  filter: value->>'kind' = 'even'
---
apiVersion: headwater.dev/v1
kind: RowPolicy
metadata: {name: a-few}
spec:
  principals: [lea]
  relations: ['streams.\"orders.raw\"']
  filter: key = 'k1'
---
apiVersion: headwater.dev/v1
kind: RowPolicy
metadata: {name: a-few-more}
spec:
  principals: ['*']
  relations: ['streams.\"orders.raw\"']
  filter: key = 'k' || length(current_user) -- the third
";

fn who(name: &str) -> Principal {
    Principal::new(name).unwrap()
}

impl House {
    fn rows_for(&self, who: &Principal, statement: &str) -> Value {
        let text = self.text_for(who, statement, Format::Json).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["rows"].clone()
    }

    fn document(&self, key: &str, value: &Value) {
        let name = Name::new("kinds").unwrap();
        let value = Some(value.to_string().into());
        self.runtime.block_on(self.kernel.tables().put(&name, key, value, None)).unwrap();
    }
}

#[test]
fn a_principal_sees_the_rows_that_policies_let_through() {
    let house = House::new(Limits::default());
    house.append(0, 10);
    let (asha, lea, admin) = (who("asha"), who("lea"), Principal::default());
    assert_eq!(house.rows_for(&asha, "SELECT count(*) FROM orders"), json!([[10]]), "there are no policies yet");
    house.runtime.block_on(apply(&house.kernel, POLICIES));
    assert_eq!(house.rows_for(&asha, "SELECT count(*), min(n), max(n), sum(n) FROM orders"), json!([[5, 0, 8, 20]]));
    assert_eq!(house.rows_for(&asha, "SELECT n FROM orders WHERE n > 3 ORDER BY n"), json!([[4], [6], [8]]));
    assert_eq!(house.rows_for(&asha, "SELECT n FROM orders WHERE kind = 'odd'"), json!([]));
    assert_eq!(house.rows_for(&admin, "SELECT count(*) FROM orders"), json!([[10]]));
    let keys = format!("SELECT key FROM {ORDERS} ORDER BY key");
    assert_eq!(house.rows_for(&lea, &keys), json!([["k1"], ["k3"]]), "policies add up");
    assert_eq!(house.rows_for(&who("bo"), &keys), json!([["k2"]]), "everybody");
    assert_eq!(house.rows_for(&asha, "SELECT current_user, count(*) FROM orders GROUP BY 1"), json!([["asha", 5]]));

    // What no policy is about is not there, not even by name.
    let listed = |who: &Principal| {
        let relations = house.runtime.block_on(house.engine.relations(who.clone())).unwrap();
        relations.into_iter().map(|one| format!("{}.{}", one.schema, one.name)).collect::<Vec<_>>()
    };
    assert!(listed(&admin).contains(&"public.slow".to_owned()));
    assert_eq!(listed(&lea), ["streams.orders.raw"]);
    let unseen = house.text_for(&lea, "SELECT * FROM orders", Format::Json).unwrap_err();
    let absent = house.text_for(&lea, "SELECT * FROM others", Format::Json).unwrap_err();
    assert_eq!((unseen.code, unseen.title.replace("orders", "others")), (absent.code, absent.title));
    let shown = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'";
    assert_eq!(house.rows_for(&lea, shown), json!([]));

    // By its name in the catalog it is the same relation.
    let sum = "SELECT count(*), sum(datasets.orders.n) FROM datasets.orders";
    assert_eq!(house.rows(sum), json!([[10, 45]]));
    assert_eq!(house.rows_for(&asha, sum), json!([[5, 20]]));
    assert_eq!(house.text_for(&lea, sum, Format::Json).unwrap_err().code, "HW-LAKE-041");
    let schemas = "SELECT table_schema FROM information_schema.tables WHERE table_name = 'orders'";
    assert_eq!(house.rows(schemas), json!([["public"]]), "it is listed once");

    // A condition that does not fit lets nothing through, and says nothing.
    let unfit = house.text_for(&asha, "SELECT * FROM slow", Format::Json).unwrap_err();
    assert_eq!(unfit.code, "HW-LAKE-053");
    assert!(!unfit.to_string().contains("kind"), "{unfit}");
}

#[test]
fn what_a_plan_tells_is_nothing_of_the_scan() {
    let house = House::new(Limits::default());
    house.append(0, 10);
    house.runtime.block_on(apply(&house.kernel, POLICIES));
    for form in ["FORMAT INDENT ", "ANALYZE ", "VERBOSE "] {
        let statement = format!("EXPLAIN {form}SELECT n FROM orders WHERE n > 1 AND n + 1 > 0");
        let plan = house.text_for(&who("asha"), &statement, Format::Csv).unwrap();
        assert!(plan.contains("GuardedExec: orders"), "{plan}");
        for told in [".parquet", "kind", "Streaming", "DataSource"] {
            assert!(!plan.contains(told), "{told} in {plan}");
        }
    }
}

/// A policy holds at what is computed once, whoever has asked the same before.
#[test]
fn what_is_computed_once_is_computed_for_whoever_asks() {
    let house = House::new(Limits::default());
    house.append(0, 10);
    house.runtime.block_on(apply(&house.kernel, POLICIES));
    let sums = "WITH sums AS (SELECT kind, sum(n) AS s FROM orders GROUP BY kind)
        SELECT kind, s FROM sums UNION ALL SELECT kind, s FROM sums ORDER BY 1";
    let (asha, admin) = (who("asha"), Principal::default());
    let (all, even) =
        (json!([["even", 20], ["even", 20], ["odd", 25], ["odd", 25]]), json!([["even", 20], ["even", 20]]));
    for (who, rows) in [(&admin, &all), (&asha, &even), (&admin, &all)] {
        assert_eq!(house.rows_for(who, sums), *rows, "{who}");
        let plan = house.text_for(who, &format!("EXPLAIN FORMAT INDENT {sums}"), Format::Csv).unwrap();
        assert_eq!(plan.matches("OnceExec").count(), 2, "{who}: {plan}");
    }
    let told = house.text_for(&asha, &format!("EXPLAIN ANALYZE {sums}"), Format::Csv).unwrap();
    assert!(told.contains("GuardedExec") && !told.contains("DataSource"), "{told}");
}

/// A statement that is planned again is under the same policies, however it comes.
#[test]
fn what_goes_through_files_is_under_policies() {
    let house = House::new(Limits { sql_memory_bytes: 24 << 20, ..Limits::default() });
    house.append(0, 10);
    house.runtime.block_on(apply(&house.kernel, POLICIES));
    let (a, b) = (texts("a", 1), texts("b", 0));
    let joined = format!("SELECT count(*), sum(o.n) FROM {a} JOIN {b} USING (t) JOIN orders o ON o.n = a.n");
    let asha = who("asha");
    assert_eq!(house.rows(&joined), json!([[9, 45]]));
    assert_eq!(house.rows_for(&asha, &joined), json!([[4, 20]]));
    let plan = house.text_for(&asha, &format!("EXPLAIN ANALYZE {joined}"), Format::Csv).unwrap();
    assert!(plan.contains("GraceJoinExec") && plan.contains("GuardedExec: orders"), "{plan}");
    let connected = Connected::new(&house);
    assert_eq!(connected.rows(&joined).unwrap(), [["4", "20"]]);
    connected.end();
}

/// A node that has the same rows for asha as any other, and rows besides: `hidden` moves their numbers.
fn world(hidden: i64, more: i64, word: &'static str) -> House {
    let house = House::new(Limits::default());
    let unseen = |n: i64| (hidden + n, word);
    for round in 0..4 {
        let part = round * 10..round * 10 + 10;
        house.send(part.map(|n| if n % 2 == 0 { (n, "even") } else { unseen(n) }));
    }
    house.send((0..more).map(unseen));
    house.document("even", &json!({"kind": "even", "n": 2}));
    house.document("odd", &json!({"kind": word, "n": hidden}));
    house.runtime.block_on(apply(&house.kernel, POLICIES));
    house
}

/// Choices that shrink to the first of each.
struct Tape<'a>(std::slice::Iter<'a, u8>);

impl Tape<'_> {
    fn number(&mut self, below: usize) -> usize {
        self.0.next().map_or(0, |choice| usize::from(*choice) % below)
    }

    fn one(&mut self, of: &[&str]) -> String {
        of[self.number(of.len())].to_owned()
    }

    /// A relation with columns `n` and `kind`.
    fn relation(&mut self, depth: usize) -> String {
        let json =
            |from: &str| format!("(SELECT CAST(value->>'n' AS bigint) AS n, value->>'kind' AS kind FROM {from})");
        match self.number(if depth > 0 { 7 } else { 3 }) {
            0 => "orders".to_owned(),
            1 => json(ORDERS),
            2 => json("tables.kinds"),
            3 => format!("({})", self.rows(depth - 1)),
            4 => format!("({} UNION ALL {})", self.rows(depth - 1), self.rows(depth - 1)),
            5 => format!("({})", self.twice(depth - 1)),
            _ => {
                let (left, right) = (self.relation(depth - 1), self.relation(depth - 1));
                let join = self.one(&["JOIN", "LEFT JOIN", "FULL JOIN"]);
                let (on, of) = (self.one(&["l.n = r.n", "l.kind = r.kind AND l.n < r.n"]), self.one(&["l", "r"]));
                format!("(SELECT {of}.n AS n, {of}.kind AS kind FROM {left} l {join} {right} r ON {on})")
            }
        }
    }

    /// A query of the columns `n` and `kind` that has the same aggregate more than once (`once.rs`), and one of that.
    fn twice(&mut self, depth: usize) -> String {
        let (function, relation) =
            (self.one(&["count(*)", "min(n)", "max(n)", "count(DISTINCT n)"]), self.relation(depth));
        let condition = self.condition(depth);
        let again = self.one(&[
            "SELECT n, kind FROM g UNION ALL SELECT n, kind FROM g",
            "SELECT a.n, b.kind FROM g a LEFT JOIN g b ON a.n = b.n",
            "SELECT a.n, b.kind FROM g a FULL JOIN (SELECT n, kind FROM g WHERE n > 3) b ON a.kind = b.kind",
            "SELECT n, kind FROM g WHERE n = (SELECT max(n) FROM g)",
            "SELECT n, kind FROM g WHERE n NOT IN (SELECT n FROM g WHERE kind > 'm' AND n IS NOT NULL)",
            "SELECT n, kind FROM g UNION ALL SELECT n, kind FROM h UNION ALL SELECT n, kind FROM h",
            "SELECT h.n, g.kind FROM h, h AS i, g WHERE h.n = i.n",
            "SELECT a.n, b.kind FROM (SELECT n FROM g ORDER BY n, kind LIMIT 1) a, g b",
        ]);
        format!(
            "WITH g AS (SELECT kind, {function} AS n FROM {relation} AS t WHERE {condition} GROUP BY kind),
            h AS (SELECT max(n) AS n, min(kind) AS kind FROM g) {again}"
        )
    }

    /// A query of the columns `n` and `kind`.
    fn rows(&mut self, depth: usize) -> String {
        let relation = self.relation(depth);
        format!("SELECT n, kind FROM {relation} AS t WHERE {}", self.condition(depth))
    }

    fn value(&mut self) -> String {
        self.one(&["4", "7", "11", "5000007", "-8999993", "0", "38", "5000039"])
    }

    fn condition(&mut self, depth: usize) -> String {
        let value = self.value();
        match self.number(if depth > 0 { 16 } else { 10 }) {
            0 => format!("n < {value}"),
            1 => format!("n = {value}"),
            2 => format!("1 / (n - {value}) > -1"),
            3 => format!("kind {} '{}'", self.one(&["=", "<>", ">"]), self.one(&["even", "odd secret", "secret, too"])),
            4 => format!("kind LIKE '%{}%'", self.one(&["v", "secret", ","])),
            5 => format!("n IN (2, {value})"),
            6 => format!("n NOT BETWEEN 10 AND {value}"),
            7 => "CAST(kind AS int) = 1".to_owned(),
            8 => "kind IS NOT NULL AND length(kind) > 4".to_owned(),
            9 => format!("CAST(n * {value} AS int) > 0"),
            10 => format!("({} OR {})", self.condition(depth - 1), self.condition(depth - 1)),
            11 => format!("NOT ({} AND {})", self.condition(depth - 1), self.condition(depth - 1)),
            12 => {
                format!("n >= (SELECT {}(n) FROM {} AS s)", self.one(&["min", "max", "avg"]), self.relation(depth - 1))
            }
            13 => format!(
                "n {} (SELECT n FROM {} AS s WHERE n IS NOT NULL)",
                self.one(&["IN", "NOT IN"]),
                self.relation(depth - 1)
            ),
            14 => format!(
                "{} (SELECT 1 FROM {} AS s WHERE s.n > t.n)",
                self.one(&["EXISTS", "NOT EXISTS"]),
                self.relation(depth - 1)
            ),
            _ => format!("kind = (SELECT kind FROM {} AS s ORDER BY n DESC, kind LIMIT 1)", self.relation(depth - 1)),
        }
    }

    fn statement(&mut self) -> String {
        let depth = 2;
        match self.number(13) {
            0 => self.rows(depth),
            1 => format!("SELECT count(*), min(n), max(n), sum(n), count(DISTINCT kind), max(kind) FROM {} AS t WHERE {}", self.relation(depth), self.condition(depth)),
            2 => format!("SELECT kind, count(*), sum(n) FROM {} AS t GROUP BY kind HAVING count(*) > {}", self.relation(depth), self.value()),
            3 => format!("SELECT DISTINCT kind FROM {} AS t", self.relation(depth)),
            4 => format!("SELECT n, kind FROM {} AS t ORDER BY n {}, kind LIMIT 3", self.relation(depth), self.one(&["", "DESC", "DESC NULLS LAST"])),
            5 => format!("SELECT n, rank() OVER (ORDER BY n), sum(n) OVER (PARTITION BY kind) FROM {} AS t", self.relation(depth)),
            6 => format!("WITH c AS ({}) SELECT a.n, b.kind FROM c a, c b WHERE a.n = b.n", self.rows(depth - 1)),
            7 => format!("{} {} {}", self.rows(depth - 1), self.one(&["EXCEPT", "INTERSECT", "UNION"]), self.rows(depth - 1)),
            8 => format!("SELECT count(*) FROM {}", self.one(&["orders", "slow", "tables.kinds", "tables.other", "streams.\"orders.raw\" WHERE key > 'k5'"])),
            9 => format!("SELECT 1 / (n - {}), {} FROM orders", self.value(), self.one(&["kind", "nothing", "kind + 1", "CAST(kind AS date)"])),
            10 => self.twice(depth),
            11 => "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema IN ('public', 'streams', 'tables')".to_owned(),
            _ => {
                let rows = if self.number(2) == 0 { self.rows(depth) } else { self.twice(depth) };
                format!("EXPLAIN {}{rows}", self.one(&["", "VERBOSE ", "ANALYZE "]))
            }
        }
    }
}

/// Rows in some order, or the code of what went wrong: where two things can, threads decide which comes first.
fn outcome(answer: &Result<String, Problem>) -> Result<Vec<String>, &str> {
    let text = answer.as_ref().map_err(|problem| problem.code.as_str())?;
    let answer: Value = serde_json::from_str(text).unwrap();
    let mut rows: Vec<String> = answer["rows"].as_array().unwrap().iter().map(Value::to_string).collect();
    rows.sort_unstable();
    Ok(rows)
}

/// A value as it is sent.
struct Raw(Vec<u8>);

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_: &Type, bytes: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(bytes.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// What a client of PostgreSQL's protocol is told that prepares a statement and carries it out: rows in some order, or all
/// that is said of what went wrong.
fn prepared(connected: &Connected, statement: &str) -> Result<Vec<String>, String> {
    let told = connected.runtime.block_on(connected.client.query(statement, &[]));
    let rows = told.map_err(|error| format!("{error:?}"))?;
    let value = |raw: Option<Raw>| raw.map_or("NULL".to_owned(), |raw| String::from_utf8_lossy(&raw.0).into_owned());
    let row = |row: &tokio_postgres::Row| (0..row.len()).map(|at| value(row.get(at))).collect::<Vec<_>>().join(" | ");
    let mut rows: Vec<String> = rows.iter().map(row).collect();
    rows.sort_unstable();
    Ok(rows)
}

/// Whether rows that asha sees make the statement fail, if they are asked: whether they are depends on which of them come
/// together and on what other threads have found by then. Rows that she does not see never have a say in it. Counts of
/// hers may be odd.
fn may_fail_by_itself(statement: &str) -> bool {
    let fails = ["(n - 4)", "(n - 0)", "(n - 38)", "CAST(kind", "CAST(n *", "kind + 1"];
    let fails_on_counts = ["(n - 7)", "(n - 11)"].iter().filter(|_| statement.contains("WITH g"));
    fails.iter().chain(fails_on_counts).any(|part| statement.contains(part))
}

/// Two nodes differ only in rows that asha may not see. Whatever she asks, they answer alike: in rows and in errors, also
/// when somebody who sees everything has asked the same just before, and when she prepares it as a client of PostgreSQL's
/// protocol. `PROPTEST_CASES` asks more.
#[test]
fn what_is_not_seen_changes_no_answer() {
    let (asha, admin) = (who("asha"), Principal::default());
    let worlds = [world(5_000_000, 0, "odd secret"), world(-9_000_000, 77, "secret, too")];
    let clients = worlds.each_ref().map(Connected::new);
    let questions = (proptest::collection::vec(any::<u8>(), 0..80), any::<bool>());
    let config = ProptestConfig { source_file: Some(file!()), ..ProptestConfig::default() };
    let alike = |(choices, warm): (Vec<u8>, bool)| {
        let statement = Tape(choices.iter()).statement();
        let answers = worlds.each_ref().map(|house| {
            if warm {
                drop(house.text_for(&admin, &statement, Format::Json));
            }
            house.text_for(&asha, &statement, Format::Json)
        });
        let sent = clients.each_ref().map(|client| prepared(client, &statement));
        let told = answers.iter().map(|answer| answer.as_ref().map_or_else(ToString::to_string, Clone::clone));
        for told in told.chain(sent.iter().map(|told| format!("{told:?}"))) {
            for hidden in ["secret", "50000", "-8999", "-9000"] {
                prop_assert!(!told.contains(hidden) || statement.contains(hidden), "{statement}: {told}");
            }
            for scan in [".parquet", "DataSource", "Streaming"] {
                prop_assert!(!told.contains(scan), "{statement}: {told}");
            }
        }
        // Times and the number of threads are the machine's.
        if !statement.starts_with("EXPLAIN") {
            let [one, other] = answers.each_ref().map(outcome);
            if one.is_ok() == other.is_ok() || !may_fail_by_itself(&statement) {
                prop_assert_eq!(one, other, "{}", statement);
            }
            // Which of two errors comes first has another state, and threads decide it.
            let [one, other] = sent.map(|told| told.map_err(drop));
            if one.is_ok() == other.is_ok() || !may_fail_by_itself(&statement) {
                prop_assert_eq!(one, other, "{}, prepared", statement);
            }
        }
        Ok::<(), TestCaseError>(())
    };
    TestRunner::new(config).run(&questions, alike).unwrap();
    for client in clients {
        assert_eq!(client.rows("SELECT count(*) FROM orders").unwrap(), [["20"]], "it is answered to the end");
        client.end();
    }
}
