//! `Program`, `Condition`, `Expression`: VRL that a spec's author wrote, compiled with types checked, and run on a
//! [`Doc`] that parses only what the program reads.
//!
//! Invariants: a program gives the same event as a full parse, run and encode would (ADR 0002); it sees nothing but
//! the event and its metadata (`functions`); it always ends (a bound on its expressions); it cannot end the process.
//! What goes wrong while it runs is a [`Fault`], which makes the event a dead letter; `abort` does the same with its
//! author's message.

mod diagnose;
mod env;
mod functions;
mod keyring;
mod named;
mod plain;
mod target;

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use headwater_base::{Place, Problem};
use headwater_kernel::port::Secrets;
use headwater_kernel::unit::contained;
use parking_lot::Mutex;
use smallvec::SmallVec;
use vrl::compiler::runtime::Terminate;
use vrl::compiler::state::ExternalEnv;
use vrl::compiler::{CompileConfig, ExpressionError, Function, Target, TargetValue, TimeZone};
use vrl::path::{OwnedSegment, OwnedTargetPath};
use vrl::value::Value;

use crate::doc::{Doc, Fault};

pub use env::{Env, Meta};
pub use keyring::{Keyring, Period};
pub use named::secrets_of;

/// Expressions that one run may evaluate; an event's worth is a few dozen.
const EXPRESSIONS_MAX: u32 = 1_000_000;
/// Variables for which a run has room by itself.
const VARIABLES_USUAL: usize = 16;
/// The largest index in a path that a program writes to: everything below it is filled with nulls.
const INDEX_MAX: isize = 1_000;

/// Times without a zone are UTC, wherever the node runs.
static UTC: LazyLock<TimeZone> = LazyLock::new(|| TimeZone::parse("UTC").unwrap_or_default());

/// Compiles programs; holds the functions and the keyrings they share.
pub struct Compiler {
    functions: Vec<Box<dyn Function>>,
    keyrings: functions::Keyrings,
}

/// Changes an event.
#[derive(Clone, Debug)]
pub struct Program {
    whole: Arc<vrl::compiler::Program>,
    /// How it begins, as far as that does without VRL: all of it, if there is no more.
    head: Arc<[plain::Statement]>,
    /// What needs VRL.
    body: Option<Arc<vrl::compiler::Program>>,
    /// How it ends.
    tail: Arc<[plain::Statement]>,
    /// Variables of the head.
    variables: usize,
    /// Head or tail need the event's time; without one VRL runs the whole.
    timed: bool,
}

/// Answers true or false about an event.
#[derive(Clone, Debug)]
pub struct Condition {
    program: Arc<vrl::compiler::Program>,
    plain: Option<Arc<plain::Test>>,
}

/// Computes a value from an event.
#[derive(Clone, Debug)]
pub struct Expression(Arc<vrl::compiler::Program>);

impl Compiler {
    /// A compiler whose `token` function takes its keyrings from `secrets`.
    pub fn new(secrets: Arc<dyn Secrets>) -> Self {
        let known: Mutex<HashMap<String, Arc<Keyring>>> = Mutex::default();
        Self::with_keyrings(move |name| {
            if let Some(keyring) = known.lock().get(name) {
                return Ok(keyring.clone());
            }
            let keyring = Arc::new(Keyring::new(secrets.read(name)?));
            known.lock().insert(name.to_owned(), keyring.clone());
            Ok(keyring)
        })
    }

    /// A compiler for checking only: every secret is taken to exist.
    pub fn for_check() -> Self {
        Self::with_keyrings(|_| Ok(Arc::new(Keyring::new(Bytes::from_static(b"check")))))
    }

    fn with_keyrings(keyrings: impl Fn(&str) -> Result<Arc<Keyring>, Problem> + Send + Sync + 'static) -> Self {
        Self { functions: functions::all(), keyrings: functions::Keyrings(Arc::new(keyrings)) }
    }

