//! CreateTopics and DeleteTopics.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use headwater_base::Name;
use headwater_log::{Stream, StreamConfig};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::BrokerId;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse};
use tracing::info;
use uuid::Uuid;

use super::NODE;
use super::answer::Answer;
use super::config_keys::{self, KEYS};
use super::error::{self, Broken, text};
use super::metadata::streams_by_id;
use super::table::Call;

type Refusal = (ResponseError, String);

pub(super) async fn create(mut call: Call) -> Result<Answer, Broken> {
    let request: CreateTopicsRequest = call.decode()?;
    let mut seen = HashSet::new();
    let twice: HashSet<_> =
        request.topics.iter().map(|topic| &topic.name).filter(|name| !seen.insert(*name)).cloned().collect();
    let mut topics: Vec<CreatableTopicResult> = Vec::with_capacity(request.topics.len());
    let mut answered = HashSet::new();
    for topic in &request.topics {
        if !answered.insert(&topic.name) {
            continue;
        }
        let result = if twice.contains(&topic.name) {
            Err((ResponseError::InvalidRequest, "the topic comes twice in the request".to_owned()))
        } else {
            create_one(&call, topic, request.validate_only).await
        };
        let answer = CreatableTopicResult::default().with_name(topic.name.clone());
        topics.push(match result {
            // Older clients are told less.
            Ok(_) if call.version < 5 => answer,
            Ok((id, config, extra)) => answer
                .with_topic_id(if call.version >= 7 { Uuid::from_u128(id) } else { Uuid::nil() })
                .with_num_partitions(i32::try_from(config.partitions).unwrap_or(i32::MAX))
                .with_replication_factor(1)
                .with_configs(Some(configs(&config, &extra))),
            Err((code, message)) => answer.with_error_code(code.code()).with_error_message(Some(text(message))),
        });
    }
    call.answer(&CreateTopicsResponse::default().with_topics(topics))
}

async fn create_one(
    call: &Call,
    topic: &CreatableTopic,
    validate_only: bool,
) -> Result<(u128, StreamConfig, Vec<(String, String)>), Refusal> {
    let service = call.service();
    let name = Name::new(&topic.name).map_err(|problem| (ResponseError::InvalidTopicException, problem.title))?;
    if service.log.stream(name.as_str()).is_some() {
        return Err((ResponseError::TopicAlreadyExists, format!("there is a stream `{name}` already")));
    }
    let mut config = config_keys::defaults(partitions(call, topic)?, &service.limits);
    let mut extra = Vec::new();
    for entry in &topic.configs {
        let refused = |message| (ResponseError::InvalidConfig, message);
        config_keys::set(&mut config, &mut extra, &entry.name, entry.value.as_deref()).map_err(refused)?;
    }
    if validate_only {
        return Ok((0, config, extra));
    }
    let created = service.log.create(name.clone(), config, extra).await;
    let stream: Arc<Stream> = created.map_err(|refusal| (error::code(&refusal), refusal.to_string()))?;
    info!(stream = %name, peer = %call.client.peer, "stream created");
    Ok((stream.id, stream.config.clone(), stream.extra.clone()))
}

/// The number of partitions asked for, by number or by an assignment to brokers.
fn partitions(call: &Call, topic: &CreatableTopic) -> Result<u32, Refusal> {
    if !topic.assignments.is_empty() {
        if topic.num_partitions != -1 || topic.replication_factor != -1 {
            let message = "with an assignment, partitions and replication factor are -1".into();
            return Err((ResponseError::InvalidRequest, message));
        }
        let mut indexes: Vec<i32> = topic.assignments.iter().map(|assignment| assignment.partition_index).collect();
        indexes.sort_unstable();
        if !indexes.iter().zip(0..).all(|(index, due)| *index == due) {
            return Err((
                ResponseError::InvalidReplicaAssignment,
                "partitions are numbered from 0 without gaps".into(),
            ));
        }
        if topic.assignments.iter().any(|assignment| assignment.broker_ids.as_slice() != [BrokerId(NODE)]) {
            return Err((ResponseError::InvalidReplicaAssignment, format!("there is one broker, `{NODE}`")));
        }
        return Ok(u32::try_from(indexes.len()).unwrap_or(u32::MAX));
    }
    if topic.replication_factor != -1 && topic.replication_factor != 1 {
        let message =
            format!("a replication factor of `{}` needs as many brokers, there is `1`", topic.replication_factor);
        return Err((ResponseError::InvalidReplicationFactor, message));
    }
    match topic.num_partitions {
        -1 => Ok(call.service().settings.partitions),
        count => {
            let limit = call.service().limits.partitions;
            let count = u32::try_from(count).ok().filter(|count| (1..=limit).contains(&(*count as usize)));
            count.ok_or_else(|| {
                let message = format!("`{}` partitions: the number must be from 1 to {limit}", topic.num_partitions);
                (ResponseError::InvalidPartitions, message)
            })
        }
    }
}

fn configs(config: &StreamConfig, extra: &[(String, String)]) -> Vec<CreatableTopicConfigs> {
    let entries = KEYS.iter().map(|key| {
        let (value, set) = key.value(config, extra);
        CreatableTopicConfigs::default()
            .with_name(text(key.name))
            .with_value(Some(text(value)))
            .with_config_source(if set { 1 } else { 5 })
    });
    entries.collect()
}

pub(super) async fn delete(mut call: Call) -> Result<Answer, Broken> {
    let request: DeleteTopicsRequest = call.decode()?;
    let log = &call.service().log;
    let mut responses = Vec::new();
    // Made once for a request that asks by ids, however many.
    let mut by_id: Option<HashMap<u128, Arc<Stream>>> = None;
    let by_name = request.topic_names.into_iter().map(|name| (Some(name), Uuid::nil()));
    let wanted = by_name.chain(request.topics.into_iter().map(|topic| (topic.name, topic.topic_id)));
    for (name, id) in wanted {
        let stream = match &name {
            Some(name) => log.stream(name),
            None => by_id.get_or_insert_with(|| streams_by_id(&call)).get(&id.as_u128()).cloned(),
        };
        let answer = DeletableTopicResult::default().with_topic_id(id);
        responses.push(match stream {
            None => {
                let code =
                    if name.is_some() { ResponseError::UnknownTopicOrPartition } else { ResponseError::UnknownTopicId };
                answer
                    .with_name(name)
                    .with_error_code(code.code())
                    .with_error_message((call.version >= 5).then(|| text(code.to_string())))
            }
            Some(stream) => {
                let answer = answer
                    .with_name(Some(text(stream.name.as_str()).into()))
                    .with_topic_id(if call.version >= 6 { Uuid::from_u128(stream.id) } else { Uuid::nil() });
                let deleted = match (call.service().owners)(&stream, stream.config.clone()) {
                    None => log.delete(&stream.name).await.map_err(|error| (error::code(&error), error.to_string())),
                    // Its resource would make it again, empty.
                    Some((owner, _)) => {
                        let fact = format!("the stream belongs to `{owner}`; delete the resource, it goes with it");
                        Err((ResponseError::PolicyViolation, fact))
                    }
                };
                match deleted {
                    Ok(()) => {
                        info!(stream = %stream.name, peer = %call.client.peer, "stream deleted");
                        answer
                    }
                    Err((code, fact)) => {
                        answer.with_error_code(code.code()).with_error_message((call.version >= 5).then(|| text(fact)))
                    }
                }
            }
        });
    }
    call.answer(&DeleteTopicsResponse::default().with_responses(responses))
}
