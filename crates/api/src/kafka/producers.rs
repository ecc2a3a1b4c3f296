//! InitProducerId: ids for idempotent producers. Transactions are refused until they are there.
//!
//! # Source
//! Apache Kafka, `KafkaApis.handleInitProducerIdRequest`, `TransactionCoordinator.handleInitProducerId`: without a
//! transactional id every request is answered with a new id; KIP-360 raises epochs of transactional ones alone.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};
use tracing::info;

use super::answer::Answer;
use super::error::{self, Broken};
use super::table::Call;

pub(super) async fn init(mut call: Call) -> Result<Answer, Broken> {
    let request: InitProducerIdRequest = call.decode()?;
    let mut message = InitProducerIdResponse::default().with_producer_id((-1).into()).with_producer_epoch(-1);
    if request.transactional_id.is_some() {
        info!(peer = %call.client.peer, "transactional producer refused: there are no transactions yet");
        // The nearest there is to the truth; librdkafka says so in its log and asks again until its own time-out.
        return call.answer(&message.with_error_code(ResponseError::UnsupportedVersion.code()));
    }
    // Id and epoch come together or not at all. An idempotent producer that asks again, after an error, gets another id,
    // as from Kafka: whoever may claim any id and have its epoch raised shuts out its owner.
    if (request.producer_id.0 == -1) != (request.producer_epoch == -1) {
        return call.answer(&message.with_error_code(ResponseError::InvalidRequest.code()));
    }
    match call.service().log.producer_id().await {
        Ok(id) => {
            message.producer_id = id.into();
            message.producer_epoch = 0;
        }
        Err(refusal) => message.error_code = error::code(&refusal).code(),
    }
    call.answer(&message)
}