    /// Compiles a program that may change the event. `place` is where its first character stands.
    ///
    /// # Errors
    /// `HW-FLOW-111` with VRL's complaint, `HW-FLOW-113` for a function that is not available, `HW-FLOW-114` for a
    /// program that is too large.
    pub fn program(&self, source: &str, place: &Place) -> Result<Program, Problem> {
        let event = ExternalEnv::default();
        let whole = Arc::new(self.compile(source, place, false, &event)?);
        let parts = plain::split(source, &|name| (self.keyrings.0)(name).ok());
        let parts = parts.and_then(|parts| {
            if parts.body.trim().is_empty() {
                return Some((parts, None));
            }
            if parts.head.is_empty() && parts.tail.is_empty() {
                return None;
            }
            // What VRL learns of the event in the head has to be known in the body: whether it compiles depends on that,
            // and what a failed assignment leaves.
            let head = self.compile(source.get(..parts.head_bytes)?, place, false, &event).ok()?;
            let body = self.compile(&parts.body, place, false, &head.final_type_info().state.external).ok()?;
            Some((parts, Some(Arc::new(body))))
        });
        Ok(match parts {
            Some((plain::Parts { head, tail, variables, timed, .. }, body)) => {
                Program { whole, head: head.into(), body, tail: tail.into(), variables, timed }
            }
            None => {
                let (head, tail) = (Arc::default(), Arc::default());
                Program { body: Some(Arc::clone(&whole)), whole, head, tail, variables: 0, timed: false }
            }
        })
    }

    /// Compiles a condition.
    ///
    /// # Errors
    /// As [`Compiler::program`], and `HW-FLOW-112` unless it gives true or false.
    pub fn condition(&self, source: &str, place: &Place) -> Result<Condition, Problem> {
        let program = self.compile(source, place, true, &ExternalEnv::default())?;
        let result = program.final_type_info().result;
        if !result.kind().is_boolean() {
            return Err(Problem::new(
                "HW-FLOW-112",
                format!("a condition gives true or false, this gives {}", result.kind()),
            )
            .at(place.path.clone(), place.line, place.column)
            .help("compare the value: `.price > 10`, `.kind == \"view\"`, `exists(.user_id)`, `.ok == true`"));
        }
        Ok(Condition { program: Arc::new(program), plain: plain::test(source).map(Arc::new) })
    }

    /// Compiles an expression.
    ///
    /// # Errors
    /// As [`Compiler::program`].
    pub fn expression(&self, source: &str, place: &Place) -> Result<Expression, Problem> {
        Ok(Expression(Arc::new(self.compile(source, place, true, &ExternalEnv::default())?)))
    }

    /// `event` is what is known of the event: by default, that it is an object.
    fn compile(
        &self,
        source: &str,
        place: &Place,
        read_only: bool,
        event: &ExternalEnv,
    ) -> Result<vrl::compiler::Program, Problem> {
        diagnose::check_size(source, place)?;
        let mut config = CompileConfig::default();
        if read_only {
            config.set_read_only();
        } else {
            config.set_read_only_path(OwnedTargetPath::metadata_root(), true);
        }
        config.set_custom(self.keyrings.clone());
        // The compiler is a large piece of somebody else's code that reads what users write.
        let compiled = contained(|| vrl::compiler::compile_with_external(source, &self.functions, event, config));
        let program = match compiled {
            Ok(Ok(compiled)) => compiled.program,
            Ok(Err(list)) => return Err(diagnose::problem(source, place, &list)),
            Err(said) => {
                let problem = Problem::new("HW-FLOW-111", "the VRL compiler failed on this program").because(said);
                return Err(problem.at(place.path.clone(), place.line, place.column));
            }
        };
        let far = |path: &&OwnedTargetPath| {
            path.path
                .segments
                .iter()
                .any(|segment| matches!(segment, OwnedSegment::Index(index) if index.abs() > INDEX_MAX))
        };
        if let Some(path) = program.info().target_assignments.iter().find(far) {
            return Err(Problem::new("HW-FLOW-114", format!("`{path}` is set by an index beyond {INDEX_MAX}"))
                .at(place.path.clone(), place.line, place.column)
                .help("everything below an index is filled with nulls; use an object instead"));
        }
        Ok(program)
    }
}

