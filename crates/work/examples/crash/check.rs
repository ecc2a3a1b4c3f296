//! What is there at the end of a run, held against what was promised.
//!
//! An execution that was acknowledged has ended; its input, its output and its records are what they have to be, and
//! each record is there once. A Map Run has files with each of its items once, whether it was stopped or not, and they
//! say of each child what the child itself says and what it has published. Lists and counts, which a life builds anew,
//! have each execution once and as what it came to.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::{Duration, Instant};

use bytes::Bytes;
use headwater_base::Name;
use headwater_kernel::port::workflows::{ExecutionQuery, ExecutionState, ExecutionView, Workflows};
use headwater_store::blobs::BlobId;
use serde_json::{Value, json};

use super::house::{self, BUCKET, House, ITEMS, OUT, PREFIX};
use super::load::{self, Promised};
use super::past;

/// What takes longer than this never comes.
const PATIENCE: Duration = Duration::from_secs(60);
/// Of what is wrong in one run so much is told.
const NOTES_MAX: usize = 20;

/// How often a record is there, by whose it is and which.
pub type Steps = BTreeMap<(u64, String), u64>;

/// What all runs came to.
#[derive(Default)]
pub struct Verdict {
    /// Executions whose start was acknowledged.
    pub acked: u64,
    /// Executions that have ended, some of which were not acknowledged.
    pub ended: u64,
    /// Crashes.
    pub cuts: u64,
    /// Map Runs that were stopped while they ran.
    pub stopped: u64,
    /// Partitions with history of long executions that was carried forward in a life that crashed.
    pub carried: u64,
    /// Payloads above what stands in a row that were compared.
    pub large: u64,
    /// Acknowledged and not there.
    pub lost: u64,
    /// There twice.
    pub doubled: u64,
    /// Not what it has to be.
    pub wrong: u64,
    /// What was lost, doubled or wrong in the run under way.
    pub notes: Vec<String>,
}

impl Verdict {
    fn note(&mut self, what: String) {
        if self.notes.len() < NOTES_MAX {
            self.notes.push(what);
        }
    }

    /// Something that was acknowledged is not there.
    pub fn lose(&mut self, what: String) {
        self.lost += 1;
        self.note(format!("lost: {what}"));
    }

    /// Something is there twice.
    fn double(&mut self, what: String) {
        self.doubled += 1;
        self.note(format!("doubled: {what}"));
    }

    /// What does not hold is wrong.
    pub fn expect(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.wrong += 1;
            self.note(format!("wrong: {}", what()));
        }
    }
}

/// Whether a payload is there and is this.
pub fn same(payload: Option<&Bytes>, wanted: &Value) -> bool {
    payload.and_then(|payload| serde_json::from_slice::<Value>(payload).ok()).as_ref() == Some(wanted)
}

/// Lets everything run to its end, and compares.
pub async fn compare(house: &House, promised: &Promised, verdict: &mut Verdict) -> Result<(), String> {
    if promised.past {
        verdict.carried += past::carried(house)?;
    }
    for _ in 0..3 {
        house.engine.collect().await.map_err(|problem| problem.to_string())?;
    }
    let answering = tokio::spawn(load::answer_all(house.engine.clone(), Duration::ZERO));
    let compared = compare_all(house, promised, verdict).await;
    answering.abort();
    let _ = answering.await;
    compared
}

