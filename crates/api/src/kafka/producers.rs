//! InitProducerId: ids for idempotent producers. Transactions are refused until they are there.

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
    // An idempotent producer that asks again, after an error, goes on with its id and the next epoch (KIP-360).
    let next_epoch = request.producer_epoch.checked_add(1).filter(|epoch| *epoch < i16::MAX);
    match next_epoch {
        Some(epoch) if request.producer_id.0 >= 0 && request.producer_epoch >= 0 => {
            message.producer_id = request.producer_id;
            message.producer_epoch = epoch;
        }
        _ => match call.service().log.producer_id().await {
            Ok(id) => {
                message.producer_id = id.into();
                message.producer_epoch = 0;
            }
            Err(refusal) => message.error_code = error::code(&refusal).code(),
        },
    }
    call.answer(&message)
}
