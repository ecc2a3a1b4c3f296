//! From the JSON of a definition to its machines, with every fault noted on the way.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::fields::{Fields, Notes};
use super::resource::{Pattern, Resource};
use super::state::{Amount, Kind, Language, MapState, Next, Processor, Selection, State, Task, Until};
use super::template::{Template, Term};
use super::{Diagnostic, Flavor, Machine, MachineId, StateId, distributed, handlers, scopes};
use crate::limits::Limits;

/// The longest wait and timeout, in seconds, as the language has it.
const SECONDS_MAX: u64 = 99_999_999;

/// Fields every state may have.
const COMMON: &[&str] = &["Type", "Comment", "QueryLanguage"];

pub(super) fn machines(
    document: &Value,
    flavor: Flavor,
    limits: &Limits,
) -> Result<(Vec<Machine>, Option<u64>), Vec<Diagnostic>> {
    let mut reader = Reader {
        flavor,
        limits,
        language: Language::JsonPath,
        notes: Notes::default(),
        machines: Vec::new(),
        names: BTreeSet::new(),
    };
    let timeout = reader.outermost(document);
    if reader.notes.0.is_empty() {
        scopes::check(&reader.machines, &mut reader.notes);
    }
    if reader.notes.0.is_empty() { Ok((reader.machines, timeout)) } else { Err(reader.notes.0) }
}

struct Reader<'a> {
    flavor: Flavor,
    limits: &'a Limits,
    /// Of the whole state machine.
    language: Language,
    notes: Notes,
    machines: Vec<Machine>,
    /// Every state's name so far.
    names: BTreeSet<String>,
}

impl<'a> Reader<'a> {
    fn outermost(&mut self, document: &'a Value) -> Option<u64> {
        let object = document.as_object()?;
        let fields = Fields { object, location: String::new(), language: Language::JsonPath, limits: self.limits };
        self.language = self.language(&fields, Language::JsonPath);
        fields
            .only(&[&["Comment", "QueryLanguage", "StartAt", "States", "Version", "TimeoutSeconds"]], &mut self.notes);
        if let Some(version) = fields.text("Version", &mut self.notes).filter(|version| *version != "1.0") {
            self.notes.schema("/Version", format!("Version '{version}' is not supported; it must be '1.0'"));
        }
        let timeout =
            fields.get("TimeoutSeconds").map(|value| value.as_u64().filter(|s| (1..=SECONDS_MAX).contains(s)));
        if timeout == Some(None) {
            self.notes.schema("/TimeoutSeconds", format!("Expected a number from 1 to {SECONDS_MAX}"));
        }
        self.machine(&fields, 1);
        timeout.flatten()
    }

    fn language(&mut self, fields: &Fields<'a>, inherited: Language) -> Language {
        match fields.get("QueryLanguage").map(Value::as_str) {
            None => inherited,
            Some(Some("JSONPath")) => Language::JsonPath,
            Some(Some("JSONata")) => Language::Jsonata,
            Some(_) => {
                let message = "Value is not valid; it must be one of [JSONPath, JSONata]";
                self.notes.schema(&fields.at("QueryLanguage"), message);
                inherited
            }
        }
    }

    /// Reads `StartAt` and `States`; None when there is nothing to go on with.
    fn machine(&mut self, fields: &Fields<'a>, depth: usize) -> Option<MachineId> {
        if depth > self.limits.machine_depth_max {
            let message = format!("States nest deeper than {} levels", self.limits.machine_depth_max);
            self.notes.schema(&fields.location, message);
            return None;
        }
        if !fields.require(&["States", "StartAt"], &mut self.notes) {
            return None;
        }
        let states = fields.inner(fields.get("States")?, fields.at("States"), &mut self.notes)?;
        if states.object.is_empty() {
            self.notes.schema(&states.location, "There must be at least one state");
            return None;
        }
        if self.names.len() + states.object.len() > self.limits.states_max {
            let message = format!("There are more than {} states", self.limits.states_max);
            self.notes.schema(&states.location, message);
            return None;
        }
        let ids: HashMap<&str, StateId> = states.object.keys().zip(0..).map(|(name, id)| (name.as_str(), id)).collect();
        let id = MachineId::try_from(self.machines.len()).ok()?;
        self.machines.push(Machine { start: 0, states: Vec::new() });
        let mut read = Vec::with_capacity(states.object.len());
        for (name, value) in states.object {
            let location = format!("{}/{name}", states.location);
            if name.is_empty() || name.chars().count() > 80 {
                self.notes.schema(&location, "A state's name has 1 to 80 characters");
            }
            if !self.names.insert(name.clone()) {
                self.notes.schema(&location, format!("Duplicate state name: {name}"));
            }
            if let Some(mut state) = states.inner(value, location, &mut self.notes) {
                state.language = self.language;
                read.extend(self.state(name, state, &ids, depth));
            }
        }
        let start = fields.text("StartAt", &mut self.notes)?;
        match ids.get(start) {
            None => self.notes.transition(&fields.at("StartAt"), format!("Missing 'StartAt' target: {start}")),
            Some(start) => {
                if read.len() == states.object.len() {
                    self.reachable(*start, &read, &states.location);
                }
                if let Some(machine) = self.machines.get_mut(usize::try_from(id).ok()?) {
                    *machine = Machine { start: *start, states: read };
                }
            }
        }
        Some(id)
    }