async fn compare_all(house: &House, promised: &Promised, verdict: &mut Verdict) -> Result<(), String> {
    let (mut ended, mut states) = (BTreeSet::new(), BTreeMap::new());
    let mut maps = Vec::new();
    for number in 0..promised.next {
        let id = house::id(number);
        let waited = house.engine.wait(&id, PATIENCE).await;
        match waited {
            Ok(view) => {
                look(number, &view, promised, verdict)?;
                ended.insert(number);
                states.insert(id, view.state);
                if house::is_spread(number) {
                    maps.push((number, view.state == ExecutionState::Aborted));
                }
            }
            Err(_) if promised.started.contains(&number) => verdict.lose(id),
            // It was never promised.
            Err(_) => {}
        }
    }
    // All executions but long ones are over by now, and the children of Maps with them once their files are there.
    let mut runs = Vec::new();
    for (number, aborted) in maps {
        let (run, manifest) = manifest(house, &house::id(number)).await?;
        runs.push((number, aborted, run, manifest));
    }
    compare_lists(house, &states, verdict)?;
    let steps = steps(house)?;
    for ((number, step), count) in &steps {
        if *count > 1 {
            verdict.double(format!("{step} of {number}, {count} times"));
        }
        verdict
            .expect(ended.contains(number) || past::has(*number), || format!("{step} of {number}, which is not there"));
    }
    for number in ended.iter().filter(|number| !house::is_spread(**number)) {
        for step in ["first", "child", "last"] {
            let there = steps.contains_key(&(*number, step.to_owned()));
            verdict.expect(there, || format!("{step} of {number} is missing"));
        }
    }
    for (number, aborted, run, manifest) in runs {
        compare_files(house, number, aborted, &run, &manifest, &steps, verdict)?;
    }
    verdict.acked += promised.started.len() as u64;
    verdict.ended += ended.len() as u64;
    if promised.past {
        past::compare(house, &steps, verdict).await?;
    }
    Ok(())
}

/// Compares lists and counts with what executions came to and with each other.
fn compare_lists(house: &House, ended: &BTreeMap<String, ExecutionState>, verdict: &mut Verdict) -> Result<(), String> {
    let mut query = ExecutionQuery { count: 100, ..ExecutionQuery::default() };
    let mut listed: BTreeMap<String, ExecutionView> = BTreeMap::new();
    loop {
        let (page, next) = house.engine.list(&query).map_err(|problem| problem.to_string())?;
        for view in page {
            if let Some(twice) = listed.insert(view.id.clone(), view) {
                verdict.double(format!("{} in lists", twice.id));
            }
        }
        query.after = next;
        if query.after.is_none() {
            break;
        }
    }
    for (id, state) in ended {
        let shown = listed.get(id).map(|view| view.state);
        verdict.expect(shown == Some(*state), || format!("{id} is {state:?}, and listed as {shown:?}"));
    }
    // In whatever state: a long one may end in between.
    let counts = house.engine.counts();
    let counts: BTreeMap<&str, u64> =
        counts.iter().map(|(workflow, counts)| (workflow.as_str(), counts.states.iter().sum())).collect();
    let mut lists: BTreeMap<&str, u64> = BTreeMap::new();
    for view in listed.values() {
        *lists.entry(&view.workflow).or_default() += 1;
    }
    verdict.expect(counts == lists, || format!("{lists:?} are listed, and {counts:?} counted"));
    Ok(())
}

/// Compares what an execution began with and what it came to.
fn look(number: u64, view: &ExecutionView, promised: &Promised, verdict: &mut Verdict) -> Result<(), String> {
    let input = house::input(number);
    let stopped = view.state == ExecutionState::Aborted && load::is_stopped(number);
    if view.state != ExecutionState::Succeeded && !stopped {
        return Err(format!("{}: {:?}, {:?}, {:?}", view.id, view.state, view.error, view.cause));
    }
    verdict.expect(stopped || !promised.stopped.contains(&number), || format!("{} was stopped and succeeded", view.id));
    verdict.expect(same(view.input.as_ref(), &input), || format!("{}: another input", view.id));
    verdict.stopped += u64::from(stopped);
    verdict.large += u64::from(house::is_spread(number) || house::is_padded(number));
    if !house::is_spread(number) {
        // The child has been given it, and has given it back.
        let output = json!({"id": number, "padding": input["padding"], "back": {"padding": input["padding"]}});
        verdict.expect(same(view.output.as_ref(), &output), || format!("{}: another output", view.id));
    }
    Ok(())
}

fn steps(house: &House) -> Result<Steps, String> {
    let mut steps = Steps::new();
    house.each(OUT, &mut |_, record| {
        let value: Value = serde_json::from_slice(record.value.as_deref().unwrap_or_default()).unwrap();
        let key = (value["id"].as_u64().unwrap(), value["step"].as_str().unwrap().to_owned());
        *steps.entry(key).or_default() += 1;
    })?;
    Ok(steps)
}

