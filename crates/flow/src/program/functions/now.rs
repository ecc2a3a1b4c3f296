//! `now()`: the processing time, from the pipeline's clock (`%now`).

use std::sync::LazyLock;

use vrl::compiler::prelude::*;
use vrl::path::{OwnedTargetPath, OwnedValuePath};

use super::Own;

static TIME: LazyLock<OwnedTargetPath> =
    LazyLock::new(|| OwnedTargetPath::metadata(OwnedValuePath::single_field("now")));

pub(super) const NOW: Own = Own {
    name: "now",
    usage: "The processing time: the clock of the node, or of the run over files.",
    category: &Category::Timestamp,
    returns: kind::TIMESTAMP,
    pure: false,
    parameters: &[],
    compile,
};

fn compile(_: &state::TypeState, _: &mut FunctionCompileContext, _: ArgumentList) -> Compiled {
    Ok(NowFn.as_expr())
}

#[derive(Clone, Debug)]
struct NowFn;

impl FunctionExpression for NowFn {
    fn resolve(&self, ctx: &mut Context) -> Resolved {
        let now = ctx.target().target_get(&TIME).ok().flatten().filter(|now| now.is_timestamp()).cloned();
        Ok(now.unwrap_or(Value::Timestamp(chrono::DateTime::UNIX_EPOCH)))
    }

    fn type_def(&self, _: &state::TypeState) -> TypeDef {
        TypeDef::timestamp().impure()
    }
}
