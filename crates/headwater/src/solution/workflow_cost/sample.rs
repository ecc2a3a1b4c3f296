//! The sample: records of real runs, price lists and discounts, as they lie in the solution's folder.

use headwater_base::Problem;
use headwater_cost::engines::{self, About, Engine, File};
use headwater_cost::lists::{self, List, Reservation};
use headwater_cost::{Discount, Run, Series, Time};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::solution::package::Package;

/// When the sample's price lists were read.
pub const AS_OF: &str = "2026-12-01T00:00:00Z";

/// What `runs.json` says of a run: its engine, and what the engine's records do not say.
#[derive(Deserialize)]
struct Listed {
    engine: Engine,
    #[serde(flatten)]
    about: About,
}

/// The real runs.
///
/// # Errors
/// `HW-COST-*` and `HW-CLI-201` when the sample cannot be read, which a test excludes.
pub fn runs(package: &Package) -> Result<Vec<Run>, Problem> {
    let listed: Vec<Listed> = document(package, "sample/runs.json")?;
    let mut runs = Vec::new();
    for Listed { engine, about } in listed {
        let folder = package.files(&format!("sample/runs/{}", about.id));
        let files: Vec<File<'_>> = folder.iter().map(|(path, bytes)| File { path, bytes }).collect();
        runs.push(engines::read(engine, &files, &about)?);
    }
    Ok(runs)
}

/// The sample's price lists.
///
/// # Errors
/// As [`runs`].
pub fn prices(package: &Package) -> Result<Vec<Series>, Problem> {
    let as_of = Time::parse(AS_OF).unwrap_or_default();
    let mut series = Vec::new();
    for (path, bytes) in package.files("sample/prices") {
        let read: fn(&[u8], Time) -> Result<List, Problem> = match path.as_str() {
            "spot.json" => lists::spot,
            "list.csv" => lists::csv,
            _ => |bytes, as_of| lists::aws(bytes, as_of, &Reservation::default()),
        };
        series.extend(read(bytes, as_of)?.series);
    }
    Ok(series)
}

/// The sample's discounts.
///
/// # Errors
/// As [`runs`].
pub fn discounts(package: &Package) -> Result<Vec<Discount>, Problem> {
    document(package, "sample/discounts.json")
}

fn document<T: DeserializeOwned>(package: &Package, path: &str) -> Result<T, Problem> {
    serde_json::from_str(package.text(path).unwrap_or_default()).map_err(|error| {
        Problem::new("HW-CLI-201", "the solution's sample cannot be read").because(&error).at(
            format!("{}/{path}", package.name),
            u32::try_from(error.line()).unwrap_or(0),
            0,
        )
    })
}
