#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

/// 2026-01-02T06:00:00Z, seven in Zürich.
const DUE: Micros = Micros(1_767_333_600_000_000);

fn site() -> Site {
    "https://data.example.com/".parse().unwrap()
}

fn spec(more: Value) -> ReportSpec {
    let mut spec = json!({"dashboard": "sales", "schedule": "rate(1 days)", "to": [{"destination": "d"}]});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(spec).unwrap()
}

fn dashboard() -> Value {
    json!({
        "title": "Sales", "range": "1w",
        "filters": [{"id": "country", "default": ["CH"]}, {"id": "city"}],
        "charts": [
            {"id": "total", "title": "Revenue", "at": {"x": 0, "y": 0, "w": 3, "h": 3}},
            {"id": "course", "at": {"x": 3, "y": 0, "w": 9, "h": 6}},
            {"id": "raw", "at": {"x": 0, "y": 20, "w": 12, "h": 5}},
            {"id": "anywhere"},
        ],
    })
}

#[test]
fn a_report_looks_at_what_a_reader_would_see() {
    let daily = spec(json!({"principal": "asha", "last": "1d"}));
    let outline = Outline::of(&dashboard(), &daily, DUE).unwrap();
    let titles: Vec<&str> = outline.charts.iter().map(|chart| chart.title.as_str()).collect();
    assert_eq!(titles, ["Revenue", "course", "raw", "anywhere"]);
    let scene = outline.scene(&daily);
    assert_eq!(
        scene.path,
        "/console/dashboards/sales?f.city=%5B%5D&f.country=%5B%22CH%22%5D\
         &t=2026-01-01T06%3A00%3A00Z..2026-01-02T06%3A00%3A00Z\
         &view=print&as=asha&charts=total,course,raw,anywhere&every="
    );
    // Six rows, then five, then six, for all have fallen upwards.
    assert_eq!(scene.height, 2 * AROUND + HEAD + 17 * (ROW + GAP) - GAP);

    let part = spec(json!({"charts": ["raw", "total"], "filters": {"country": [], "city": ["Bern"]}}));
    let outline = Outline::of(&dashboard(), &part, DUE).unwrap();
    assert_eq!(outline.choice.window, Window::Between(Micros(DUE.0 - 7 * 86_400_000_000), DUE), "the dashboard's own");
    assert_eq!(outline.choice.filters["country"], Vec::<Value>::new());
    assert_eq!(outline.scene(&part).height, 2 * AROUND + HEAD + 8 * (ROW + GAP) - GAP);
    let all = Outline::of(&json!({"charts": []}), &spec(json!({})), DUE).unwrap();
    assert_eq!((all.title.as_str(), all.choice.window), ("sales", Window::All));
}

#[test]
fn a_report_has_the_charts_of_all_sheets() {
    let one = json!({"id": "total", "at": {"x": 0, "y": 3, "w": 3, "h": 3}});
    let two = json!([{"id": "course", "at": {"x": 0, "y": 0, "w": 9, "h": 6}}, {"id": "raw"}]);
    let sheets = json!({"sheets": [{"id": "a", "charts": [one]}, {"id": "empty"}, {"id": "b", "charts": two}]});
    let all = spec(json!({}));
    let outline = Outline::of(&sheets, &all, DUE).unwrap();
    let ids: Vec<&str> = outline.charts.iter().map(|chart| chart.id.as_str()).collect();
    assert_eq!(ids, ["total", "course", "raw"]);
    // Three rows on the one sheet, two charts of six below each other on the other.
    let board = |rows: u32| SHEET + rows * (ROW + GAP) - GAP;
    assert_eq!(outline.scene(&all).height, 2 * AROUND + HEAD + board(3) + board(12));
    let some = spec(json!({"charts": ["course"]}));
    assert_eq!(Outline::of(&sheets, &some, DUE).unwrap().scene(&some).height, 2 * AROUND + HEAD + board(6));
}

