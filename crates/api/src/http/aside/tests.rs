use headwater_kernel::unit::awaited;

use super::*;

#[tokio::test]
async fn a_bug_is_met_by_the_request_that_asked() {
    assert_eq!(aside(|| 7).await.ok(), Some(7));
    let met = awaited(aside::<()>(|| panic!("as it is asked for"))).await;
    assert_eq!(met.err().as_deref(), Some("as it is asked for"));
}
