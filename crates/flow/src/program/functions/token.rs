//! `token(value, keyring, period, at)`: a keyed stand-in for a value that must not be stored.
//!
//! `token(.ip, "visitors")` uses the keyring of the Secret `visitors` and the key of the event's day; `period: "month"`
//! or `"forever"` keeps a key longer; `at:` names another time than the event's (`%time`, else `%ingested`). Null
//! stays null; numbers and booleans are taken as their JSON text.

use std::sync::{Arc, LazyLock};

use headwater_base::{Micros, Problem};
use vrl::compiler::prelude::*;
use vrl::diagnostic::Label;
use vrl::path::{OwnedTargetPath, OwnedValuePath};

use super::Own;
use crate::doc;
use crate::program::keyring::{Keyring, Period};

static TIMES: LazyLock<[OwnedTargetPath; 2]> =
    LazyLock::new(|| ["time", "ingested"].map(|name| OwnedTargetPath::metadata(OwnedValuePath::single_field(name))));

/// Finds a keyring by the name of its Secret.
type Find = dyn Fn(&str) -> Result<Arc<Keyring>, Problem> + Send + Sync;

/// The keyrings there are; handed to the compiler.
#[derive(Clone)]
pub(in crate::program) struct Keyrings(pub Arc<Find>);

const PARAMETERS: &[Parameter] = &[
    Parameter::required("value", kind::ANY, "The value to stand in for."),
    Parameter::required("keyring", kind::BYTES, "The name of the Secret that yields the keys."),
    Parameter::optional("period", kind::BYTES, "How long one key is used: `day`, `month` or `forever`."),
    Parameter::optional("at", kind::ANY, "The time that chooses the key."),
];

pub(super) const TOKEN: Own = Own {
    name: "token",
    usage: "A keyed stand-in for a value: HMAC-SHA256 under the key of the event's day, cut to 128 bits, as hex digits.",
    category: &Category::Cryptography,
    returns: kind::BYTES | kind::NULL,
    pure: true,
    parameters: PARAMETERS,
    compile,
};

fn compile(state: &state::TypeState, ctx: &mut FunctionCompileContext, arguments: ArgumentList) -> Compiled {
    let refuse = |span: Span, message: String, help: Option<String>| -> Box<dyn DiagnosticMessage> {
        let labels = vec![Label::primary(message.clone(), span)];
        let notes = help.map(Note::Hint).into_iter().collect();
        Box::new(ExpressionError::Error { message, labels, notes })
    };
    let text = |value: Option<Value>| value.and_then(|value| value.to_str().map(str::to_owned));
    let span = ctx.span();
    let name = text(Some(arguments.required_literal("keyring", state)?)).unwrap_or_default();
    let period = match text(arguments.optional_literal("period", state)?) {
        None => Period::Day,
        Some(word) => match Period::WORDS.iter().find(|(known, _)| *known == word) {
            Some((_, period)) => *period,
            None => {
                return Err(refuse(
                    span,
                    format!("`{}` is not a period", word.escape_debug()),
                    Some("periods are `day`, `month` and `forever`".to_owned()),
                ));
            }
        },
    };
    let keyring = match ctx.get_external_context::<Keyrings>() {
        Some(keyrings) => (keyrings.0)(&name).map_err(|problem| refuse(span, problem.title, problem.help))?,
        None => return Err(refuse(span, "there are no secrets here".to_owned(), None)),
    };
    Ok(TokenFn { value: arguments.required("value"), keyring, period, at: arguments.optional("at") }.as_expr())
}

/// What stands in for a value; null for null.
pub(in crate::program) fn token(
    keyring: &Keyring,
    period: Period,
    value: &Value,
    time: impl FnOnce() -> Micros,
) -> Value {
    match value.as_bytes() {
        Some(text) => keyring.token(text, period, time()).into(),
        None if value.is_null() => Value::Null,
        None => keyring.token(&value.coerce_to_bytes(), period, time()).into(),
    }
}

#[derive(Clone, Debug)]
struct TokenFn {
    value: Box<dyn Expression>,
    keyring: Arc<Keyring>,
    period: Period,
    at: Option<Box<dyn Expression>>,
}

impl FunctionExpression for TokenFn {
    fn resolve(&self, ctx: &mut Context) -> Resolved {
        let value = self.value.resolve(ctx)?;
        let given = match &self.at {
            Some(at) if !value.is_null() => doc::time(&at.resolve(ctx)?),
            _ => None,
        };
        let known = |path| ctx.target().target_get(path).ok().flatten().and_then(doc::time);
        let time = || given.or_else(|| TIMES.iter().find_map(known)).unwrap_or(Micros(0));
        Ok(token(&self.keyring, self.period, &value, time))
    }

    fn type_def(&self, state: &state::TypeState) -> TypeDef {
        let fallible = self.value.type_def(state).is_fallible()
            || self.at.as_ref().is_some_and(|at| at.type_def(state).is_fallible());
        TypeDef::bytes().or_null().maybe_fallible(fallible)
    }
}