    fn reachable(&mut self, start: StateId, states: &[State], location: &str) {
        let mut seen = vec![false; states.len()];
        let mut open = vec![start];
        while let Some(id) = open.pop() {
            let Some(at) = usize::try_from(id).ok().filter(|at| seen.get(*at) == Some(&false)) else { continue };
            let (Some(state), Some(slot)) = (states.get(at), seen.get_mut(at)) else { continue };
            *slot = true;
            if let Next::State(next) = state.next {
                open.push(next);
            }
            open.extend(state.catch.iter().map(|catcher| catcher.next));
            if let Kind::Choice { rules, default } = &state.kind {
                open.extend(rules.iter().map(|rule| rule.next).chain(*default));
            }
        }
        for (state, _) in states.iter().zip(seen).filter(|(_, seen)| !seen) {
            let message = format!("State \"{}\" is not reachable.", state.name);
            self.notes.transition(&format!("{location}/{}", state.name), message);
        }
    }

    fn state(
        &mut self,
        name: &str,
        mut fields: Fields<'a>,
        ids: &HashMap<&str, StateId>,
        depth: usize,
    ) -> Option<State> {
        if self.language == Language::Jsonata && fields.get("QueryLanguage").and_then(Value::as_str) == Some("JSONPath")
        {
            let message = "'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine";
            self.notes.schema(&fields.location, message);
            return None;
        }
        fields.language = self.language(&fields, self.language);
        if !fields.require(&["Type"], &mut self.notes) {
            return None;
        }
        let kind_name = fields.text("Type", &mut self.notes)?;
        self.allowed(kind_name, &fields)?;
        let kind = match kind_name {
            "Pass" => Kind::Pass { result: fields.get("Result").cloned() },
            "Task" => Kind::Task(Box::new(self.task(&fields)?)),
            "Choice" => handlers::choice(&fields, ids, &mut self.notes),
            "Wait" => Kind::Wait(self.wait(&fields)?),
            "Succeed" => Kind::Succeed,
            "Fail" => self.fail(&fields),
            "Parallel" => self.parallel(&fields, depth),
            _ => Kind::Map(Box::new(self.map(&fields, depth)?)),
        };
        let ends = matches!(kind, Kind::Choice { .. } | Kind::Succeed | Kind::Fail { .. });
        let next = if ends { Next::End } else { self.next(&fields, ids)? };
        let jsonata = fields.language == Language::Jsonata;
        let arguments = match &kind {
            Kind::Map(_) => None,
            _ if jsonata => fields.template("Arguments", &mut self.notes),
            _ => fields.template("Parameters", &mut self.notes),
        };
        let (input_path, output_path) = if jsonata {
            (Selection::Whole, Selection::Whole)
        } else {
            (fields.selection("InputPath", &mut self.notes), fields.selection("OutputPath", &mut self.notes))
        };
        Some(State {
            name: name.to_owned(),
            language: fields.language,
            next,
            input_path,
            arguments,
            result_selector: fields.template("ResultSelector", &mut self.notes),
            result_path: fields.result_path(&mut self.notes),
            output_path,
            output: fields.template("Output", &mut self.notes),
            assign: fields.assign(&mut self.notes),
            retry: handlers::retry(&fields, &mut self.notes),
            catch: handlers::catch(&fields, ids, &mut self.notes),
            kind,
        })
    }

