//! The solutions of this binary, as a node offers them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use headwater_base::Problem;
use headwater_kernel::port::Solutions;
use headwater_kernel::port::solutions::{File, Solution};

use super::package::{self, Settings};

/// All of them, with the folder that secrets are kept in.
pub struct Shelf {
    solutions: Vec<Solution>,
    folder: PathBuf,
}

impl Shelf {
    /// The solutions of a node with this data folder.
    ///
    /// # Errors
    /// `HW-CLI-201` for a solution that cannot be read, which a test excludes.
    pub fn new(folder: PathBuf) -> Result<Self, Problem> {
        let solutions = package::all()?.iter().map(package::Package::shown).collect::<Result<_, _>>()?;
        Ok(Self { solutions, folder })
    }
}

impl Solutions for Shelf {
    fn list(&self) -> &[Solution] {
        &self.solutions
    }

    fn files(&self, name: &str, values: BTreeMap<String, String>) -> Result<Vec<File>, Problem> {
        package::find(name)?.resources(&Settings { folder: self.folder.clone(), values })
    }
}
