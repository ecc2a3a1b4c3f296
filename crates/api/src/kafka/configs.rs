//! DescribeConfigs, AlterConfigs, IncrementalAlterConfigs: a stream's settings under Kafka's names.

use std::collections::HashSet;
use std::sync::Arc;

use headwater_base::Name;
use headwater_kernel::made;
use headwater_log::{Stream, StreamConfig};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse as AlterSomeResponse;
use kafka_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, DescribeConfigsRequest, DescribeConfigsResponse,
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};

use super::NODE;
use super::answer::{Answer, once};
use super::config_keys::{self, KEYS, Kind};
use super::error::{self, Broken, text};
use super::table::Call;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// Where a value comes from (`ConfigSource`).
const SET: i8 = 1;
const NODE_FILE: i8 = 4;
const DEFAULT: i8 = 5;

type Refusal = (ResponseError, String);

pub(super) async fn describe(mut call: Call) -> Result<Answer, Broken> {
    let request: DescribeConfigsRequest = call.decode()?;
    let (synonyms, help) = (request.include_synonyms, request.include_documentation);
    let resources = once(request.resources, |resource| (resource.resource_type, resource.resource_name.clone()));
    let results = resources.into_iter().map(|resource| {
        let configs = match resource.resource_type {
            TOPIC => topic(&call, &resource.resource_name)
                .map(|stream| describe_topic(&call, &stream, &resource, synonyms, help)),
            BROKER => check_broker(&resource.resource_name).map(|()| describe_broker(&call, &resource, synonyms)),
            other => {
                Err((ResponseError::InvalidRequest, format!("resources of type `{other}` have no configuration here")))
            }
        };
        let result = DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name);
        match configs {
            Ok(configs) => result.with_configs(configs),
            Err((code, message)) => result.with_error_code(code.code()).with_error_message(Some(text(message))),
        }
    });
    let results = results.collect();
    call.answer(&DescribeConfigsResponse::default().with_results(results))
}

fn wanted(resource: &DescribeConfigsResource, name: &str) -> bool {
    resource.configuration_keys.as_ref().is_none_or(|keys| keys.is_empty() || keys.iter().any(|key| &**key == name))
}

fn describe_topic(
    call: &Call,
    stream: &Stream,
    resource: &DescribeConfigsResource,
    synonyms: bool,
    help: bool,
) -> Vec<DescribeConfigsResourceResult> {
    let keys = KEYS.iter().filter(|key| wanted(resource, key.name)).map(|key| {
        let (value, set) = key.value(&stream.config, &stream.extra);
        let mut result = DescribeConfigsResourceResult::default()
            .with_name(text(key.name))
            .with_value(Some(text(value.clone())))
            .with_config_source(if set { SET } else { DEFAULT })
            .with_config_type(if call.version >= 3 { key.kind.number() } else { 0 });
        if synonyms {
            if set {
                result.synonyms.push(synonym(key.name, &value, SET));
            }
            let default = if key.name == "max.message.bytes" {
                call.service().limits.batch_bytes.to_string()
            } else {
                key.default.into()
            };
            result.synonyms.push(synonym(key.server, &default, DEFAULT));
        }
        if help {
            result.documentation = Some(text(key.help));
        }
        result
    });
    keys.collect()
}

fn synonym(name: &str, value: &str, source: i8) -> DescribeConfigsSynonym {
    DescribeConfigsSynonym::default().with_name(text(name)).with_value(Some(text(value))).with_source(source)
}

