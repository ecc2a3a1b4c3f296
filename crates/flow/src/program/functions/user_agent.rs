//! `user_agent(text)`: `{family, version, os, category, bot}` of a browser's or script's name for itself, from a cache:
//! a site sees millions of requests but few thousand such texts. Anything but text gives null.

use std::fmt;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use parking_lot::Mutex;
use vrl::compiler::prelude::*;
use vrl::compiler::{Program, TargetValue};

use super::Own;

/// Texts kept; then the cache starts anew.
const TEXTS_MAX: usize = 10_000;
/// Longer texts are cut: no browser's is longer.
const TEXT_BYTES_MAX: usize = 1_024;
/// Words in lower case that only programs use. A browser has no address to complain to in its name.
const SCRIPTS: [&str; 28] = [
    "http://",
    "https://",
    "preview",
    "library",
    "bot",
    "crawl",
    "spider",
    "slurp",
    "curl/",
    "wget/",
    "python",
    "java/",
    "okhttp",
    "go-http-client",
    "libwww",
    "httpclient",
    "headless",
    "phantomjs",
    "selenium",
    "puppeteer",
    "playwright",
    "scrapy",
    "axios/",
    "node-fetch",
    "ruby",
    "perl",
    "nutch",
    "postman",
];

const PARAMETERS: &[Parameter] = &[Parameter::required("value", kind::ANY, "The user agent's text.")];

pub(super) const USER_AGENT: Own = Own {
    name: "user_agent",
    usage: "What a user agent's text tells: `{family, version, os, category, bot}`; `bot` is true for crawlers and scripts.",
    category: &Category::Parse,
    returns: kind::OBJECT | kind::NULL,
    pure: true,
    parameters: PARAMETERS,
    compile,
};

fn compile(_: &state::TypeState, _: &mut FunctionCompileContext, arguments: ArgumentList) -> Compiled {
    Ok(UserAgentFn { value: arguments.required("value"), agents: UserAgents::default() }.as_expr())
}

/// What is known of user agents that came before.
#[derive(Clone, Default)]
pub(in crate::program) struct UserAgents(Arc<Mutex<hashbrown::HashMap<Bytes, Known, ahash::RandomState>>>);

struct Known {
    value: Value,
    /// The same as JSON.
    text: Bytes,
}

impl UserAgents {
    /// What an agent's text tells; null where there is no text.
    pub fn value(&self, agent: &Value) -> Value {
        self.known(agent, |known| known.value.clone()).unwrap_or(Value::Null)
    }

    /// The same as JSON text; None for null.
    pub fn text(&self, agent: &Value) -> Option<Bytes> {
        self.known(agent, |known| known.text.clone())
    }

    fn known<T>(&self, agent: &Value, take: impl FnOnce(&Known) -> T) -> Option<T> {
        let agent = agent.as_bytes()?;
        let agent = agent.get(..TEXT_BYTES_MAX).unwrap_or(agent);
        let mut cache = self.0.lock();
        if let Some(known) = cache.get(agent) {
            return Some(take(known));
        }
        let value = parse(&String::from_utf8_lossy(agent));
        let known = Known { text: Bytes::from(serde_json::to_vec(&value).unwrap_or_default()), value };
        let taken = take(&known);
        if cache.len() >= TEXTS_MAX {
            cache.clear();
        }
        // A copy: a slice would keep the whole event's bytes.
        cache.insert(Bytes::copy_from_slice(agent), known);
        Some(taken)
    }
}

impl fmt::Debug for UserAgents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserAgents(…)")
    }
}

#[derive(Clone, Debug)]
struct UserAgentFn {
    value: Box<dyn Expression>,
    agents: UserAgents,
}

impl FunctionExpression for UserAgentFn {
    fn resolve(&self, ctx: &mut Context) -> Resolved {
        Ok(self.agents.value(&self.value.resolve(ctx)?))
    }

    fn type_def(&self, state: &state::TypeState) -> TypeDef {
        let any = Collection::from_unknown(Kind::bytes().or_boolean().or_null());
        TypeDef::object(any).or_null().maybe_fallible(self.value.type_def(state).is_fallible())
    }
}

/// The parser that VRL brings; compiled once.
static PARSER: LazyLock<Option<Program>> = LazyLock::new(|| {
    let functions: Vec<Box<dyn Function>> = vec![Box::new(vrl::stdlib::ParseUserAgent)];
    let source = "parse_user_agent!(.text, mode: \"fast\")";
    vrl::compiler::compile(source, &functions).ok().map(|compiled| compiled.program)
});

fn parse(text: &str) -> Value {
    let lower = text.to_lowercase();
    let script = lower.trim().is_empty() || lower.trim() == "-" || SCRIPTS.iter().any(|word| lower.contains(word));
    let parsed = PARSER.as_ref().and_then(|parser| {
        let event = Value::Object(ObjectMap::from([("text".into(), text.into())]));
        let mut target =
            TargetValue { value: event, metadata: Value::Object(ObjectMap::new()), secrets: Default::default() };
        let mut state = state::RuntimeState::default();
        parser.resolve(&mut Context::new(&mut target, &mut state, &TimeZone::default())).ok()
    });
    let part = |of: &str, name: &str| {
        let value = parsed.as_ref().and_then(|parsed| parsed.as_object()?.get(of)?.as_object()?.get(name).cloned());
        value.filter(|value| value.to_str().is_some_and(|text| text != "UNKNOWN")).unwrap_or(Value::Null)
    };
    let category = part("device", "category");
    let bot = script || category.to_str() == Some("crawler");
    Value::Object(ObjectMap::from([
        ("family".into(), part("browser", "family")),
        ("version".into(), part("browser", "version")),
        ("os".into(), part("os", "family")),
        ("category".into(), category),
        ("bot".into(), Value::Boolean(bot)),
    ]))
}
