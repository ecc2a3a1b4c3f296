//! OffsetCommit, OffsetFetch, OffsetDelete: how far groups have come.

use std::collections::HashMap;

use headwater_log::groups::{Committed, GroupError, Identity, OffsetEntry};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use kafka_protocol::messages::offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse, OffsetFetchRequest,
    OffsetFetchResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::answer::{Answer, once};
use super::error::{Broken, text};
use super::groups::code;
use super::table::Call;

pub(super) async fn commit(mut call: Call) -> Result<Answer, Broken> {
    let request: OffsetCommitRequest = call.decode()?;
    let service = call.service();
    let now = service.clock.now();
    // What exists goes to the group; the rest is answered here. `codes` is in the order of the request.
    let mut codes = Vec::new();
    let mut entries = Vec::new();
    for topic in &request.topics {
        let stream = service.log.stream(&topic.name);
        for partition in &topic.partitions {
            let index = u32::try_from(partition.partition_index).ok();
            let index = index.filter(|index| stream.as_ref().is_some_and(|stream| *index < stream.config.partitions));
            let Some(index) = index else {
                codes.push(ResponseError::UnknownTopicOrPartition.code());
                continue;
            };
            codes.push(0);
            let committed = Committed {
                offset: partition.committed_offset,
                leader_epoch: partition.committed_leader_epoch,
                metadata: partition.committed_metadata.as_ref().map(ToString::to_string).unwrap_or_default(),
                at: now,
            };
            entries.push(OffsetEntry { topic: topic.name.to_string(), partition: index, committed });
        }
    }
    let identity = Identity {
        member_id: request.member_id.to_string(),
        instance: request.group_instance_id.as_ref().map(ToString::to_string),
    };
    let generation = request.generation_id_or_member_epoch;
    match service.groups.commit(&request.group_id, &identity, generation, &entries).await {
        Ok(answers) => {
            for (place, answer) in codes.iter_mut().filter(|code| **code == 0).zip(answers) {
                *place = answer.err().map_or(0, |refusal| code(&refusal).code());
            }
        }
        Err(refusal) => codes.iter_mut().filter(|code| **code == 0).for_each(|place| *place = code(&refusal).code()),
    }
    let mut codes = codes.into_iter();
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            OffsetCommitResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(codes.next().unwrap_or(0))
        });
        let partitions = partitions.collect();
        OffsetCommitResponseTopic::default().with_name(topic.name).with_partitions(partitions)
    });
    let topics = topics.collect();
    call.answer(&OffsetCommitResponse::default().with_topics(topics))
}

pub(super) async fn fetch(mut call: Call) -> Result<Answer, Broken> {
    let request: OffsetFetchRequest = call.decode()?;
    let mut message = OffsetFetchResponse::default();
    if call.version < 8 {
        let wanted = request
            .topics
            .map(|topics| topics.into_iter().map(|topic| (topic.name.0, topic.partition_indexes)).collect());
        let topics = look_up(&call, &request.group_id, wanted).into_iter().map(|(name, partitions)| {
            let partitions = partitions.into_iter().map(|(index, committed)| {
                let (offset, epoch, metadata) = parts(committed);
                let epoch = if call.version >= 5 { epoch } else { -1 };
                OffsetFetchResponsePartition::default()
                    .with_partition_index(index)
                    .with_committed_offset(offset)
                    .with_committed_leader_epoch(epoch)
                    .with_metadata(metadata)
            });
            OffsetFetchResponseTopic::default().with_name(name.into()).with_partitions(partitions.collect())
        });
        message.topics = topics.collect();
        return call.answer(&message);
    }
    for group in once(request.groups, |group| group.group_id.clone()) {
        let wanted = group
            .topics
            .map(|topics| topics.into_iter().map(|topic| (topic.name.0, topic.partition_indexes)).collect());
        let topics = look_up(&call, &group.group_id, wanted).into_iter().map(|(name, partitions)| {
            let partitions = partitions.into_iter().map(|(index, committed)| {
                let (offset, epoch, metadata) = parts(committed);
                OffsetFetchResponsePartitions::default()
                    .with_partition_index(index)
                    .with_committed_offset(offset)
                    .with_committed_leader_epoch(epoch)
                    .with_metadata(metadata)
            });
            OffsetFetchResponseTopics::default().with_name(name.into()).with_partitions(partitions.collect())
        });
        let topics = topics.collect();
        message.groups.push(OffsetFetchResponseGroup::default().with_group_id(group.group_id).with_topics(topics));
    }
    call.answer(&message)
}

type Found = Vec<(StrBytes, Vec<(i32, Option<Committed>)>)>;

/// The offsets wanted, or all of the group.
fn look_up(call: &Call, group: &str, wanted: Option<Vec<(StrBytes, Vec<i32>)>>) -> Found {
    let groups = &call.service().groups;
    let Some(wanted) = wanted else {
        let mut by_topic: HashMap<String, Vec<(i32, Option<Committed>)>> = HashMap::new();
        for entry in groups.all_committed(group) {
            let index = i32::try_from(entry.partition).unwrap_or(i32::MAX);
            by_topic.entry(entry.topic).or_default().push((index, Some(entry.committed)));
        }
        return by_topic.into_iter().map(|(topic, partitions)| (text(topic), partitions)).collect();
    };
    let topics = wanted.into_iter().map(|(topic, partitions)| {
        let find = |index: i32| u32::try_from(index).ok().and_then(|index| groups.committed(group, &topic, index));
        let partitions = partitions.into_iter().map(|index| (index, find(index))).collect();
        (topic, partitions)
    });
    topics.collect()
}

fn parts(committed: Option<Committed>) -> (i64, i32, Option<StrBytes>) {
    let Some(committed) = committed else { return (-1, -1, Some(StrBytes::default())) };
    (committed.offset, committed.leader_epoch, Some(text(committed.metadata)))
}

pub(super) async fn delete(mut call: Call) -> Result<Answer, Broken> {
    let request: OffsetDeleteRequest = call.decode()?;
    let places = request.topics.iter().flat_map(|topic| {
        topic
            .partitions
            .iter()
            .map(|partition| (topic.name.to_string(), u32::try_from(partition.partition_index).unwrap_or(u32::MAX)))
    });
    let places: Vec<(String, u32)> = places.collect();
    let answers = match call.service().groups.delete_offsets(&request.group_id, &places).await {
        Ok(answers) => answers,
        Err(refusal) => {
            return call.answer(&OffsetDeleteResponse::default().with_error_code(code(&refusal).code()));
        }
    };
    let mut answers = answers.into_iter();
    let topics = request.topics.into_iter().map(|topic| {
        let stream = call.service().log.stream(&topic.name);
        let partitions = topic.partitions.iter().map(|partition| {
            let known = stream
                .as_ref()
                .is_some_and(|stream| i64::from(partition.partition_index) < i64::from(stream.config.partitions));
            let error = match answers.next() {
                _ if !known => ResponseError::UnknownTopicOrPartition.code(),
                Some(Err(GroupError::Subscribed)) => ResponseError::GroupSubscribedToTopic.code(),
                Some(Err(refusal)) => code(&refusal).code(),
                Some(Ok(())) | None => 0,
            };
            OffsetDeleteResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(error)
        });
        let partitions = partitions.collect();
        OffsetDeleteResponseTopic::default().with_name(topic.name).with_partitions(partitions)
    });
    let topics = topics.collect();
    call.answer(&OffsetDeleteResponse::default().with_topics(topics))
}
