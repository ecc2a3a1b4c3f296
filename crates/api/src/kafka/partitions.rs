//! CreatePartitions and DeleteRecords: a stream grows at one side and is cut at the other.

use headwater_log::LogError;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::BrokerId;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use kafka_protocol::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse, DeleteRecordsRequest, DeleteRecordsResponse,
};

use super::NODE;
use super::answer::Answer;
use super::error::{self, Broken, text};
use super::table::Call;

pub(super) async fn create(mut call: Call) -> Result<Answer, Broken> {
    let request: CreatePartitionsRequest = call.decode()?;
    let mut results = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let result = grow(&call, &topic, request.validate_only).await;
        let answer = CreatePartitionsTopicResult::default().with_name(topic.name);
        results.push(match result {
            Ok(()) => answer,
            Err((code, message)) => answer.with_error_code(code.code()).with_error_message(Some(text(message))),
        });
    }
    call.answer(&CreatePartitionsResponse::default().with_results(results))
}

async fn grow(call: &Call, topic: &CreatePartitionsTopic, validate_only: bool) -> Result<(), (ResponseError, String)> {
    let service = call.service();
    let unknown = || (ResponseError::UnknownTopicOrPartition, format!("there is no stream `{}`", &**topic.name));
    let stream = service.log.stream(&topic.name).ok_or_else(unknown)?;
    let now = stream.config.partitions;
    let limit = service.limits.partitions;
    let invalid = |message| (ResponseError::InvalidPartitions, message);
    let count = u32::try_from(topic.count).ok().filter(|count| (1..=limit).contains(&(*count as usize)));
    let count =
        count.ok_or_else(|| invalid(format!("`{}` partitions: the number must be from 1 to {limit}", topic.count)))?;
    if count <= now {
        return Err(invalid(format!("the stream has {now} partitions, which `{count}` would not increase")));
    }
    if let Some(assignments) = &topic.assignments {
        let refused = |message| (ResponseError::InvalidReplicaAssignment, message);
        if assignments.len() != (count - now) as usize {
            return Err(refused(format!("{} partitions are new, {} are assigned", count - now, assignments.len())));
        }
        if assignments.iter().any(|assignment| assignment.broker_ids.as_slice() != [BrokerId(NODE)]) {
            return Err(refused(format!("there is one broker, `{NODE}`")));
        }
    }
    if validate_only {
        return Ok(());
    }
    let mut config = stream.config.clone();
    config.partitions = count;
    let altered = service.log.alter(&stream.name, config, stream.extra.clone()).await;
    altered.map(drop).map_err(|refusal| (error::code(&refusal), refusal.to_string()))
}

pub(super) async fn delete_records(mut call: Call) -> Result<Answer, Broken> {
    let request: DeleteRecordsRequest = call.decode()?;
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let answer = DeleteRecordsPartitionResult::default().with_partition_index(partition.partition_index);
            partitions.push(match trim(&call, &topic.name, partition.partition_index, partition.offset).await {
                Ok(start) => answer.with_low_watermark(start),
                Err(refusal) => answer.with_low_watermark(-1).with_error_code(error::code(&refusal).code()),
            });
        }
        topics.push(DeleteRecordsTopicResult::default().with_name(topic.name).with_partitions(partitions));
    }
    call.answer(&DeleteRecordsResponse::default().with_topics(topics))
}

async fn trim(call: &Call, name: &str, index: i32, offset: i64) -> Result<i64, LogError> {
    let log = &call.service().log;
    let stream = log.stream(name).ok_or_else(|| LogError::UnknownStream(name.to_owned()))?;
    let partition = u32::try_from(index).map_err(|_| LogError::UnknownPartition(stream.name.clone(), u32::MAX))?;
    let ends = log.ends(&stream.name, partition)?;
    // -1 stands for the end.
    let offset = if offset == -1 { ends.durable } else { offset };
    if offset < 0 || offset > ends.durable {
        return Err(LogError::OffsetOutOfRange { wanted: offset, start: ends.start, end: ends.durable });
    }
    log.trim(&stream.name, partition, offset).await
}
