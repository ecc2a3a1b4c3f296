//! Metadata: streams, partitions and the one node that leads them; asking for a stream may create it. Of many partitions
//! the answer is made apart from the threads that serve sockets.

use std::collections::HashMap;
use std::sync::Arc;

use headwater_base::Name;
use headwater_kernel::made;
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
use super::{NODE, apart, config_keys};

/// Everything that may be done to a topic, as bits of `AclOperation`.
const OPERATIONS: i32 = bits(&[3, 4, 5, 6, 7, 8, 10, 11]);

/// Partitions that the thread which serves the connection describes; more take over half a millisecond.
const HERE_PARTITIONS: u32 = 1_000;

/// What an answer says of a topic: a stream as it is, or why there is none.
type Found = Result<Arc<Stream>, Box<MetadataResponseTopic>>;

pub(super) async fn answer(mut call: Call) -> Result<Answer, Broken> {
    let request: MetadataRequest = call.decode()?;
    let operations = if request.include_topic_authorized_operations { OPERATIONS } else { i32::MIN };
    let cluster_operations =
        if request.include_cluster_authorized_operations { bits(&[4, 5, 6, 7, 8, 9, 10, 11, 12]) } else { i32::MIN };
    let mut topics: Vec<Found> = Vec::new();
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
                topics.push(stream.map_err(|error| {
                    let refused = MetadataResponseTopic::default()
                        .with_error_code(error.code())
                        .with_topic_id(topic.topic_id)
                        .with_name(topic.name.or_else(|| (call.version < 12).then(Default::default)))
                        .with_topic_authorized_operations(operations);
                    Box::new(refused)
                }));
            }
        }
        _ => topics.extend(call.service().log.streams().into_iter().map(Ok)),
    }
    let partitions = topics.iter().flatten().fold(0, |sum: u32, stream| sum.saturating_add(stream.config.partitions));
    if partitions <= HERE_PARTITIONS {
        return describe_all(&call, topics, operations, cluster_operations);
    }
    let client = Arc::clone(&call.client);
    apart::run(&client, move |_| describe_all(&call, topics, operations, cluster_operations)).await?
}

fn describe_all(call: &Call, topics: Vec<Found>, operations: i32, cluster_operations: i32) -> Result<Answer, Broken> {
    let settings = &call.service().settings;
    let broker = MetadataResponseBroker::default()
        .with_node_id(NODE.into())
        .with_host(text(settings.advertised_host.clone()))
        .with_port(settings.advertised_port.into());
    let described = topics.into_iter().map(|topic| match topic {
        Ok(stream) => describe(&stream, operations, call.version),
        Err(refused) => *refused,
    });
    let message = MetadataResponse::default()
        .with_brokers(vec![broker])
        .with_cluster_id((call.version >= 2).then(|| text(settings.cluster_id.clone())))
        .with_controller_id(if call.version >= 1 { NODE } else { -1 }.into())
        .with_topics(described.collect())
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
    let asked = made::by_kafka(&String::from_utf8_lossy(&call.client_id));
    match service.log.create(name.clone(), config, asked).await {
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
