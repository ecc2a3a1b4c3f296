//! JoinGroup, SyncGroup, Heartbeat, LeaveGroup, and what administrators ask about groups.

use headwater_log::groups::{Described, GroupError, Identity, Join, Leaver, Protocol, Sync};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse, HeartbeatRequest,
    HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse, ListGroupsRequest,
    ListGroupsResponse, SyncGroupRequest, SyncGroupResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::answer::{Answer, once};
use super::cluster::bits;
use super::error::{self, Broken, text};
use super::table::Call;

/// Everything that may be done to a group, as bits of `AclOperation`.
const OPERATIONS: i32 = bits(&[3, 6, 8]);

/// A group's refusal as Kafka names it.
pub(super) const fn code(refusal: &GroupError) -> ResponseError {
    match refusal {
        GroupError::InvalidGroupId => ResponseError::InvalidGroupId,
        GroupError::UnknownMember => ResponseError::UnknownMemberId,
        GroupError::IllegalGeneration => ResponseError::IllegalGeneration,
        GroupError::InconsistentProtocol => ResponseError::InconsistentGroupProtocol,
        GroupError::InvalidSessionTimeout => ResponseError::InvalidSessionTimeout,
        GroupError::RebalanceInProgress => ResponseError::RebalanceInProgress,
        GroupError::MemberIdRequired(_) => ResponseError::MemberIdRequired,
        GroupError::FencedInstance => ResponseError::FencedInstanceId,
        GroupError::Full => ResponseError::GroupMaxSizeReached,
        GroupError::NonEmpty => ResponseError::NonEmptyGroup,
        GroupError::NotFound => ResponseError::GroupIdNotFound,
        GroupError::Subscribed => ResponseError::GroupSubscribedToTopic,
        GroupError::MetadataTooLarge => ResponseError::OffsetMetadataTooLarge,
        GroupError::Log(refusal) => error::code(refusal),
        GroupError::Closed => ResponseError::CoordinatorNotAvailable,
    }
}

pub(super) async fn join(mut call: Call) -> Result<Answer, Broken> {
    let request: JoinGroupRequest = call.decode()?;
    let join = Join {
        group: request.group_id.to_string(),
        identity: identity(&request.member_id, request.group_instance_id.as_ref()),
        client_id: String::from_utf8_lossy(&call.client_id).into_owned(),
        client_host: format!("/{}", call.client.peer.ip()),
        session_timeout_ms: request.session_timeout_ms,
        // Version 0 has none: the session counts.
        rebalance_timeout_ms: if call.version == 0 { -1 } else { request.rebalance_timeout_ms },
        protocol_type: request.protocol_type.to_string(),
        protocols: request
            .protocols
            .into_iter()
            .map(|protocol| Protocol { name: protocol.name.to_string(), metadata: protocol.metadata })
            .collect(),
        two_steps: call.version >= 4,
        may_skip_assignment: call.version >= 9,
    };
    let message = match call.service().groups.join(join).await {
        Ok(joined) => {
            let members = joined.members.into_iter().map(|member| {
                JoinGroupResponseMember::default()
                    .with_member_id(text(member.member_id))
                    .with_group_instance_id(member.instance.filter(|_| call.version >= 5).map(text))
                    .with_metadata(member.metadata)
            });
            JoinGroupResponse::default()
                .with_generation_id(joined.generation)
                .with_protocol_type(joined.protocol_type.filter(|_| call.version >= 7).map(text))
                .with_protocol_name(Some(text(joined.protocol.unwrap_or_default())))
                .with_leader(text(joined.leader))
                .with_skip_assignment(joined.skip_assignment)
                .with_member_id(text(joined.member_id))
                .with_members(members.collect())
        }
        Err(refusal) => {
            let member_id = match &refusal {
                GroupError::MemberIdRequired(id) => text(id.as_str()),
                _ => request.member_id,
            };
            // Before version 7 the name cannot be null.
            JoinGroupResponse::default()
                .with_error_code(code(&refusal).code())
                .with_generation_id(-1)
                .with_protocol_name((call.version < 7).then(StrBytes::default))
                .with_member_id(member_id)
        }
    };
    call.answer(&message)
}

pub(super) async fn sync(mut call: Call) -> Result<Answer, Broken> {
    let request: SyncGroupRequest = call.decode()?;
    let sync = Sync {
        group: request.group_id.to_string(),
        identity: identity(&request.member_id, request.group_instance_id.as_ref()),
        generation: request.generation_id,
        protocol_type: request.protocol_type.as_ref().map(ToString::to_string),
        protocol: request.protocol_name.as_ref().map(ToString::to_string),
        assignments: request
            .assignments
            .into_iter()
            .map(|share| (share.member_id.to_string(), share.assignment))
            .collect(),
    };
    let message = match call.service().groups.sync(sync).await {
        Ok(synced) => SyncGroupResponse::default()
            .with_protocol_type(synced.protocol_type.filter(|_| call.version >= 5).map(text))
            .with_protocol_name(synced.protocol.filter(|_| call.version >= 5).map(text))
            .with_assignment(synced.assignment),
        Err(refusal) => SyncGroupResponse::default().with_error_code(code(&refusal).code()),
    };
    call.answer(&message)
}

