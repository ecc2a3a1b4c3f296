//! `now()`: the processing time, from the pipeline's clock (`%now`).

use std::sync::LazyLock;

use vrl::compiler::prelude::*;
use vrl::path::{OwnedTargetPath, OwnedValuePath};

static NOW: LazyLock<OwnedTargetPath> =
    LazyLock::new(|| OwnedTargetPath::metadata(OwnedValuePath::single_field("now")));

#[derive(Clone, Copy, Debug)]
pub(super) struct Now;

impl Function for Now {
    fn identifier(&self) -> &'static str {
        "now"
    }

    fn usage(&self) -> &'static str {
        "The processing time: the clock of the node, or of the run over files."
    }

    fn category(&self) -> &'static str {
        Category::Timestamp.as_ref()
    }

    fn return_kind(&self) -> u16 {
        kind::TIMESTAMP
    }

    fn pure(&self) -> bool {
        false
    }

    fn examples(&self) -> &'static [Example] {
        &[]
    }

    fn compile(&self, _: &state::TypeState, _: &mut FunctionCompileContext, _: ArgumentList) -> Compiled {
        Ok(NowFn.as_expr())
    }
}

#[derive(Clone, Debug)]
struct NowFn;

impl FunctionExpression for NowFn {
    fn resolve(&self, ctx: &mut Context) -> Resolved {
        let now = ctx.target().target_get(&NOW).ok().flatten().filter(|now| now.is_timestamp()).cloned();
        Ok(now.unwrap_or(Value::Timestamp(chrono::DateTime::UNIX_EPOCH)))
    }

    fn type_def(&self, _: &state::TypeState) -> TypeDef {
        TypeDef::timestamp().impure()
    }
}
