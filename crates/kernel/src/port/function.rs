//! Functions that are built in: pure, called by name from a workflow as `lambda:invoke` calls a function.

use headwater_base::Problem;
use serde_json::Value;

/// One row of the table of functions.
#[derive(Clone, Copy)]
pub struct FunctionKind {
    /// What it is called.
    pub name: &'static str,
    /// Takes the event and answers, or says why it cannot. Pure: no clock, no chance, no outside.
    pub call: fn(&Value) -> Result<Value, Problem>,
}