/// An object of the bucket, as JSON.
fn object(house: &House, key: &str) -> Result<Option<Value>, String> {
    let told = |error: io::Error| format!("{key}: {error}");
    let Some(named) = house.blobs.find(&Name::new(BUCKET).unwrap(), key).map_err(told)? else { return Ok(None) };
    let blob = named.blob.parse::<BlobId>().map_err(|()| format!("{key} names the blob `{}`", named.blob))?;
    let blob = house.blobs.read(blob).map_err(told)?.ok_or_else(|| format!("{key}: its blob is gone"))?;
    serde_json::from_reader(blob).map(Some).map_err(|error| format!("{key}: {error}"))
}

/// The manifest of an execution's Map Run, which is written last, and the run's short name.
async fn manifest(house: &House, id: &str) -> Result<(String, Value), String> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let runs = house.engine.map_runs(id).map_err(|problem| problem.to_string())?;
        let arn = runs.first().and_then(|run| run.get("mapRunArn")?.as_str());
        if let Some(run) = arn.and_then(|arn| arn.rsplit(':').next())
            && let Some(manifest) = object(house, &format!("{PREFIX}/{run}/manifest.json"))?
        {
            return Ok((run.to_owned(), manifest));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Err(format!("{id}: the files of its Map Run never come"))
}

/// Compares the files of a Map Run with what its children did.
fn compare_files(
    house: &House,
    number: u64,
    aborted: bool,
    run: &str,
    manifest: &Value,
    steps: &Steps,
    verdict: &mut Verdict,
) -> Result<(), String> {
    let mut listed: BTreeMap<u64, String> = BTreeMap::new();
    for kind in ["SUCCEEDED", "FAILED", "PENDING"] {
        for file in manifest["ResultFiles"][kind].as_array().into_iter().flatten() {
            let key = file["Key"].as_str().unwrap_or_default();
            let rows = object(house, key)?.ok_or_else(|| format!("{key} is in a manifest and not there"))?;
            for row in rows.as_array().into_iter().flatten() {
                let at = row["Name"].as_str().and_then(|name| name.rsplit('-').next()?.parse::<u64>().ok());
                let at = at.ok_or_else(|| format!("{key}: a result of nobody, {row}"))?;
                let status = row["Status"].as_str().unwrap_or_default();
                let shown = |field: &str| serde_json::from_str::<Value>(row[field].as_str()?).ok();
                let item = Some(house::item(number, at));
                verdict.expect(shown("Input") == item, || format!("{key}: another input of {at}"));
                verdict.expect(status != "SUCCEEDED" || shown("Output") == item, || {
                    format!("{key}: another output of {at}")
                });
                let belongs = matches!((kind, status), ("FAILED", "ABORTED")) || kind == status;
                verdict.expect(belongs, || format!("{key}: {at} is {status}"));
                if listed.insert(at, status.to_owned()).is_some() {
                    verdict.double(format!("the result of {at} of {run}"));
                }
            }
        }
    }
    verdict.expect(listed.len() as u64 == ITEMS, || format!("{run}: {} of {ITEMS} items have results", listed.len()));
    for (at, status) in &listed {
        verdict.expect(aborted || status == "SUCCEEDED", || format!("{run}: {at} is {status}, and nobody stopped it"));
        let child = house.engine.describe(&format!("spread/{run}-{at}")).ok().map(|child| child.state);
        // One that had its turn when the stop came, and was not begun any more, is aborted and nowhere.
        let agrees = matches!(
            (status.as_str(), child),
            ("SUCCEEDED", Some(ExecutionState::Succeeded))
                | ("ABORTED", Some(ExecutionState::Aborted) | None)
                | ("PENDING", None)
        );
        verdict.expect(agrees, || format!("{run}: {at} is {status}, and its child {child:?}"));
        // It publishes in the commit that begins it.
        let published = steps.contains_key(&(number, house::step(*at)));
        verdict.expect(published == child.is_some(), || format!("{run}: {at} is {status}, published: {published}"));
    }
    Ok(())
}
