//! A report as a document: what a dashboard's spec says of it, the rows that its charts had, and what it looks like on
//! the console's page. Pure.
//!
//! What it is NOT: it asks no chart and takes no picture; [`crate::runtime::desk`] does.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::TimeZone as _;
use chrono_tz::Tz;
use headwater_base::{Micros, Name, Problem, Span};
use headwater_kernel::Site;
use headwater_kernel::port::charts::{Choice, Window};
use headwater_kernel::port::picture::Scene;
use headwater_kernel::port::sql::Via;
use headwater_wire::percent;
use serde_json::{Value, json};

use crate::kinds::report::ReportSpec;

/// Bytes of all rows of a report together.
const ROWS_BYTES_MAX: usize = 192 * 1024;
/// Longer texts in a cell are cut.
const CELL_CHARS_MAX: usize = 300;
/// What stands where an axis would say what a row is about.
const TOTAL: &str = "Total";
/// A larger picture does not go with a report: all of it is one event.
const PICTURE_BYTES_MAX: usize = 512 * 1024;

/// The page as the console prints it (`console/src/pages/print.tsx`, `console/src/styles.css`): its width, what is
/// around the charts, the grid's rows and what is between them, in pixels.
const WIDTH: u32 = 1280;
const AROUND: u32 = 16;
const HEAD: u32 = 56;
/// The title of a sheet.
const SHEET: u32 = 40;
const ROW: u32 = 40;
const GAP: u32 = 12;
/// A longer page is cut off.
const HEIGHT_MAX: u32 = 8_000;

/// What a dashboard's spec says of a report.
#[derive(Debug, PartialEq)]
pub struct Outline {
    /// What the report is called.
    pub title: String,
    /// Its charts, in the order of the report, or of the dashboard.
    pub charts: Vec<Chart>,
    /// What a reader would have chosen.
    pub choice: Choice,
}

/// A chart of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Chart {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub title: String,
    place: Option<Place>,
    /// Which of the dashboard's sheets it stands on, if that has any.
    sheet: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    x: u32,
    y: u32,
    w: u32,
    h: u32,
}

/// A chart's rows, or why there are none. With them its measures over rows that it shows apart (`totals`, each with the
/// axes that it keeps in `by`, its `rows`, and whether it is `cut`) and at an earlier time (`before`), where it has them;
/// what it goes without, in words (`without`).
pub type Drawn = Result<Value, Problem>;

/// A picture, or why there is none; None where none is wanted.
pub type Picture = Option<Result<(Scene, Bytes), Problem>>;

