//! Ways by which what a pipeline writes comes back to it.
//!
//! What it is NOT: a way over rules, pipes and workflows. Those carry a chain of their own, and cut it.

use std::collections::{HashMap, HashSet};

/// By stream: where what is written to it goes on to.
#[derive(Debug, Default)]
pub struct Onward(HashMap<String, Vec<String>>);

impl Onward {
    /// Adds a pipeline: what it reads, what it writes.
    pub fn add(&mut self, reads: &str, writes: &[String]) {
        self.0.entry(reads.to_owned()).or_default().extend(writes.iter().cloned());
    }

    /// Adds that a table's own stream leads to the one that tells of its changes, for each table that is written.
    pub fn add_changes(&mut self) {
        let tables: HashSet<String> = self.0.values().flatten().filter(|stream| is_table(stream)).cloned().collect();
        for table in tables {
            let changes = format!("{table}.changes");
            self.add(&table, &[changes]);
        }
    }

    /// The way from one of the streams that a pipeline writes back to the one it reads, that one first and last.
    pub fn way_back(&self, reads: &str, writes: &[String]) -> Option<Vec<String>> {
        let mut ways: Vec<Vec<String>> = writes.iter().map(|stream| vec![reads.to_owned(), stream.clone()]).collect();
        let mut seen: HashSet<String> = HashSet::new();
        while let Some(way) = ways.pop() {
            let end = way.last().cloned().unwrap_or_default();
            if end == reads {
                return Some(way);
            }
            let next = self.0.get(&end).into_iter().flatten();
            if seen.insert(end) {
                ways.extend(next.map(|stream| way.iter().chain([stream]).cloned().collect::<Vec<_>>()));
            }
        }
        None
    }
}

fn is_table(stream: &str) -> bool {
    stream.starts_with("table.") && !stream.ends_with(".changes")
}

#[cfg(test)]
mod tests;
