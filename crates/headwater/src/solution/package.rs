//! A solution as it is shipped: a folder of resources and samples, embedded in the binary.
//!
//! Resources name what differs between machines as `${parameter}`; `solution.yaml` says what each parameter is: a fixed
//! value, a file of an npm data package, or a secret that is drawn once and kept.
//!
//! What it is NOT: no code of a solution is in here; adding one is adding a folder, and what it can do beyond being
//! applied a row in `cli/solution/drivers.rs`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use headwater_base::{Limits, Problem, closest};
use headwater_kernel::port::solutions::{self, File, Solution};
use headwater_kernel::yaml::{self, Document};
use include_dir::{Dir, include_dir};
use serde::Deserialize;

static SOLUTIONS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../solutions");

/// A solution of this binary.
#[derive(Clone, Debug)]
pub struct Package {
    /// Its name, which is its folder's.
    pub name: String,
    /// One line about it.
    pub title: String,
    /// A sentence about it.
    pub about: String,
    parameters: BTreeMap<String, Parameter>,
    folder: &'static Dir<'static>,
}

/// Where things are on this machine.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Folder for the solution's secrets; usually the node's data folder.
    pub folder: PathBuf,
    /// Values that replace the parameters' own.
    pub values: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(non_snake_case, reason = "the keys of the file")]
struct Manifest {
    #[serde(rename = "apiVersion")]
    _api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
    metadata: Metadata,
    spec: Spec,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    title: String,
    about: String,
    #[serde(default)]
    parameters: BTreeMap<String, Parameter>,
}

/// What a parameter is; exactly one of the three.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Parameter {
    about: String,
    value: Option<String>,
    package: Option<String>,
    secret: Option<String>,
}

/// Every solution by its name, be it as it should be or `HW-CLI-201` where its `solution.yaml` cannot be read, which a
/// test excludes. One that is broken is no reason not to have the others.
pub fn all() -> BTreeMap<String, Result<Package, Problem>> {
    let name = |folder: &Dir<'_>| folder.path().to_string_lossy().into_owned();
    SOLUTIONS.dirs().map(|folder| (name(folder), read(folder))).collect()
}

/// One solution.
///
/// # Errors
/// `HW-CLI-201` when there is none of that name, or when it cannot be read.
pub fn find(name: &str) -> Result<Package, Problem> {
    let mut all = all();
    if let Some(package) = all.remove(name) {
        return package;
    }
    let names: Vec<&str> = all.keys().map(String::as_str).collect();
    let mut help = format!("solutions are `{}`", names.join("`, `"));
    if let Some(near) = closest(name, names.iter().copied()) {
        help.push_str(&format!("; did you mean `{near}`?"));
    }
    Err(Problem::new("HW-CLI-201", format!("there is no solution `{}`", name.escape_debug())).help(help))
}

fn read(folder: &'static Dir<'static>) -> Result<Package, Problem> {
    let name = folder.path().to_string_lossy().into_owned();
    let path = format!("{name}/solution.yaml");
    let broken = |cause: String| {
        Problem::new("HW-CLI-201", "the solution's description cannot be read").because(cause).at(&path, 0, 0)
    };
    let text = folder.get_file(&path).map(include_dir::File::contents).unwrap_or_default();
    let documents = yaml::read(&path, text, &Limits::default()).map_err(|problems| unreadable(problems, &path))?;
    let value = documents.into_iter().next().ok_or_else(|| broken("it is empty".to_owned()))?.value;
    let manifest: Manifest = serde_json::from_value(value).map_err(|error| broken(error.to_string()))?;
    if manifest.metadata.name != name {
        return Err(broken(format!("it is named `{}`, its folder `{name}`", manifest.metadata.name)));
    }
    let Spec { title, about, parameters } = manifest.spec;
    Ok(Package { name, title, about, parameters, folder })
}

impl Package {
    /// How it is offered.
    ///
    /// # Errors
    /// `HW-CLI-201` when its resources cannot be read, which a test excludes.
    pub fn shown(&self) -> Result<Solution, Problem> {
        let parameter = |(name, it): (&String, &Parameter)| solutions::Parameter {
            name: name.clone(),
            about: it.about.clone(),
            value: it.value.clone(),
        };
        let mut resources = Vec::new();
        for (name, text) in self.yaml() {
            let documents = yaml::read(&name, text.as_bytes(), &Limits::default());
            let documents = documents.map_err(|problems| unreadable(problems, &name))?;
            resources.extend(documents.iter().filter_map(id));
        }
        resources.sort_unstable();
        Ok(Solution {
            name: self.name.clone(),
            title: self.title.clone(),
            about: self.about.clone(),
            parameters: self.parameters.iter().map(parameter).collect(),
            resources,
            problem: None,
        })
    }

