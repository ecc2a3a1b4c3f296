//! ListOffsets and OffsetForLeaderEpoch: where a partition begins, ends, and was at a time.

use std::collections::HashSet;

use headwater_base::{Micros, Name};
use headwater_log::{Ends, Log};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::list_offsets_request::ListOffsetsTopic;
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use kafka_protocol::messages::{
    ListOffsetsRequest, ListOffsetsResponse, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
};

use super::answer::Answer;
use super::apart;
use super::error::{self, Broken};
use super::fetch::check_epoch;
use super::table::Call;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
/// The record with the largest time.
const MAX_TIME: i64 = -3;

pub(super) async fn list(mut call: Call) -> Result<Answer, Broken> {
    let request: ListOffsetsRequest = call.decode()?;
    let wanted = |topic: &ListOffsetsTopic| topic.partitions.iter().any(|partition| searches(partition.timestamp));
    let version = call.version;
    let answer = if request.topics.iter().any(wanted) {
        apart::run(&call.client, move |service| find_all(&*service.log, request, version)).await?
    } else {
        find_all(&*call.service().log, request, version)
    };
    call.answer(&answer)
}

/// Whether records have to be looked at.
const fn searches(timestamp: i64) -> bool {
    timestamp >= 0 || timestamp == MAX_TIME
}

fn find_all(log: &dyn Log, request: ListOffsetsRequest, version: i16) -> ListOffsetsResponse {
    let committed = request.isolation_level == 1;
    let mut seen = HashSet::new();
    let topics = request.topics.into_iter().map(|topic| {
        let stream = log.stream(&topic.name);
        let partitions = topic.partitions.iter().map(|partition| {
            let index = partition.partition_index;
            let answer = ListOffsetsPartitionResponse::default().with_partition_index(index);
            let name = stream.as_ref().map(|stream| &stream.name);
            // As Kafka does. The work is bounded by the partitions there are.
            let once = seen.insert((topic.name.clone(), index));
            let found =
                if once { check_epoch(partition.current_leader_epoch) } else { Err(ResponseError::InvalidRequest) };
            match found.and_then(|()| find(log, name, index, partition.timestamp, committed)) {
                Ok((offset, timestamp)) => {
                    let epoch = if offset < 0 || version < 4 { -1 } else { 0 };
                    answer.with_offset(offset).with_timestamp(timestamp).with_leader_epoch(epoch)
                }
                Err(error) => {
                    answer.with_error_code(error.code()).with_offset(-1).with_timestamp(-1).with_leader_epoch(-1)
                }
            }
        });
        let partitions = partitions.collect();
        ListOffsetsTopicResponse::default().with_name(topic.name).with_partitions(partitions)
    });
    ListOffsetsResponse::default().with_topics(topics.collect())
}

fn ends(log: &dyn Log, stream: Option<&Name>, index: i32) -> Result<(u32, Ends), ResponseError> {
    let unknown = ResponseError::UnknownTopicOrPartition;
    let partition = u32::try_from(index).map_err(|_| unknown)?;
    let ends = log.ends(stream.ok_or(unknown)?, partition).map_err(|refusal| error::code(&refusal))?;
    Ok((partition, ends))
}

/// Offset and time, each -1 when there is none.
fn find(
    log: &dyn Log,
    stream: Option<&Name>,
    index: i32,
    timestamp: i64,
    committed: bool,
) -> Result<(i64, i64), ResponseError> {
    let (partition, ends) = ends(log, stream, index)?;
    let stream = stream.ok_or(ResponseError::UnknownTopicOrPartition)?;
    let none = (-1, -1);
    let known = |found: Option<(i64, Micros)>| found.map_or(none, |(offset, time)| (offset, time.millis()));
    match timestamp {
        LATEST if committed => Ok((ends.stable, -1)),
        LATEST => Ok((ends.durable, -1)),
        EARLIEST => Ok((ends.start, -1)),
        MAX_TIME => log.newest(stream, partition).map(known).map_err(|refusal| error::code(&refusal)),
        0.. => {
            let found = log.find_time(stream, partition, Micros::from_millis(timestamp));
            Ok(known(found.map_err(|refusal| error::code(&refusal))?))
        }
        _ => Err(ResponseError::InvalidRequest),
    }
}

/// There has been one leader, of epoch 0, since the partition began.
pub(super) async fn for_leader_epoch(mut call: Call) -> Result<Answer, Broken> {
    let request: OffsetForLeaderEpochRequest = call.decode()?;
    let log = &*call.service().log;
    let topics = request.topics.into_iter().map(|topic| {
        let stream = log.stream(&topic.topic);
        let partitions = topic.partitions.iter().map(|partition| {
            let answer = EpochEndOffset::default().with_partition(partition.partition);
            let name = stream.as_ref().map(|stream| &stream.name);
            let found = check_epoch(partition.current_leader_epoch).and_then(|()| ends(log, name, partition.partition));
            match (found, partition.leader_epoch) {
                (Ok((_, ends)), 0) => answer.with_leader_epoch(0).with_end_offset(ends.durable),
                (Ok(_), _) => answer.with_leader_epoch(-1).with_end_offset(-1),
                (Err(error), _) => answer.with_error_code(error.code()).with_leader_epoch(-1).with_end_offset(-1),
            }
        });
        let partitions = partitions.collect();
        OffsetForLeaderTopicResult::default().with_topic(topic.topic).with_partitions(partitions)
    });
    let topics = topics.collect();
    call.answer(&OffsetForLeaderEpochResponse::default().with_topics(topics))
}
