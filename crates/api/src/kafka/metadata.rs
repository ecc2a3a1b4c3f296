//! Metadata: streams, partitions and the one node that leads them; asking for a stream may create it.

use std::collections::HashMap;
use std::sync::Arc;

use headwater_base::Name;
use headwater_log::{LogError, Stream};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{MetadataRequest, MetadataResponse};
use tracing::info;
use uuid::Uuid;

use super::answer::{Answer, once};
use super::cluster::bits;
use super::error::{self, Broken, text};
use super::table::Call;
use super::{NODE, config_keys};

/// Everything that may be done to a topic, as bits of `AclOperation`.
const OPERATIONS: i32 = bits(&[3, 4, 5, 6, 7, 8, 10, 11]);

pub(super) async fn answer(mut call: Call) -> Result<Answer, Broken> {
    let request: MetadataRequest = call.decode()?;
    let service = call.service();
    let settings = &service.settings;
    let operations = if request.include_topic_authorized_operations { OPERATIONS } else { i32::MIN };
    let mut topics = Vec::new();
    // Made once for a request that asks by ids, however many.
    let mut by_id: Option<HashMap<u128, Arc<Stream>>> = None;
    match request.topics {
        // Version 0 had no null; no topics meant all.
        Some(wanted) if call.version > 0 || !wanted.is_empty() => {
            for topic in once(wanted, |topic| (topic.topic_id, topic.name.clone())) {
                let stream = match &topic.name {
                    Some(name) if topic.topic_id.is_nil() => find(&call, name, request.allow_auto_topic_creation).await,
                    _ => by_id
                        .get_or_insert_with(|| streams_by_id(&call))
                        .get(&topic.topic_id.as_u128())
                        .cloned()
                        .ok_or(ResponseError::UnknownTopicId),
                };
                topics.push(match stream {
                    Ok(stream) => describe(&stream, operations, call.version),
                    Err(error) => MetadataResponseTopic::default()
                        .with_error_code(error.code())
                        .with_topic_id(topic.topic_id)
                        .with_name(topic.name.or_else(|| (call.version < 12).then(Default::default)))
                        .with_topic_authorized_operations(operations),
                });
            }
        }
        _ => topics.extend(service.log.streams().iter().map(|stream| describe(stream, operations, call.version))),
    }
    let broker = MetadataResponseBroker::default()
        .with_node_id(NODE.into())
        .with_host(text(settings.advertised_host.clone()))
        .with_port(settings.advertised_port.into());
    let cluster_operations =
        if request.include_cluster_authorized_operations { bits(&[4, 5, 6, 7, 8, 9, 10, 11, 12]) } else { i32::MIN };
    let message = MetadataResponse::default()
        .with_brokers(vec![broker])
        .with_cluster_id((call.version >= 2).then(|| text(settings.cluster_id.clone())))
        .with_controller_id(if call.version >= 1 { NODE } else { -1 }.into())
        .with_topics(topics)
        .with_cluster_authorized_operations(cluster_operations);
    call.answer(&message)
}

/// All streams by their ids.
pub(super) fn streams_by_id(call: &Call) -> HashMap<u128, Arc<Stream>> {
    call.service().log.streams().into_iter().map(|stream| (stream.id, stream)).collect()
}

async fn find(call: &Call, name: &str, create: bool) -> Result<Arc<Stream>, ResponseError> {
    let service = call.service();
    if let Some(stream) = service.log.stream(name) {
        return Ok(stream);
    }
    let name = Name::new(name).map_err(|_| ResponseError::InvalidTopicException)?;
    if !create || !service.settings.auto_create {
        return Err(ResponseError::UnknownTopicOrPartition);
    }
    let config = config_keys::defaults(service.settings.partitions, &service.limits);
    match service.log.create(name.clone(), config, Vec::new()).await {
        Ok(stream) => {
            info!(stream = %name, peer = %call.client.peer, "stream created on first use");
            Ok(stream)
        }
        // Another connection was faster.
        Err(LogError::StreamExists(_)) => {
            service.log.stream(name.as_str()).ok_or(ResponseError::UnknownTopicOrPartition)
        }
        Err(refusal) => Err(error::code(&refusal)),
    }
}

fn describe(stream: &Stream, operations: i32, version: i16) -> MetadataResponseTopic {
    let partitions = (0..stream.config.partitions).map(|index| {
        MetadataResponsePartition::default()
            .with_partition_index(i32::try_from(index).unwrap_or(i32::MAX))
            .with_leader_id(NODE.into())
            .with_leader_epoch(if version >= 7 { 0 } else { -1 })
            .with_replica_nodes(vec![NODE.into()])
            .with_isr_nodes(vec![NODE.into()])
    });
    MetadataResponseTopic::default()
        .with_name(Some(text(stream.name.as_str()).into()))
        .with_topic_id(if version >= 10 { Uuid::from_u128(stream.id) } else { Uuid::nil() })
        .with_partitions(partitions.collect())
        .with_topic_authorized_operations(operations)
}