pub(super) async fn heartbeat(mut call: Call) -> Result<Answer, Broken> {
    let request: HeartbeatRequest = call.decode()?;
    let identity = identity(&request.member_id, request.group_instance_id.as_ref());
    let answer = call.service().groups.heartbeat(&request.group_id, &identity, request.generation_id);
    call.answer(&HeartbeatResponse::default().with_error_code(number(answer)))
}

pub(super) async fn leave(mut call: Call) -> Result<Answer, Broken> {
    let request: LeaveGroupRequest = call.decode()?;
    let leavers: Vec<Leaver> = if call.version < 3 {
        vec![Leaver { identity: identity(&request.member_id, None) }]
    } else {
        request
            .members
            .iter()
            .map(|member| Leaver { identity: identity(&member.member_id, member.group_instance_id.as_ref()) })
            .collect()
    };
    let mut message = LeaveGroupResponse::default();
    match call.service().groups.leave(&request.group_id, &leavers).await {
        Err(refusal) => message.error_code = code(&refusal).code(),
        Ok(answers) if call.version < 3 => {
            message.error_code = answers.into_iter().next().map_or(0, number);
        }
        Ok(answers) => {
            let members = request.members.into_iter().zip(answers).map(|(member, answer)| {
                MemberResponse::default()
                    .with_member_id(member.member_id)
                    .with_group_instance_id(member.group_instance_id)
                    .with_error_code(number(answer))
            });
            message.members = members.collect();
        }
    }
    call.answer(&message)
}

pub(super) async fn describe(mut call: Call) -> Result<Answer, Broken> {
    let request: DescribeGroupsRequest = call.decode()?;
    let operations = if request.include_authorized_operations { OPERATIONS } else { i32::MIN };
    let groups = once(request.groups, Clone::clone).into_iter().map(|id| {
        let described = call.service().groups.describe(&id);
        let group = DescribedGroup::default().with_group_id(id).with_authorized_operations(operations);
        match described {
            Some(described) => describe_one(group, described, call.version),
            // Before version 6 a group that is not there is a dead one.
            None if call.version < 6 => group.with_group_state(text("Dead")),
            None => {
                let code = ResponseError::GroupIdNotFound;
                group
                    .with_group_state(text("Dead"))
                    .with_error_code(code.code())
                    .with_error_message(Some(text("there is no such group")))
            }
        }
    });
    let groups = groups.collect();
    call.answer(&DescribeGroupsResponse::default().with_groups(groups))
}

fn describe_one(group: DescribedGroup, described: Described, version: i16) -> DescribedGroup {
    let members = described.members.into_iter().map(|member| {
        DescribedGroupMember::default()
            .with_member_id(text(member.identity.member_id))
            .with_group_instance_id(member.identity.instance.filter(|_| version >= 4).map(text))
            .with_client_id(text(member.client_id))
            .with_client_host(text(member.client_host))
            .with_member_metadata(member.metadata)
            .with_member_assignment(member.assignment)
    });
    group
        .with_group_state(text(described.phase.name()))
        .with_protocol_type(text(described.protocol_type))
        .with_protocol_data(text(described.protocol))
        .with_members(members.collect())
}

pub(super) async fn list(mut call: Call) -> Result<Answer, Broken> {
    let request: ListGroupsRequest = call.decode()?;
    let is = |wanted: &[StrBytes], value: &str| {
        wanted.is_empty() || wanted.iter().any(|word| word.eq_ignore_ascii_case(value))
    };
    let groups = call.service().groups.list().into_iter();
    let groups =
        groups.filter(|group| is(&request.states_filter, group.phase.name()) && is(&request.types_filter, "classic"));
    let groups = groups.map(|group| {
        ListedGroup::default()
            .with_group_id(text(group.group).into())
            .with_protocol_type(text(group.protocol_type))
            .with_group_state(text(if call.version >= 4 { group.phase.name() } else { "" }))
            .with_group_type(text(if call.version >= 5 { "classic" } else { "" }))
    });
    let groups = groups.collect();
    call.answer(&ListGroupsResponse::default().with_groups(groups))
}

pub(super) async fn delete(mut call: Call) -> Result<Answer, Broken> {
    let request: DeleteGroupsRequest = call.decode()?;
    let mut results = Vec::with_capacity(request.groups_names.len());
    for id in request.groups_names {
        let answer = call.service().groups.delete(&id).await;
        results.push(DeletableGroupResult::default().with_group_id(id).with_error_code(number(answer)));
    }
    call.answer(&DeleteGroupsResponse::default().with_results(results))
}

fn identity(member_id: &StrBytes, instance: Option<&StrBytes>) -> Identity {
    Identity { member_id: member_id.to_string(), instance: instance.map(ToString::to_string) }
}

fn number(answer: Result<(), GroupError>) -> i16 {
    answer.err().map_or(0, |refusal| code(&refusal).code())
}
