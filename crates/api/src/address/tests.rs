use super::listen;

#[tokio::test]
async fn addresses_that_others_can_reach_are_refused() {
    for address in ["0.0.0.0:0", "[::]:0", "10.1.2.3:0"] {
        let problem = listen(address.parse().unwrap(), "HTTP").await.unwrap_err();
        assert_eq!(problem.code, "HW-API-001", "{address}");
    }
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let first = listen("127.0.0.1:0".parse().unwrap(), "HTTP").await.unwrap();
    let problem = listen(first.local_addr().unwrap(), "Kafka").await.unwrap_err();
    assert_eq!(problem.code, "HW-API-022");
}