impl Outline {
    /// Reads the dashboard's effective spec; the report is due at `due`.
    ///
    /// # Errors
    /// `HW-BASE-002` for a principal that is none.
    pub fn of(dashboard: &Value, spec: &ReportSpec, due: Micros) -> Result<Self, Problem> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let sheets = dashboard["sheets"].as_array().into_iter().flatten().enumerate();
        let sheets = sheets.map(|(number, sheet)| (Some(number), &sheet["charts"]));
        let known = std::iter::once((None, &dashboard["charts"])).chain(sheets);
        let known =
            known.flat_map(|(sheet, charts)| charts.as_array().into_iter().flatten().map(move |it| (sheet, it)));
        let known = known.filter_map(|(sheet, chart)| {
            let id = text(&chart["id"])?;
            let title = text(&chart["title"]).unwrap_or_else(|| id.clone());
            Some(Chart { id, title, place: place(&chart["at"]), sheet })
        });
        let mut charts: Vec<Chart> = known.collect();
        if !spec.charts.is_empty() {
            let absent = |id: &String| Chart { id: id.clone(), title: id.clone(), place: None, sheet: None };
            let mut find = |id: &String| {
                let at = charts.iter().position(|chart| chart.id == *id);
                at.map_or_else(|| absent(id), |at| charts.remove(at))
            };
            charts = spec.charts.iter().map(&mut find).collect();
        }
        let own = serde_json::from_value::<Span>(dashboard["range"].clone()).ok();
        let back = spec.last.or(own).map(|span| (due.minus(span.duration()), due));
        let calendar = spec.period.and_then(|period| period.window(spec.zone(), due));
        let window = calendar.or(back).map_or(Window::All, |(from, to)| Window::Between(from, to));
        let title = spec.title.clone().or_else(|| text(&dashboard["title"]));
        Ok(Self {
            title: title.unwrap_or_else(|| spec.dashboard.clone()),
            charts,
            choice: Choice {
                filters: filters(dashboard, spec),
                window,
                reader: spec.reader()?,
                via: Via::Report,
                ..Choice::default()
            },
        })
    }

    /// The page to be drawn.
    pub fn scene(&self, spec: &ReportSpec) -> Scene {
        let page = self.choice.page(&spec.dashboard);
        let ids: Vec<String> = self.charts.iter().map(|chart| percent::encode(chart.id.as_bytes())).collect();
        let reader = percent::encode(self.choice.reader.as_str().as_bytes());
        let between = if page.contains('?') { '&' } else { '?' };
        let path = format!("{page}{between}view=print&as={reader}&charts={}&every=", ids.join(","));
        let sheets: BTreeSet<Option<usize>> = self.charts.iter().map(|chart| chart.sheet).collect();
        let boards = sheets.into_iter().map(|sheet| {
            let charts = self.charts.iter().filter(|chart| chart.sheet == sheet);
            let places: Vec<Option<Place>> = charts.map(|chart| chart.place).collect();
            let rows = settled(&places).iter().map(|at| at.y + at.h).max().unwrap_or(0);
            (rows * (ROW + GAP)).saturating_sub(GAP) + if sheet.is_some() { SHEET } else { 0 }
        });
        let board: u32 = boards.sum();
        Scene { path, width: WIDTH, height: (2 * AROUND + HEAD + board).min(HEIGHT_MAX) }
    }

    /// The document; its links lead to `site`.
    pub fn document(
        &self,
        name: &Name,
        spec: &ReportSpec,
        due: Micros,
        drawn: &[Drawn],
        picture: &Picture,
        site: &Site,
    ) -> Value {
        let zone = spec.zone();
        let when = local(zone, due);
        let mut budget = ROWS_BYTES_MAX;
        let rows = spec.rows.clamp(1, 1_000) as usize;
        let table = |(chart, drawn): (&Chart, &Drawn)| table(chart, drawn, rows, &mut budget);
        let charts: Vec<Value> = self.charts.iter().zip(drawn).map(table).collect();
        let page = self.choice.page(&spec.dashboard);
        let mut text = vec![self.title.clone()];
        let (from, to) = match self.choice.window {
            Window::Between(from, to) => {
                text.push(format!("From {} to {} ({})", local(zone, from), local(zone, to), spec.timezone));
                (Some(from.to_string()), Some(to.to_string()))
            }
            _ => (None, None),
        };
        text.extend(spec.description.clone());
        let link = site.link(&page);
        text.push(format!("Page: {link}"));
        let mut document = json!({
            "report": name.as_str(),
            "subject": format!("{}: {when}", self.title),
            "text": null,
            "due": due.to_string(),
            "from": from,
            "to": to,
            "dashboard": spec.dashboard,
            "filters": self.choice.filters,
            "principal": self.choice.reader.as_str(),
            "page": page,
            "link": link,
            "charts": charts,
        });
        match picture.as_ref().map(|picture| picture.as_ref().map(small)) {
            Some(Ok(Ok(picture))) => document["picture"] = picture,
            Some(Ok(Err(fact))) => text.push(format!("Without a picture: {fact}")),
            Some(Err(problem)) => text.push(format!("Without a picture: {}", problem.title)),
            None => {}
        }
        document["text"] = Value::from(text.join("\n"));
        document
    }
}

/// The values of each of the dashboard's filters: the report's, or the dashboard's defaults.
fn filters(dashboard: &Value, spec: &ReportSpec) -> BTreeMap<String, Vec<Value>> {
    let known = dashboard["filters"].as_array().into_iter().flatten();
    let own = known.filter_map(|filter| {
        let values = filter["default"].as_array().cloned().unwrap_or_default();
        Some((filter["id"].as_str()?.to_owned(), values))
    });
    let mut filters: BTreeMap<String, Vec<Value>> = own.collect();
    filters.extend(spec.filters.clone());
    filters
}

fn local(zone: Tz, time: Micros) -> String {
    let told = zone.timestamp_micros(time.0).single().map(|time| time.format("%Y-%m-%d %H:%M").to_string());
    told.unwrap_or_else(|| time.to_string())
}

