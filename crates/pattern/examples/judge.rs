//! Judges pairs of pattern and event, to compare with other implementations of the language:
//! each line of standard input is `{"pattern": TEXT, "event": TEXT}`, each line of output `M`, `N` or `E` and the reason.

use std::io::{self, BufRead, Write};

use headwater_pattern::{Pattern, RuleSet, Scratch};

fn main() -> io::Result<()> {
    let mut scratch = Scratch::default();
    let mut out = io::BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().lines() {
        let pair: serde_json::Value = serde_json::from_str(&line?).map_err(io::Error::other)?;
        let text = |name: &str| pair[name].as_str().unwrap_or_default();
        let answer = Pattern::parse(text("pattern")).and_then(|pattern| {
            RuleSet::build([&pattern])?.matches(text("event").as_bytes(), &mut scratch).map(|rules| !rules.is_empty())
        });
        match answer {
            Ok(true) => writeln!(out, "M")?,
            Ok(false) => writeln!(out, "N")?,
            Err(problem) => writeln!(out, "E {}", problem.title)?,
        }
    }
    out.flush()
}
