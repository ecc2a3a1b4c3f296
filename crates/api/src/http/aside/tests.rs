use std::panic::AssertUnwindSafe;

use futures::FutureExt;

use super::*;

#[tokio::test]
async fn a_bug_is_met_by_the_request_that_asked() {
    assert_eq!(aside(|| 7).await.ok(), Some(7));
    let met = AssertUnwindSafe(aside::<()>(|| panic!("as it is asked for"))).catch_unwind().await;
    assert!(met.is_err());
}
