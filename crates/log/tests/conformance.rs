//! The embedded log keeps the port's contract.

use std::sync::Arc;

use headwater_log::Log;

#[tokio::test]
async fn the_embedded_log_keeps_the_contract() {
    let make = || -> Arc<dyn Log> { headwater_testkit::memory_log().0 };
    headwater_testkit::conformance::conformance(&make).await;
}
