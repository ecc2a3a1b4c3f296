//! What the words of a command line name: kinds, resources, and what is no resource but listed like one.

use headwater_base::{Problem, closest};

use crate::node::registry;
use crate::problems::Problems;

/// What is listed like a kind and is none.
const BEYOND: [&str; 4] = ["executions", "groups", "queries", "replays"];

/// What the words of a command line name: whole kinds, or resources.
#[derive(Debug, PartialEq, Eq)]
pub enum Targets {
    /// By their plurals; `all` for every kind.
    Kinds(Vec<String>),
    /// Plural and name.
    Named(Vec<(String, String)>),
}

/// Reads `KIND[,KIND]`, `KIND NAME...` or `KIND/NAME...`, as kubectl does.
///
/// # Errors
/// `HW-KERNEL-006` for no kind, `HW-CLI-010` for a mixture.
pub fn targets(what: &str, more: &[String]) -> Result<Targets, Problems> {
    let wrong = |fact: String| {
        Problem::new("HW-CLI-010", fact).help("write `KIND/NAME`, such as `stream/orders`, or `KIND NAME NAME`")
    };
    if what.contains('/') {
        let named =
            std::iter::once(what).chain(more.iter().map(String::as_str)).map(|word| match word.split_once('/') {
                Some((kind, name)) if !name.is_empty() => Ok((plural(kind)?, name.to_owned())),
                _ => Err(wrong(format!("`{word}` names no resource"))),
            });
        return Ok(Targets::Named(named.collect::<Result<_, _>>()?));
    }
    let kinds = what.split(',').map(plural).collect::<Result<Vec<String>, _>>()?;
    match kinds.as_slice() {
        _ if more.is_empty() => Ok(Targets::Kinds(kinds)),
        [kind] => Ok(Targets::Named(more.iter().map(|name| (kind.clone(), name.clone())).collect())),
        _ => Err(wrong(format!("`{what}` is several kinds, so that a name alone does not say which")).into()),
    }
}

/// The resources that words name.
///
/// # Errors
/// `HW-CLI-010` when they name none.
pub fn named(what: &str, more: &[String]) -> Result<Vec<(String, String)>, Problems> {
    match targets(what, more)? {
        Targets::Named(named) => Ok(named),
        Targets::Kinds(_) => Err(Problem::new("HW-CLI-010", format!("`{what}` names no resource"))
            .help("write `KIND/NAME`, such as `stream/orders`")
            .into()),
    }
}

/// The name of the one resource of `kind` that a verb is about, written as `NAME` or `KIND/NAME`.
///
/// # Errors
/// `HW-KERNEL-006` for no kind, `HW-CLI-010` for one of another kind.
pub fn name_of<'a>(kind: &str, what: &'a str) -> Result<&'a str, Problem> {
    let Some((word, name)) = what.split_once('/') else { return Ok(what) };
    let registry = registry();
    let found = registry.find(word)?;
    if found.name == kind && !name.is_empty() {
        return Ok(name);
    }
    let plural = registry.kind(kind).map_or("all", |kind| kind.plural);
    let kind = kind.to_lowercase();
    Err(Problem::new("HW-CLI-010", format!("`{}` names no {kind}", what.escape_debug()))
        .help(format!("write `{kind}/NAME`; `headwater get {plural}` lists them")))
}

/// The plural of the kind that a word means; `all` for every kind.
fn plural(word: &str) -> Result<String, Problem> {
    if word == "all" {
        return Ok("all".to_owned());
    }
    let registry = registry();
    registry.find(word).map(|kind| kind.plural.to_owned()).map_err(|problem| {
        let kinds = registry.kinds().iter().flat_map(|kind| [kind.name, kind.plural]);
        match closest(word, kinds.chain(BEYOND)).filter(|near| BEYOND.contains(near)) {
            Some(near) => {
                problem.help(format!("`{near}` are no resources and stand alone, as in `headwater get {near}`"))
            }
            None => problem,
        }
    })
}

/// The names that are asked for, where one of these words stands for the kind: what it means is no resource.
pub fn beyond(what: &str, more: &[String], words: &[&str]) -> Option<Vec<String>> {
    let Some((word, first)) = what.split_once('/') else {
        return words.contains(&what).then(|| more.to_vec());
    };
    // Behind `KIND/NAME` stand further `KIND/NAME`.
    let bare = |name: &String| match name.split_once('/') {
        Some((word, rest)) if words.contains(&word) => rest.to_owned(),
        _ => name.clone(),
    };
    words.contains(&word).then(|| std::iter::once(first.to_owned()).chain(more.iter().map(bare)).collect())
}

/// `HW-CLI-025`: a flag that has no meaning for what is no resource.
pub fn for_resources(flag: &str, what: &str) -> Problem {
    let fact = format!("`{flag}` is for resources, and `{}` is none", what.escape_debug());
    Problem::new("HW-CLI-025", fact).help("`headwater explain` lists the kinds of resources")
}

/// `HW-CLI-025`: a flag that has no meaning for what is no execution.
pub fn for_executions(flag: &str, what: &str) -> Problem {
    let fact = format!("`{flag}` is for executions of workflows, and `{}` is none", what.escape_debug());
    Problem::new("HW-CLI-025", fact).help("leave it out")
}

/// `HW-CLI-025`: labels of what is named anyway.
pub fn beside_names(selector: &str) -> Problem {
    Problem::new("HW-CLI-025", format!("`--selector {}` stands beside names", selector.escape_debug()))
        .help("leave the names or the labels out")
}

/// `HW-CLI-023`: labels that do not say of what.
pub fn kindless(verb: &str, selector: &str) -> Problem {
    let fact = format!("`--selector {}` does not say of which kinds", selector.escape_debug());
    let help = format!(
        "write `headwater {verb} all -l '{}'`, or kinds such as `streams,pipelines` for `all`",
        selector.escape_debug()
    );
    Problem::new("HW-CLI-023", fact).help(help)
}
