//! `headwater diff`: what `apply` would change, as a unified diff of what people write.

use std::path::PathBuf;
use std::process::ExitCode;

use reqwest::Method;
use serde_json::Value;

use super::{Context, Done, files};
use crate::output::{self, yaml};

/// Lines around a change.
const AROUND: usize = 3;

/// Pairs of lines that are compared for what they have in common; texts that come to more are shown as replaced, since
/// time and memory grow with it.
const PAIRS_MAX: usize = 4_000_000;

/// Flags of `diff`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A file, a folder with everything below it, or `-` for standard input
    #[arg(short, long = "file", required = true, value_name = "FILE|DIR|-")]
    files: Vec<PathBuf>,
}

/// Compares files with the node.
///
/// # Errors
/// What `apply` would say.
pub async fn run(args: Args, context: &Context) -> Done {
    against_node(files::body(&files::read(&args.files)?), context).await
}

/// Compares the files in the body of an apply with the node.
///
/// # Errors
/// What `apply` would say.
pub async fn against_node(body: Vec<u8>, context: &Context) -> Done {
    let query = [("dry-run", "true"), ("reset-state", "true")];
    let report =
        context.client()?.json(Method::POST, &["v1", "apply"], &query, Some(("application/json", body))).await?;
    let color = output::colored(&std::io::stdout());
    let mut changed = false;
    for applied in report["resources"].as_array().into_iter().flatten() {
        let text = |value: &Value| if value.is_null() { String::new() } else { yaml::write(value) };
        let (before, after) = (text(&applied["before"]), text(&applied["after"]));
        if before == after {
            continue;
        }
        changed = true;
        let old = if before.is_empty() { "/dev/null".to_owned() } else { format!("node/{}", output::name(applied)) };
        output::line(format!("--- {old}\n+++ file/{}", output::name(applied)))?;
        for line in unified(&before, &after) {
            let code = match line.as_bytes().first() {
                Some(b'+') => "32",
                Some(b'-') => "31",
                Some(b'@') => "36",
                _ => "",
            };
            output::line(if color && !code.is_empty() { format!("\x1b[{code}m{line}\x1b[0m") } else { line })?;
        }
    }
    Ok(if changed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The lines of a unified diff, by the longest common subsequence of lines where they are few enough ([`PAIRS_MAX`]).
pub fn unified(before: &str, after: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let steps = steps(&old, &new);
    let changed: Vec<usize> =
        steps.iter().enumerate().filter(|(_, step)| step.0 != ' ').map(|(index, _)| index).collect();
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(first) = changed.get(at) {
        let start = first.saturating_sub(AROUND);
        let mut end = first + 1;
        while let Some(next) = changed.get(at).filter(|next| **next <= end + 2 * AROUND) {
            end = next + 1;
            at += 1;
        }
        let end = (end + AROUND).min(steps.len());
        let Some(hunk) = steps.get(start..end) else { break };
        let before = steps.get(..start).unwrap_or_default();
        let count = |steps: &[(char, &str)], but: char| steps.iter().filter(|step| step.0 != but).count();
        let (lines, all) = ((count(hunk, '+'), count(hunk, '-')), (count(before, '+'), count(before, '-')));
        let from = |lines: usize, before: usize| if lines == 0 { before } else { before + 1 };
        out.push(format!("@@ -{},{} +{},{} @@", from(lines.0, all.0), lines.0, from(lines.1, all.1), lines.1));
        out.extend(hunk.iter().map(|(sign, line)| format!("{sign}{line}")));
    }
    out
}

/// Each line with what becomes of it: kept (` `), gone (`-`) or new (`+`).
fn steps<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<(char, &'a str)> {
    let prefix = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old_rest, new_rest) = (old.get(prefix..).unwrap_or_default(), new.get(prefix..).unwrap_or_default());
    let suffix = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(a, b)| a == b).count();
    let end = old_rest.get(old_rest.len() - suffix..).unwrap_or_default();
    let old_rest = old_rest.get(..old_rest.len() - suffix).unwrap_or_default();
    let new_rest = new_rest.get(..new_rest.len() - suffix).unwrap_or_default();
    let mut out: Vec<(char, &str)> = old.iter().take(prefix).map(|line| (' ', *line)).collect();
    if old_rest.len().saturating_mul(new_rest.len()) > PAIRS_MAX {
        out.extend(old_rest.iter().map(|line| ('-', *line)));
        out.extend(new_rest.iter().map(|line| ('+', *line)));
    } else {
        common(old_rest, new_rest, &mut out);
    }
    out.extend(end.iter().map(|line| (' ', *line)));
    out
}

/// The steps from one text to the other by their longest common subsequence.
fn common<'a>(old: &[&'a str], new: &[&'a str], out: &mut Vec<(char, &'a str)>) {
    let width = new.len() + 1;
    // common[i * width + j]: lines shared by what begins at i in the old and at j in the new.
    let mut common = vec![0_u32; (old.len() + 1) * width];
    let at = |common: &[u32], i: usize, j: usize| common.get(i * width + j).copied().unwrap_or(0);
    for (i, a) in old.iter().enumerate().rev() {
        for (j, b) in new.iter().enumerate().rev() {
            let best =
                if a == b { at(&common, i + 1, j + 1) + 1 } else { at(&common, i + 1, j).max(at(&common, i, j + 1)) };
            if let Some(place) = common.get_mut(i * width + j) {
                *place = best;
            }
        }
    }
    let (mut i, mut j) = (0, 0);
    loop {
        match (old.get(i), new.get(j)) {
            (Some(a), Some(b)) if a == b => {
                out.push((' ', a));
                (i, j) = (i + 1, j + 1);
            }
            (Some(a), b) if b.is_none() || at(&common, i + 1, j) >= at(&common, i, j + 1) => {
                out.push(('-', a));
                i += 1;
            }
            (_, Some(b)) => {
                out.push(('+', b));
                j += 1;
            }
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests;