fn describe_broker(
    call: &Call,
    resource: &DescribeConfigsResource,
    synonyms: bool,
) -> Vec<DescribeConfigsResourceResult> {
    let (settings, limits) = (&call.service().settings, &call.service().limits);
    let address = format!("PLAINTEXT://{}:{}", settings.advertised_host, settings.advertised_port);
    let fixed = [
        ("advertised.listeners", Kind::Text, address.clone(), NODE_FILE),
        ("auto.create.topics.enable", Kind::Boolean, settings.auto_create.to_string(), NODE_FILE),
        ("broker.id", Kind::Int(-1), NODE.to_string(), NODE_FILE),
        ("default.replication.factor", Kind::Int(1), "1".into(), DEFAULT),
        ("group.initial.rebalance.delay.ms", Kind::Int(0), "0".into(), DEFAULT),
        ("group.max.size", Kind::Int(1), limits.group_members.to_string(), DEFAULT),
        ("listeners", Kind::Text, address, NODE_FILE),
        ("node.id", Kind::Int(0), NODE.to_string(), NODE_FILE),
        ("num.partitions", Kind::Int(1), settings.partitions.to_string(), NODE_FILE),
        ("socket.request.max.bytes", Kind::Int(1), limits.kafka_request_bytes.to_string(), DEFAULT),
    ];
    let server = KEYS.iter().map(|key| (key.server, key.kind, key.default.to_owned(), DEFAULT));
    let keys = fixed.into_iter().chain(server).filter(|(name, ..)| wanted(resource, name));
    let keys = keys.map(|(name, kind, value, source)| {
        let mut result = DescribeConfigsResourceResult::default()
            .with_name(text(name))
            .with_value(Some(text(value.clone())))
            .with_read_only(true)
            .with_config_source(source)
            .with_config_type(if call.version >= 3 { kind.number() } else { 0 });
        if synonyms {
            result.synonyms.push(synonym(name, &value, source));
        }
        result
    });
    keys.collect()
}

fn check_broker(name: &str) -> Result<(), Refusal> {
    match name.parse::<i32>() {
        Ok(NODE) => Ok(()),
        _ if name.is_empty() => Ok(()),
        _ => Err((ResponseError::InvalidRequest, format!("there is no broker `{name}`, only `{NODE}`"))),
    }
}

fn topic(call: &Call, name: &str) -> Result<Arc<Stream>, Refusal> {
    if let Err(problem) = Name::new(name) {
        return Err((ResponseError::InvalidTopicException, problem.title));
    }
    call.service()
        .log
        .stream(name)
        .ok_or_else(|| (ResponseError::UnknownTopicOrPartition, format!("there is no stream `{name}`")))
}

/// What is to become of a key.
enum Change<'a> {
    Set(&'a str),
    Default,
    Append(&'a str),
    Subtract(&'a str),
}

pub(super) async fn alter(mut call: Call) -> Result<Answer, Broken> {
    let request: AlterConfigsRequest = call.decode()?;
    let mut responses = Vec::with_capacity(request.resources.len());
    for resource in request.resources {
        let changes = resource
            .configs
            .iter()
            .map(|config| (&*config.name, config.value.as_ref().map_or(Change::Default, |value| Change::Set(value))));
        let changes = changes.collect();
        let result =
            change(&call, resource.resource_type, &resource.resource_name, changes, true, request.validate_only).await;
        let response = AlterConfigsResourceResponse::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name);
        responses.push(match result {
            Ok(()) => response,
            Err((code, message)) => response.with_error_code(code.code()).with_error_message(Some(text(message))),
        });
    }
    call.answer(&AlterConfigsResponse::default().with_responses(responses))
}

pub(super) async fn alter_some(mut call: Call) -> Result<Answer, Broken> {
    let request: IncrementalAlterConfigsRequest = call.decode()?;
    let mut responses = Vec::with_capacity(request.resources.len());
    for resource in request.resources {
        let changes: Result<Vec<_>, Refusal> = resource
            .configs
            .iter()
            .map(|config| {
                let value = config.value.as_deref();
                let change = match (config.config_operation, value) {
                    (0, Some(value)) => Change::Set(value),
                    (1, _) => Change::Default,
                    (2, Some(value)) => Change::Append(value),
                    (3, Some(value)) => Change::Subtract(value),
                    (0 | 2 | 3, None) => {
                        return Err((ResponseError::InvalidRequest, format!("`{}` has no value", &*config.name)));
                    }
                    (other, _) => {
                        return Err((ResponseError::InvalidRequest, format!("operation `{other}` is unknown")));
                    }
                };
                Ok((&*config.name, change))
            })
            .collect();
        let result = match changes {
            Ok(changes) => {
                change(&call, resource.resource_type, &resource.resource_name, changes, false, request.validate_only)
                    .await
            }
            Err(refusal) => Err(refusal),
        };
        let response = AlterSomeResponse::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name);
        responses.push(match result {
            Ok(()) => response,
            Err((code, message)) => response.with_error_code(code.code()).with_error_message(Some(text(message))),
        });
    }
    call.answer(&IncrementalAlterConfigsResponse::default().with_responses(responses))
}