    /// The text of one of its files, such as `README.md`.
    pub fn text(&self, path: &str) -> Option<&'static str> {
        self.folder.get_file(format!("{}/{path}", self.name))?.contents_utf8()
    }

    /// The files below one of its folders, by their paths from it.
    pub fn files(&self, folder: &str) -> Vec<(String, &'static [u8])> {
        let folder = format!("{}/{folder}", self.name);
        let mut found = Vec::new();
        let mut open: Vec<&Dir<'static>> = self.folder.get_dir(&folder).into_iter().collect();
        while let Some(dir) = open.pop() {
            open.extend(dir.dirs());
            let path = |file: &include_dir::File<'_>| file.path().strip_prefix(&folder).ok().map(Path::to_path_buf);
            let files = dir.files().filter_map(|file| Some((path(file)?, file.contents())));
            found.extend(files.map(|(path, bytes)| (path.to_string_lossy().into_owned(), bytes)));
        }
        found.sort_unstable();
        found
    }

    /// Its resources with every parameter filled in. A secret that is not there yet is drawn and kept below the folder.
    ///
    /// # Errors
    /// `HW-CLI-201` for a value of no parameter, `HW-CLI-202` when a data package is missing, `HW-CLI-206` when a secret
    /// cannot be written.
    pub fn resources(&self, settings: &Settings) -> Result<Vec<File>, Problem> {
        let names = || self.parameters.keys().map(String::as_str);
        if let Some(unknown) = settings.values.keys().find(|name| !self.parameters.contains_key(*name)) {
            let fact = format!("the solution `{}` has no parameter `{}`", self.name, unknown.escape_debug());
            let mut help = format!("parameters are `{}`", names().collect::<Vec<_>>().join("`, `"));
            if let Some(near) = closest(unknown, names()) {
                help.push_str(&format!("; did you mean `{near}`?"));
            }
            return Err(Problem::new("HW-CLI-201", fact).help(help));
        }
        let mut values = Vec::new();
        for (name, parameter) in &self.parameters {
            let value = match settings.values.get(name) {
                Some(value) => value.clone(),
                None => self.value(name, parameter, &settings.folder)?,
            };
            values.push((format!("${{{name}}}"), value));
        }
        let filled = |text: &str| values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value));
        Ok(self.yaml().into_iter().map(|(name, text)| File { name, text: filled(text) }).collect())
    }

    /// The files of its resources as they are shipped, by name.
    fn yaml(&self) -> Vec<(String, &'static str)> {
        let Some(folder) = self.folder.get_dir(format!("{}/resources", self.name)) else { return Vec::new() };
        let files = folder.files().filter(|file| file.path().extension().is_some_and(|it| it == "yaml"));
        let mut files: Vec<_> = files
            .map(|file| (file.path().to_string_lossy().into_owned(), file.contents_utf8().unwrap_or_default()))
            .collect();
        files.sort_unstable();
        files
    }

    fn value(&self, name: &str, parameter: &Parameter, folder: &Path) -> Result<String, Problem> {
        match parameter {
            Parameter { value: Some(value), .. } => Ok(value.clone()),
            Parameter { package: Some(path), .. } => self.in_package(name, path),
            Parameter { secret: Some(name), .. } => secret(&folder.join("keys").join(name)),
            _ => Ok(String::new()),
        }
    }

    /// A file of an npm package: below `HEADWATER_PACKAGES`, or `data/node_modules` here, above here, or above the binary.
    fn in_package(&self, name: &str, path: &str) -> Result<String, Problem> {
        let mut places: Vec<PathBuf> = std::env::var_os("HEADWATER_PACKAGES").map(PathBuf::from).into_iter().collect();
        let here = std::env::current_dir().unwrap_or_default();
        let binary = std::env::current_exe().unwrap_or_default();
        for start in [here.as_path(), binary.as_path()] {
            places.extend(start.ancestors().map(|folder| folder.join("data/node_modules")));
        }
        if let Some(found) = places.iter().map(|place| place.join(path)).find(|file| file.is_file()) {
            return absolute(&found);
        }
        let package = path.rsplit_once('/').map_or(path, |(package, _)| package);
        Err(Problem::new("HW-CLI-202", format!("the data package `{package}` is not there"))
            .because(format!("the solution `{}` needs it for `{name}`", self.name))
            .help("fetch it: `npm ci --prefix data` in the source tree, or set HEADWATER_PACKAGES to a `node_modules` folder that has it"))
    }
}

/// What a document of resources is called.
fn id(document: &Document) -> Option<String> {
    let value = &document.value;
    Some(format!("{}/{}", value["kind"].as_str()?, value["metadata"]["name"].as_str()?))
}

/// The first of a file's problems.
fn unreadable(problems: Vec<Problem>, path: &str) -> Problem {
    let first = problems.into_iter().next();
    first.unwrap_or_else(|| Problem::new("HW-CLI-201", "a file of the solution cannot be read").at(path, 0, 0))
}

/// The path of a secret's file, which is drawn and written first if it is not there.
fn secret(path: &Path) -> Result<String, Problem> {
    if !path.is_file() {
        let draw = || -> std::io::Result<()> {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            let mut bytes = [0; 32];
            fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
            let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let mut options = fs::OpenOptions::new();
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            options.write(true).create_new(true).open(path)?.write_all(text.as_bytes())
        };
        draw().map_err(|error| unwritten(path, &error))?;
    }
    absolute(path)
}

fn absolute(path: &Path) -> Result<String, Problem> {
    let path = path.canonicalize().map_err(|error| unwritten(path, &error))?;
    Ok(path.to_string_lossy().into_owned())
}

fn unwritten(path: &Path, error: &std::io::Error) -> Problem {
    Problem::new("HW-CLI-206", format!("`{}` cannot be read or written", path.display())).because(error)
}

#[cfg(test)]
mod tests;