/// A chart's rows as they go with a report.
fn table(chart: &Chart, drawn: &Drawn, rows_max: usize, budget: &mut usize) -> Value {
    let answer = match drawn {
        Ok(answer) => answer,
        Err(problem) => {
            let note = format!("Not drawn: {}: {}", problem.code, problem.title);
            return json!({"id": chart.id, "title": chart.title, "columns": [], "rows": [], "note": note});
        }
    };
    let columns = items(&answer["columns"]);
    let names: Vec<&str> = columns.iter().map(|column| column["name"].as_str().unwrap_or_default()).collect();
    let before = answer.get("before");
    let mut rows: Vec<Value> = Vec::new();
    // Whether a row has found room.
    let mut add = |cells: &[Value]| {
        let row = Value::from(cells.iter().chain(before).map(cut).collect::<Vec<Value>>());
        let bytes = row.to_string().len();
        let fits = bytes <= *budget;
        if fits {
            *budget -= bytes;
            rows.push(row);
        }
        fits
    };
    let mut notes: Vec<String> = Vec::new();
    let all = items(&answer["rows"]);
    let shown = all.iter().take(rows_max).take_while(|row| add(items(row))).count();
    if shown < all.len() {
        notes.push(format!("{shown} of {} rows", all.len()));
    }
    for total in items(&answer["totals"]) {
        let by: Vec<usize> =
            items(&total["by"]).iter().filter_map(|axis| usize::try_from(axis.as_u64()?).ok()).collect();
        let all = items(&total["rows"]);
        let fits = |row: &&Value| add(&summed(&by, items(row), names.len()));
        let shown = all.iter().take(rows_max).take_while(fits).count();
        if shown < all.len() || total["cut"] == true {
            let kept: Vec<&str> = by.iter().filter_map(|axis| names.get(*axis).copied()).collect();
            notes.push(match kept.is_empty() {
                true => "no total".to_owned(),
                false => format!("not all totals by {}", kept.join(", ")),
            });
        }
    }
    notes.extend(items(&answer["without"]).iter().filter_map(Value::as_str).map(str::to_owned));
    let note = (!notes.is_empty()).then(|| notes.join("; "));
    let columns: Vec<&str> = names.iter().copied().chain(before.map(|_| "before")).collect();
    json!({"id": chart.id, "title": chart.title, "columns": columns, "rows": rows, "note": note})
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A row of measures over others that have the same values on the axes `by`: it says so where it has none of its own
/// (`whole` in `console/src/dashboards/beside.ts`).
fn summed(by: &[usize], row: &[Value], columns: usize) -> Vec<Value> {
    let (kept, measures) = row.split_at(by.len().min(row.len()));
    let axes = 0..columns.saturating_sub(measures.len());
    let said = axes.map(|axis| match by.iter().zip(kept).find(|(one, _)| **one == axis) {
        Some((_, value)) => value.clone(),
        None => Value::from(TOTAL),
    });
    said.chain(measures.iter().cloned()).collect()
}

fn cut(value: &Value) -> Value {
    match value {
        Value::String(text) if text.chars().count() > CELL_CHARS_MAX => {
            Value::from(text.chars().take(CELL_CHARS_MAX).chain(['…']).collect::<String>())
        }
        Value::Array(_) | Value::Object(_) => cut(&Value::from(value.to_string())),
        other => other.clone(),
    }
}

/// A picture as a part of the document, unless it is too large.
fn small((scene, png): &(Scene, Bytes)) -> Result<Value, String> {
    if png.len() > PICTURE_BYTES_MAX {
        return Err(format!("it has {} bytes; the limit is {PICTURE_BYTES_MAX}", png.len()));
    }
    let data = STANDARD.encode(png);
    Ok(json!({"type": "image/png", "width": scene.width, "height": scene.height, "data": data}))
}

fn place(at: &Value) -> Option<Place> {
    let side = |key: &str| u32::try_from(at[key].as_u64()?).ok().map(|side| side.min(2_000));
    Some(Place { x: side("x")?, y: side("y")?, w: side("w")?, h: side("h")? })
}

/// Where charts stand: those without a place below the others, two beside each other, and all as far up as there is
/// room (`places` and `moved` in `console/src/dashboards/layout.ts`).
fn settled(places: &[Option<Place>]) -> Vec<Place> {
    let below = places.iter().flatten().map(|at| at.y + at.h).max().unwrap_or(0);
    let mut without = 0;
    let mut wanted: Vec<Place> = Vec::new();
    for place in places {
        wanted.push(place.unwrap_or_else(|| {
            let at = Place { x: (without % 2) * 6, y: below + without / 2 * 6, w: 6, h: 6 };
            without += 1;
            at
        }));
    }
    wanted.sort_by_key(|at| (at.y, at.x));
    let mut settled: Vec<Place> = Vec::new();
    for mut at in wanted {
        while !is_free(&settled, at) {
            at.y += 1;
        }
        while at.y > 0 && is_free(&settled, Place { y: at.y - 1, ..at }) {
            at.y -= 1;
        }
        settled.push(at);
    }
    settled
}

fn is_free(settled: &[Place], at: Place) -> bool {
    let touch = |other: &Place| {
        at.x < other.x + other.w && other.x < at.x + at.w && at.y < other.y + other.h && other.y < at.y + at.h
    };
    !settled.iter().any(touch)
}

#[cfg(test)]
mod tests;
