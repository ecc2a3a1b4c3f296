//! The solutions of this binary, as a node offers them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use headwater_base::Problem;
use headwater_kernel::port::Solutions;
use headwater_kernel::port::solutions::{File, Solution};

use super::package::{self, Package, Settings};

/// All of them, with the folder that secrets are kept in.
pub struct Shelf {
    solutions: Vec<Solution>,
    folder: PathBuf,
}

impl Shelf {
    /// The solutions of a node with this data folder. One that cannot be read is among them with its problem: it must not
    /// keep a node from starting.
    pub fn new(folder: PathBuf) -> Self {
        let solutions = package::all().into_iter().map(|(name, package)| offered(name, package)).collect();
        Self { solutions, folder }
    }
}

/// How a solution is offered, be it as it should be or not.
fn offered(name: String, package: Result<Package, Problem>) -> Solution {
    package.and_then(|package| package.shown()).unwrap_or_else(|problem| {
        tracing::error!(solution = name, code = problem.code, title = problem.title, "a solution cannot be read");
        Solution {
            name,
            title: problem.title.clone(),
            about: problem.causes.join("; "),
            parameters: Vec::new(),
            resources: Vec::new(),
            problem: Some(problem),
        }
    })
}

impl Solutions for Shelf {
    fn list(&self) -> &[Solution] {
        &self.solutions
    }

    fn files(&self, name: &str, values: BTreeMap<String, String>) -> Result<Vec<File>, Problem> {
        let package = package::find(name)?;
        package.resources(&Settings { folder: self.folder.clone(), values })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_solution_is_offered_with_its_problem() {
        let problem = Problem::new("HW-CLI-201", "the solution's description cannot be read").because("it is empty");
        let shown = offered("torn".to_owned(), Err(problem.clone()));
        assert_eq!((shown.name.as_str(), shown.about.as_str()), ("torn", "it is empty"));
        assert_eq!(shown.problem, Some(problem));
        let whole = Shelf::new(PathBuf::new());
        assert!(whole.list().len() > 2 && whole.list().iter().all(|solution| solution.problem.is_none()));
    }
}