    /// Notes fields that this kind of state does not have in this language.
    fn allowed(&mut self, kind: &str, fields: &Fields<'a>) -> Option<()> {
        let jsonata = fields.language == Language::Jsonata;
        let paths: &[&str] = if jsonata { &["Assign", "Output"] } else { &["Assign", "InputPath", "OutputPath"] };
        let next: &[&str] = &["Next", "End"];
        let results: &[&str] = if jsonata { &["Arguments"] } else { &["Parameters", "ResultSelector", "ResultPath"] };
        let handlers: &[&str] = &["Retry", "Catch"];
        let pass: &[&str] = if jsonata { &[] } else { &["Result", "Parameters", "ResultPath"] };
        let lists: &[&[&str]] = match kind {
            "Pass" => &[COMMON, paths, next, pass],
            "Task" => {
                let own: &[&str] = &["Resource", "TimeoutSeconds", "HeartbeatSeconds", "Credentials"];
                let own_paths: &[&str] = if jsonata { &[] } else { &["TimeoutSecondsPath", "HeartbeatSecondsPath"] };
                fields.only(&[COMMON, paths, next, results, handlers, own, own_paths], &mut self.notes);
                return Some(());
            }
            "Choice" => &[COMMON, paths, &["Choices", "Default"]],
            "Wait" if jsonata => &[COMMON, paths, next, &["Seconds", "Timestamp"]],
            "Wait" => &[COMMON, paths, next, &["Seconds", "Timestamp", "SecondsPath", "TimestampPath"]],
            "Succeed" => &[COMMON, paths],
            "Fail" if jsonata => &[COMMON, &["Error", "Cause"]],
            "Fail" => &[COMMON, &["Error", "Cause", "ErrorPath", "CausePath"]],
            "Parallel" => &[COMMON, paths, next, results, handlers, &["Branches"]],
            "Map" => {
                let own: &[&str] = &[
                    "ItemProcessor",
                    "Iterator",
                    "ItemSelector",
                    "MaxConcurrency",
                    "ToleratedFailureCount",
                    "ToleratedFailurePercentage",
                    "ItemReader",
                    "ItemBatcher",
                    "ResultWriter",
                    "Label",
                ];
                let own_paths: &[&str] = if jsonata {
                    &["Items"]
                } else {
                    &["ItemsPath", "MaxConcurrencyPath", "ToleratedFailureCountPath", "ToleratedFailurePercentagePath"]
                };
                let results: &[&str] = if jsonata { &[] } else { results };
                fields.only(&[COMMON, paths, next, results, handlers, own, own_paths], &mut self.notes);
                return Some(());
            }
            other => {
                let kinds = "[Pass, Task, Choice, Wait, Succeed, Fail, Parallel, Map]";
                self.notes.schema(&fields.at("Type"), format!("'{other}' is not one of {kinds}"));
                return None;
            }
        };
        fields.only(lists, &mut self.notes);
        Some(())
    }

    fn next(&mut self, fields: &Fields<'a>, ids: &HashMap<&str, StateId>) -> Option<Next> {
        match (fields.get("Next"), fields.get("End")) {
            (Some(_), None | Some(Value::Bool(false))) => {
                handlers::target("Next", fields, ids, &mut self.notes).map(Next::State)
            }
            (None, Some(Value::Bool(true))) => Some(Next::End),
            _ => {
                self.notes.schema(&fields.location, "Exactly one of 'Next' and 'End: true' is required");
                None
            }
        }
    }