#[test]
fn a_report_of_a_calendar_begins_and_ends_with_the_days_of_its_zone() {
    let yesterday = spec(json!({"period": "yesterday", "timezone": "Europe/Zurich"}));
    let outline = Outline::of(&dashboard(), &yesterday, DUE).unwrap();
    assert!(outline.scene(&yesterday).path.contains("&t=2025-12-31T23%3A00%3A00Z..2026-01-01T23%3A00%3A00Z&"));
    let document = outline.document(&Name::new("daily").unwrap(), &yesterday, DUE, &[], &None, &site());
    let text = document["text"].as_str().unwrap();
    assert_eq!(text.lines().nth(1).unwrap(), "From 2026-01-01 00:00 to 2026-01-02 00:00 (Europe/Zurich)");
}

#[test]
fn a_document_has_values_as_sql_gave_them_within_bounds() {
    let spec = spec(json!({"rows": 2, "timezone": "Europe/Zurich", "last": "1d", "charts": ["course", "gone"]}));
    let outline = Outline::of(&dashboard(), &spec, DUE).unwrap();
    let answer = json!({"columns": [{"name": "country", "type": "text"}, {"name": "revenue", "type": "decimal"}],
        "rows": [["CH", "10.10"], [null, 9_007_199_254_740_993_i64], ["DE", "x".repeat(1_000)]]});
    let drawn = [Ok(answer), Err(Problem::new("HW-LAKE-071", "the dashboard has no chart `gone`"))];
    let png = Bytes::from_static(b"png");
    let picture = Some(Ok((Scene { path: String::new(), width: 2, height: 3 }, png)));
    let name = Name::new("daily").unwrap();
    let document = outline.document(&name, &spec, DUE, &drawn, &picture, &site());
    assert_eq!(document["subject"], "Sales: 2026-01-02 07:00");
    assert_eq!(
        document["text"],
        "Sales\nFrom 2026-01-01 07:00 to 2026-01-02 07:00 (Europe/Zurich)\n\
         Page: https://data.example.com/console/dashboards/sales?f.city=%5B%5D&f.country=%5B%22CH%22%5D\
         &t=2026-01-01T06%3A00%3A00Z..2026-01-02T06%3A00%3A00Z"
    );
    let page = document["page"].as_str().unwrap();
    assert_eq!(document["link"], format!("https://data.example.com{page}"));
    assert_eq!(document["charts"][0]["rows"], json!([["CH", "10.10"], [null, 9_007_199_254_740_993_i64]]));
    assert_eq!(document["charts"][0]["note"], "2 of 3 rows");
    assert_eq!(document["charts"][1]["note"], "Not drawn: HW-LAKE-071: the dashboard has no chart `gone`");
    assert_eq!(document["picture"], json!({"type": "image/png", "width": 2, "height": 3, "data": "cG5n"}));
    let none = Some(Err(Problem::new("HW-CONNECT-120", "there is no Chromium on this machine")));
    let document = outline.document(&name, &spec, DUE, &drawn, &none, &site());
    assert!(document["text"].as_str().unwrap().ends_with("\nWithout a picture: there is no Chromium on this machine"));
    assert_eq!(document.get("picture"), None);
}

#[test]
fn a_report_has_the_totals_and_the_earlier_value_of_a_chart() {
    let spec = spec(json!({"rows": 1, "charts": ["course", "total"]}));
    let outline = Outline::of(&dashboard(), &spec, DUE).unwrap();
    let columns = json!([{"name": "country"}, {"name": "city"}, {"name": "revenue"}]);
    let course = json!({"columns": columns, "rows": [["CH", "Bern", 10], ["AT", "Wien", 40]],
        "totals": [{"by": [], "rows": [[50]]}]});
    let total = json!({"columns": [{"name": "revenue"}], "rows": [[50]], "before": null});
    let document = outline.document(&Name::new("daily").unwrap(), &spec, DUE, &[Ok(course), Ok(total)], &None, &site());
    assert_eq!(document["charts"][0]["rows"], json!([["CH", "Bern", 10], ["Total", "Total", 50]]));
    assert_eq!(document["charts"][0]["note"], "1 of 2 rows");
    assert_eq!(document["charts"][1]["columns"], json!(["revenue", "before"]));
    assert_eq!(document["charts"][1]["rows"], json!([[50, null]]));
    let without =
        json!({"columns": columns, "rows": [["CH", "Bern", 10], ["AT", "Wien", 40]], "without": ["no total: C: t"]});
    let document = outline.document(&Name::new("daily").unwrap(), &spec, DUE, &[Ok(without)], &None, &site());
    assert_eq!(document["charts"][0]["note"], "1 of 2 rows; no total: C: t");
}