impl Program {
    /// Runs the program on an event. After a fault the event may be half changed; [`Doc::original`] is what arrived.
    ///
    /// # Errors
    /// `HW-FLOW-121` for an error that the program did not handle, 122 for its `abort`, 123 when it leaves something
    /// that is not an object, 124 when it does not end, 125 when the runtime fails.
    pub fn run(&self, doc: &mut Doc, env: &mut Env) -> Result<(), Fault> {
        let Env { runtime, metadata } = env;
        if self.timed && metadata.seconds().is_none() {
            resolve(&self.whole, &mut target::Edit::new(doc, metadata), runtime)?;
        } else {
            let aborted = |words: String| Fault::new("HW-FLOW-122", words);
            let none = plain::Variable::Value(Value::Null);
            let mut variables = SmallVec::<[_; VARIABLES_USUAL]>::from_elem(none, self.variables);
            plain::run(&self.head, doc, metadata, &mut variables).map_err(aborted)?;
            if let Some(body) = &self.body {
                resolve(body, &mut target::Edit::new(doc, metadata), runtime)?;
            }
            // These are deletions, which use no variables.
            plain::run(&self.tail, doc, metadata, &mut []).map_err(aborted)?;
        }
        if !doc.is_object() {
            return Err(Fault::new("HW-FLOW-123", "the program leaves something that is not an object"));
        }
        Ok(())
    }
}

impl Program {
    /// What [`Program::run`] must be equal to: parse everything, run, write everything. For tests and measurements.
    ///
    /// # Errors
    /// As [`Program::run`], and `HW-FLOW-120`.
    pub fn run_in_full(&self, event: &[u8], env: &mut Env) -> Result<Vec<u8>, Fault> {
        let value = serde_json::from_slice::<Value>(event).ok().filter(|value| value.is_object());
        let value = value.ok_or_else(|| Fault::new("HW-FLOW-120", "not a JSON object"))?;
        let metadata = env.metadata.get(&[]).cloned().unwrap_or(Value::Null);
        let mut target = TargetValue { value, metadata, secrets: Default::default() };
        resolve(&self.whole, &mut target, &mut env.runtime)?;
        if !target.value.is_object() {
            return Err(Fault::new("HW-FLOW-123", "the program leaves something that is not an object"));
        }
        serde_json::to_vec(&target.value).map_err(|error| Fault::new("HW-FLOW-121", error.to_string()))
    }
}

impl Condition {
    /// Whether the condition holds.
    ///
    /// # Errors
    /// As [`Program::run`].
    pub fn test(&self, doc: &Doc, env: &mut Env) -> Result<bool, Fault> {
        if let Some(plain) = &self.plain {
            return Ok(plain.holds(plain::Scope { doc, metadata: &env.metadata, variables: &[] }));
        }
        self.test_in_vrl(doc, env)
    }

    /// What [`Condition::test`] must be equal to.
    fn test_in_vrl(&self, doc: &Doc, env: &mut Env) -> Result<bool, Fault> {
        let Env { runtime, metadata } = env;
        Ok(resolve(&self.program, &mut target::Read::new(doc, metadata), runtime)? == Value::Boolean(true))
    }
}

impl Expression {
    /// The expression's value.
    ///
    /// # Errors
    /// As [`Program::run`].
    pub fn eval(&self, doc: &Doc, env: &mut Env) -> Result<Value, Fault> {
        let Env { runtime, metadata } = env;
        resolve(&self.0, &mut target::Read::new(doc, metadata), runtime)
    }
}

fn resolve(
    program: &vrl::compiler::Program,
    target: &mut dyn Target,
    runtime: &mut vrl::compiler::runtime::Runtime,
) -> Result<Value, Fault> {
    let mut expressions = 0_u32;
    let mut control = || {
        expressions += 1;
        if expressions > EXPRESSIONS_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    // VRL's functions are a large body of code that sees whatever the world sends: one event must not end the thread.
    let result = contained(|| runtime.resolve_with_control(target, program, &UTC, &mut control));
    runtime.clear();
    match result {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(Terminate::Interrupted)) => {
            Err(Fault::new("HW-FLOW-124", format!("the program did not end within {EXPRESSIONS_MAX} expressions")))
        }
        Ok(Err(Terminate::Abort(ExpressionError::Abort { message, .. }))) => {
            Err(Fault::new("HW-FLOW-122", message.unwrap_or_else(|| "aborted by the program".to_owned())))
        }
        Ok(Err(Terminate::Abort(error) | Terminate::Error(error))) => Err(Fault::new("HW-FLOW-121", error.to_string())),
        // What the panic said may be the event's own text.
        Err(_) => Err(Fault::new("HW-FLOW-125", "the VRL runtime failed on this event")),
    }
}

#[cfg(test)]
mod tests;