    fn task(&mut self, fields: &Fields<'a>) -> Option<Task> {
        if !fields.require(&["Resource"], &mut self.notes) {
            return None;
        }
        let text = fields.text("Resource", &mut self.notes)?;
        let place = fields.at("Resource");
        let Some(resource) = Resource::parse(text) else {
            let message = format!(
                "The resource provided {text} is not recognized. The value is not a valid resource ARN, or the resource is not available in this region."
            );
            self.notes.schema(&place, message);
            return None;
        };
        if self.flavor == Flavor::Express {
            let refused = match &resource {
                Resource::Activity { .. } => Some("Activity ARN"),
                Resource::Service(service) => match service.pattern {
                    Pattern::Sync | Pattern::Sync2 => Some("'.sync' service integration"),
                    // The blank at the end is the service's.
                    Pattern::Token => Some("'.waitForTaskToken' service integration "),
                    Pattern::Response => None,
                },
                Resource::Function { .. } => None,
            };
            if let Some(what) = refused {
                self.notes.schema(&place, format!("Express state machine does not support {what}"));
            }
        }
        if let Some(credentials) = fields.get("Credentials").and_then(Value::as_object)
            && !["RoleArn", "RoleArn.$"].iter().any(|field| credentials.contains_key(*field))
        {
            let message = "The field 'RoleArn' is required but was missing";
            self.notes.schema(&fields.at("Credentials"), message);
        }
        let bounds = (1, SECONDS_MAX);
        let timeout = fields.amount("TimeoutSeconds", "TimeoutSecondsPath", bounds, &mut self.notes);
        let heartbeat = fields.amount("HeartbeatSeconds", "HeartbeatSecondsPath", bounds, &mut self.notes);
        let literal = |amount: &Option<Amount>| match &amount.as_ref()?.term {
            Term::Literal(seconds) => seconds.as_u64(),
            _ => None,
        };
        if let (Some(timeout), Some(heartbeat)) = (literal(&timeout), literal(&heartbeat))
            && heartbeat >= timeout
        {
            let message = format!("A heartbeat of {heartbeat} s is not shorter than the timeout of {timeout} s");
            self.notes.schema(&fields.at("HeartbeatSeconds"), message);
        }
        Some(Task { resource, timeout, heartbeat, credentials: fields.template("Credentials", &mut self.notes) })
    }

    fn wait(&mut self, fields: &Fields<'a>) -> Option<Until> {
        let names = ["Seconds", "SecondsPath", "Timestamp", "TimestampPath"];
        if names.iter().filter(|name| fields.get(name).is_some()).count() != 1 {
            self.notes.schema(&fields.location, format!("Exactly one of [{}] is required", names.join(", ")));
            return None;
        }
        if fields.get("Seconds").or(fields.get("SecondsPath")).is_some() {
            return fields.amount("Seconds", "SecondsPath", (0, SECONDS_MAX), &mut self.notes).map(Until::Seconds);
        }
        let (field, term) = if fields.get("TimestampPath").is_some() {
            ("TimestampPath", fields.path_term("TimestampPath", &mut self.notes)?)
        } else {
            ("Timestamp", fields.text_term("Timestamp", &mut self.notes)?)
        };
        if let Term::Literal(literal) = &term
            && literal.as_str().and_then(crate::time::parse).is_none()
        {
            self.notes.schema(&fields.at(field), "String does not match RFC3339 timestamp");
        }
        Some(Until::Timestamp(Amount { field, term }))
    }

    fn fail(&mut self, fields: &Fields<'a>) -> Kind {
        let mut either = |plain: &str, path: &str| {
            if fields.get(path).is_some() && fields.language == Language::JsonPath {
                if fields.get(plain).is_some() {
                    self.notes.schema(&fields.location, format!("Only one of '{plain}' and '{path}' may be given"));
                }
                return fields.path_term(path, &mut self.notes);
            }
            fields.text_term(plain, &mut self.notes)
        };
        Kind::Fail { error: either("Error", "ErrorPath"), cause: either("Cause", "CausePath") }
    }

    fn parallel(&mut self, fields: &Fields<'a>, depth: usize) -> Kind {
        fields.require(&["Branches"], &mut self.notes);
        let mut branches = Vec::new();
        for (number, branch) in fields.array("Branches", &mut self.notes).iter().enumerate() {
            let location = format!("{}[{number}]", fields.at("Branches"));
            if let Some(inner) = fields.inner(branch, location, &mut self.notes) {
                inner.only(&[&["StartAt", "States", "Comment"]], &mut self.notes);
                branches.extend(self.machine(&inner, depth + 1));
            }
        }
        Kind::Parallel { branches }
    }