#[test]
fn a_pivot_has_the_totals_of_its_lines_of_its_columns_and_of_all() {
    let spec = spec(json!({"rows": 2, "charts": ["course"]}));
    let outline = Outline::of(&dashboard(), &spec, DUE).unwrap();
    let columns = json!([{"name": "country"}, {"name": "channel"}, {"name": "revenue"}, {"name": "sales"}]);
    let pivot = |lines: Value| {
        json!({"columns": columns, "rows": [["CH", "web", 10, 1], [null, "app", 40, 2]], "totals": [
            {"by": [0], "cut": false, "rows": lines},
            {"by": [1], "cut": false, "rows": [["app", 40, 2], ["web", 10, 1]]},
            {"by": [], "cut": false, "rows": [[50, 3]]},
        ]})
    };
    let table = |answer: Value| {
        let name = Name::new("daily").unwrap();
        outline.document(&name, &spec, DUE, &[Ok(answer)], &None, &site())["charts"][0].clone()
    };
    let whole = table(pivot(json!([["CH", 10, 1], [null, 40, 2]])));
    assert_eq!(
        whole["rows"],
        json!([
            ["CH", "web", 10, 1],
            [null, "app", 40, 2],
            ["CH", "Total", 10, 1],
            [null, "Total", 40, 2],
            ["Total", "app", 40, 2],
            ["Total", "web", 10, 1],
            ["Total", "Total", 50, 3],
        ])
    );
    assert_eq!(whole["note"], Value::Null);
    // Each kind has as many rows as the chart itself; the one over all is always there.
    let cut = table(pivot(json!([["AT", 0, 0], ["CH", 10, 1], [null, 40, 2]])));
    assert_eq!(cut["rows"].as_array().unwrap().last().unwrap(), &json!(["Total", "Total", 50, 3]));
    assert_eq!((&cut["note"], cut["rows"].as_array().unwrap().len()), (&json!("not all totals by country"), 7));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// One event takes it, whatever charts bring.
    #[test]
    fn a_report_fits_into_one_event(rows in 0_usize..1_500, cell in ".{0,400}", png in 0_usize..600_000) {
        let spec = spec(json!({"rows": 1_000}));
        let outline = Outline::of(&dashboard(), &spec, DUE).unwrap();
        let answer = json!({"columns": [{"name": "c"}], "rows": vec![json!([cell]); rows]});
        let drawn = vec![Ok(answer.clone()), Ok(answer.clone()), Ok(answer.clone()), Ok(answer)];
        let picture = Some(Ok((Scene { path: String::new(), width: 1, height: 1 }, Bytes::from(vec![7; png]))));
        let document = outline.document(&Name::new("r").unwrap(), &spec, DUE, &drawn, &picture, &site());
        prop_assert!(document.to_string().len() < 1_000_000);
        for chart in document["charts"].as_array().unwrap() {
            prop_assert_eq!(chart["rows"].as_array().unwrap().len() < rows, chart["note"].is_string());
        }
    }

    /// Charts stand on each other as little as on the console's page.
    #[test]
    fn settled_charts_do_not_overlap(places in prop::collection::vec((0_u32..12, 0_u32..30, 1_u32..12, 1_u32..9), 0..12)) {
        let place = |(x, y, w, h): (u32, u32, u32, u32)| Some(Place { x, y, w, h });
        let settled = settled(&places.into_iter().map(place).collect::<Vec<_>>());
        for (number, at) in settled.iter().enumerate() {
            let others: Vec<Place> = settled.iter().enumerate().filter(|(other, _)| *other != number).map(|(_, at)| *at).collect();
            prop_assert!(is_free(&others, *at));
        }
    }
}
