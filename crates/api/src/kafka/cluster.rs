//! DescribeCluster and FindCoordinator: this node, whatever is asked for.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{
    DescribeClusterRequest, DescribeClusterResponse, FindCoordinatorRequest, FindCoordinatorResponse,
};

use super::NODE;
use super::answer::Answer;
use super::error::{Broken, text};
use super::table::Call;

/// Everything that may be done to a cluster, as bits of `AclOperation`.
const OPERATIONS: i32 = bits(&[4, 5, 6, 7, 8, 9, 10, 11, 12]);

/// The bits of a set of `AclOperation` codes.
pub(super) const fn bits(codes: &[u32]) -> i32 {
    let mut bits = 0;
    let mut index = 0;
    while index < codes.len() {
        bits |= 1 << codes[index];
        index += 1;
    }
    bits
}

pub(super) async fn describe(mut call: Call) -> Result<Answer, Broken> {
    let request: DescribeClusterRequest = call.decode()?;
    let settings = &call.service().settings;
    let broker = DescribeClusterBroker::default()
        .with_broker_id(NODE.into())
        .with_host(text(settings.advertised_host.clone()))
        .with_port(settings.advertised_port.into());
    let operations = if request.include_cluster_authorized_operations { OPERATIONS } else { i32::MIN };
    let message = DescribeClusterResponse::default()
        .with_endpoint_type(request.endpoint_type)
        .with_cluster_id(text(settings.cluster_id.clone()))
        .with_controller_id(NODE.into())
        .with_brokers(vec![broker])
        .with_cluster_authorized_operations(operations);
    call.answer(&message)
}

pub(super) async fn find_coordinator(mut call: Call) -> Result<Answer, Broken> {
    let request: FindCoordinatorRequest = call.decode()?;
    let settings = &call.service().settings;
    // 0 is a group, 1 a transaction; 2 would be a share group.
    let known = matches!(request.key_type, 0 | 1);
    let error = if known { 0 } else { ResponseError::InvalidRequest.code() };
    let coordinators = request.coordinator_keys.into_iter().map(|key| {
        let coordinator = Coordinator::default().with_key(key).with_error_code(error);
        if known {
            coordinator
                .with_node_id(NODE.into())
                .with_host(text(settings.advertised_host.clone()))
                .with_port(settings.advertised_port.into())
        } else {
            coordinator.with_node_id((-1).into()).with_port(-1)
        }
    });
    let mut message = FindCoordinatorResponse::default();
    if call.version >= 4 {
        message.coordinators = coordinators.collect();
    } else if known {
        message.node_id = NODE.into();
        message.host = text(settings.advertised_host.clone());
        message.port = settings.advertised_port.into();
    } else {
        message.error_code = error;
        message.node_id = (-1).into();
        message.port = -1;
    }
    call.answer(&message)
}
