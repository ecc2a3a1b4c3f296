//! What the VRL compiler complains about -> a [`Problem`] at the exact line and column of the file, and the checks
//! that come before the compiler.

use headwater_base::{Place, Problem};
use vrl::diagnostic::{Diagnostic, DiagnosticList, Note, Severity};

use super::functions;

/// The longest program.
const SOURCE_BYTES_MAX: usize = 64 * 1024;
/// The deepest nesting of brackets: compiling and running recurse.
const BRACKETS_MAX: usize = 64;
/// The most operators in one statement, which nest as brackets do.
const OPERATORS_MAX: usize = 200;
/// The most branches of a program: a chain of them nests too.
const BRANCHES_MAX: usize = 200;
/// VRL's code of a call to an unknown function.
const UNDEFINED_FUNCTION: usize = 105;

/// Refuses what would cost too much before anybody parses it.
pub(super) fn check_size(source: &str, place: &Place) -> Result<(), Problem> {
    let refuse = |fact: String, at: usize| {
        let (line, column) = locate(source, at, place);
        Problem::new("HW-FLOW-114", fact)
            .at(place.path.clone(), line, column)
            .help("split the program into several transform steps")
    };
    if source.len() > SOURCE_BYTES_MAX {
        return Err(refuse(format!("a program of {} bytes; the limit is {SOURCE_BYTES_MAX}", source.len()), 0));
    }
    let (mut brackets, mut operators, mut branches) = (0_usize, 0_usize, 0_usize);
    // A line that ends with an operator goes on in the next one.
    let mut goes_on = false;
    let mut quote: Option<char> = None;
    let mut comment = false;
    let mut characters = source.char_indices();
    while let Some((at, character)) = characters.next() {
        if comment {
            comment = character != '\n';
        } else if let Some(open) = quote {
            match character {
                '\\' => drop(characters.next()),
                _ if character == open => quote = None,
                _ => {}
            }
        } else {
            match character {
                '"' | '\'' => quote = Some(character),
                '#' => comment = true,
                '(' | '[' | '{' => brackets += 1,
                ')' | ']' | '}' => brackets = brackets.saturating_sub(1),
                '+' | '-' | '*' | '/' | '|' | '&' | '?' | '!' | '=' | '<' | '>' => operators += 1,
                '\n' | ';' if !goes_on => operators = 0,
                _ => {}
            }
            if !character.is_whitespace() && character != '#' {
                goes_on = matches!(character, '+' | '-' | '*' | '/' | '|' | '&' | '?' | '=' | '<' | '>');
            }
            if character == 'e' && source.get(at..).is_some_and(|rest| rest.starts_with("else")) {
                branches += 1;
            }
        }
        if brackets > BRACKETS_MAX {
            return Err(refuse(format!("more than {BRACKETS_MAX} brackets inside each other"), at));
        }
        if operators > OPERATORS_MAX {
            return Err(refuse(format!("more than {OPERATORS_MAX} operators in one statement"), at));
        }
        if branches > BRANCHES_MAX {
            return Err(refuse(format!("more than {BRANCHES_MAX} times `else`"), at));
        }
    }
    Ok(())
}

/// The problem of the first error; further ones become causes.
pub(super) fn problem(source: &str, place: &Place, list: &DiagnosticList) -> Problem {
    let errors: Vec<&Diagnostic> =
        list.iter().filter(|diagnostic| matches!(diagnostic.severity(), Severity::Error | Severity::Bug)).collect();
    let Some(first) = errors.first() else {
        return Problem::new("HW-FLOW-111", "the program cannot be compiled").at(
            place.path.clone(),
            place.line,
            place.column,
        );
    };
    let at = start(first);
    let (line, column) = locate(source, at, place);
    if first.code == UNDEFINED_FUNCTION {
        let rest = source.get(at..).unwrap_or_default();
        let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        if let Some(reason) = functions::blocked(&name) {
            return Problem::new("HW-FLOW-113", format!("the function `{name}` is not available: {reason}"))
                .at(place.path.clone(), line, column)
                .help("a program may use the event, its metadata and what lookups brought, and nothing else");
        }
    }
    let mut problem = Problem::new("HW-FLOW-111", fact(first)).at(place.path.clone(), line, column);
    problem.help = help(first);
    for other in errors.iter().skip(1).take(4) {
        let (line, column) = locate(source, start(other), place);
        problem = problem.because(format!("line {line}, column {column}: {}", fact(other)));
    }
    problem
}

fn start(diagnostic: &Diagnostic) -> usize {
    let labels = diagnostic.labels();
    labels.iter().find(|label| label.primary).or(labels.first()).map_or(0, |label| label.span.start())
}

/// One line: VRL's message, and what it says about the marked place.
fn fact(diagnostic: &Diagnostic) -> String {
    let mut fact = diagnostic.message().trim().to_owned();
    let primary = diagnostic.labels().iter().find(|label| label.primary && !label.message.is_empty());
    if let Some(label) = primary.filter(|label| !fact.contains(label.message.as_str())) {
        fact = format!("{fact}: {}", label.message);
    }
    let fact: String = fact.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut characters = fact.chars();
    match characters.next() {
        Some(first) if !fact.starts_with("VRL") => format!("{}{}", first.to_lowercase(), characters.as_str()),
        _ => fact,
    }
}

fn help(diagnostic: &Diagnostic) -> Option<String> {
    let mut lines: Vec<String> = Vec::new();
    for label in diagnostic.labels() {
        if !label.primary && !label.message.is_empty() {
            lines.push(label.message.trim().to_owned());
        }
    }
    for note in diagnostic.notes() {
        match note {
            Note::Hint(hint) => lines.push(hint.clone()),
            Note::CoerceValue => {
                lines.push("coerce the value with a function such as `string!(…)` or `to_int!(…)`".to_owned())
            }
            Note::Basic(text) if !text.trim().is_empty() => lines.push(text.trim().to_owned()),
            _ => {}
        }
    }
    (!lines.is_empty()).then(|| lines.join("; ").trim_start_matches("or ").to_owned())
}

/// Line and column in the file of a byte of the program. Every line of a program stands as far to the right as its
/// first one, as in a YAML block.
fn locate(source: &str, at: usize, place: &Place) -> (u32, u32) {
    if place.line == 0 {
        return (0, 0);
    }
    let mut at = at.min(source.len());
    while !source.is_char_boundary(at) {
        at -= 1;
    }
    let before = source.get(..at).unwrap_or_default();
    let line = before.matches('\n').count() as u32;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() as u32;
    (place.line + line, place.column.max(1) + column)
}