/// Applies `changes` to a stream; `replace` sets every key that is not named to its default.
async fn change(
    call: &Call,
    kind: i8,
    name: &str,
    changes: Vec<(&str, Change<'_>)>,
    replace: bool,
    validate_only: bool,
) -> Result<(), Refusal> {
    if kind != TOPIC {
        return Err((
            ResponseError::InvalidRequest,
            "only topics can be configured over the wire; the node has its file".into(),
        ));
    }
    let stream = topic(call, name)?;
    let (mut config, mut extra): (StreamConfig, _) = if replace {
        // For whom the node made it is none of a client's settings.
        let mark: Vec<_> = stream.extra.iter().filter(|(key, _)| made::is_mark(key)).cloned().collect();
        (config_keys::defaults(stream.config.partitions, &call.service().limits), mark)
    } else {
        (stream.config.clone(), stream.extra.clone())
    };
    let mut seen = Vec::with_capacity(changes.len());
    for (key, change) in changes {
        if seen.contains(&key) {
            return Err((ResponseError::InvalidRequest, format!("`{key}` comes twice")));
        }
        seen.push(key);
        let refused = |message| (ResponseError::InvalidConfig, message);
        if let Change::Append(value) | Change::Subtract(value) = change {
            config_keys::check_length(key, value).map_err(refused)?;
        }
        let value = match change {
            Change::Set(value) => Some(value.to_owned()),
            Change::Default => None,
            Change::Append(value) => {
                Some(edit_list(&config, &extra, key, |words| words.extend(value.split(',').map(str::to_owned)))?)
            }
            Change::Subtract(value) => {
                let gone: HashSet<&str> = value.split(',').collect();
                Some(edit_list(&config, &extra, key, |words| words.retain(|word| !gone.contains(word.as_str())))?)
            }
        };
        config_keys::set(&mut config, &mut extra, key, value.as_deref()).map_err(refused)?;
    }
    if let Some((owner, kept)) = (call.service().owners)(&stream, config.clone()) {
        let differs = |key: &&config_keys::Key| key.value(&config, &extra).0 != key.value(&kept, &extra).0;
        let theirs: Vec<&str> = KEYS.iter().filter(differs).map(|key| key.name).collect();
        if !theirs.is_empty() {
            let message = format!(
                "`{owner}` says what `{}` is; change the resource, it would change it back",
                theirs.join("`, `")
            );
            return Err((ResponseError::PolicyViolation, message));
        }
    }
    if validate_only {
        return Ok(());
    }
    let altered = call.service().log.alter(&stream.name, config, extra).await;
    altered.map(drop).map_err(|refusal| (error::code(&refusal), refusal.to_string()))
}

fn edit_list(
    config: &StreamConfig,
    extra: &[(String, String)],
    name: &str,
    edit: impl FnOnce(&mut Vec<String>),
) -> Result<String, Refusal> {
    let key = KEYS.iter().find(|key| key.name == name && matches!(key.kind, Kind::List(_) | Kind::Text));
    let Some(key) = key else {
        return Err((ResponseError::InvalidConfig, format!("`{name}` is not a list, which append and subtract need")));
    };
    let mut words: Vec<String> =
        key.value(config, extra).0.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect();
    edit(&mut words);
    Ok(once(words, Clone::clone).join(","))
}