    fn map(&mut self, fields: &Fields<'a>, depth: usize) -> Option<MapState> {
        let field = if fields.get("Iterator").is_some() { "Iterator" } else { "ItemProcessor" };
        fields.require(&[field], &mut self.notes);
        if field == "Iterator" && fields.get("ItemProcessor").is_some() {
            self.notes.schema(&fields.location, "Only one of 'ItemProcessor' and 'Iterator' may be given");
        }
        let inner = fields.inner(fields.get(field)?, fields.at(field), &mut self.notes)?;
        inner.only(&[&["StartAt", "States", "Comment", "ProcessorConfig"]], &mut self.notes);
        let processor = self.processor(&inner);
        // An item of a distributed Map is an execution of its own type: an Express one can do less.
        let outer = self.flavor;
        if let Processor::Distributed(flavor) = processor {
            self.flavor = flavor;
        }
        let machine = self.machine(&inner, depth + 1);
        self.flavor = outer;
        let selector = if fields.get("ItemSelector").is_some() { "ItemSelector" } else { "Parameters" };
        let items = if fields.language == Language::Jsonata {
            self.items(fields)
        } else {
            fields.path_term("ItemsPath", &mut self.notes).map(|term| Template::Term(term, "ItemsPath".to_owned()))
        };
        let label = fields.text("Label", &mut self.notes).map(str::to_owned);
        if let Some(label) = label.as_deref().filter(|label| !is_label(label)) {
            let message = format!("'{label}' is not a label: 1 to 40 characters, no blanks and none of {LABEL_NEVER}");
            self.notes.schema(&fields.at("Label"), message);
        }
        let (count, share) = ("ToleratedFailureCount", "ToleratedFailurePercentage");
        let any = (0, i64::MAX.unsigned_abs());
        Some(MapState {
            machine: machine?,
            processor,
            items,
            selector: fields.template(selector, &mut self.notes),
            max_concurrency: fields.amount("MaxConcurrency", "MaxConcurrencyPath", any, &mut self.notes),
            tolerated_count: fields.amount(count, "ToleratedFailureCountPath", any, &mut self.notes),
            tolerated_percentage: fields.share(share, "ToleratedFailurePercentagePath", &mut self.notes),
            reader: distributed::READER.read(fields, processor, &mut self.notes),
            batcher: distributed::BATCHER.read(fields, processor, &mut self.notes),
            writer: distributed::WRITER.read(fields, processor, &mut self.notes),
            label,
        })
    }

    fn items(&mut self, fields: &Fields<'a>) -> Option<Template> {
        let items = fields.template("Items", &mut self.notes)?;
        if matches!(&items, Template::Literal(value) if !value.is_array() && !value.is_object()) {
            self.notes.schema(&fields.at("Items"), "Expected an array, an object or a JSONata expression");
        }
        Some(items)
    }

    fn processor(&mut self, fields: &Fields<'a>) -> Processor {
        let Some(config) = fields.get("ProcessorConfig") else { return Processor::Inline };
        let Some(config) = fields.inner(config, fields.at("ProcessorConfig"), &mut self.notes) else {
            return Processor::Inline;
        };
        config.only(&[&["Mode", "ExecutionType"]], &mut self.notes);
        match (config.text("Mode", &mut self.notes), config.text("ExecutionType", &mut self.notes)) {
            (None | Some("INLINE"), _) => Processor::Inline,
            (Some("DISTRIBUTED"), _) if self.flavor == Flavor::Express => {
                let message = "Express state machine does not support a Map of the mode DISTRIBUTED";
                self.notes.schema(&config.at("Mode"), message);
                Processor::Distributed(Flavor::Express)
            }
            (Some("DISTRIBUTED"), Some("STANDARD")) => Processor::Distributed(Flavor::Standard),
            (Some("DISTRIBUTED"), Some("EXPRESS")) => Processor::Distributed(Flavor::Express),
            (Some("DISTRIBUTED"), kind) => {
                let message = match kind {
                    None => "The field 'ExecutionType' is required but was missing".to_owned(),
                    Some(other) => format!("'{other}' is not one of [STANDARD, EXPRESS]"),
                };
                self.notes.schema(&config.location, message);
                Processor::Distributed(self.flavor)
            }
            (Some(other), _) => {
                self.notes.schema(&config.at("Mode"), format!("'{other}' is not one of [INLINE, DISTRIBUTED]"));
                Processor::Inline
            }
        }
    }
}

/// Characters no label has, besides blanks and control characters.
const LABEL_NEVER: &str = "?*<>{}[]:;,\\|^~$#%&`\"/";

fn is_label(label: &str) -> bool {
    (1..=40).contains(&label.chars().count())
        && !label.chars().any(|c| c.is_whitespace() || c.is_control() || LABEL_NEVER.contains(c))
}
