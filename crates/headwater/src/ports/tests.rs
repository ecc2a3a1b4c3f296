use super::*;

#[test]
fn claims_are_apart_and_out_of_the_way_of_connections() {
    let claims: Vec<Claim> = (0..50).map(|_| Claim::new().unwrap()).collect();
    let mut ports: Vec<u16> = claims.iter().flat_map(|claim| ALL.map(|port| port + claim.offset())).collect();
    assert!(ports.iter().all(|port| *port < ephemeral()), "{ports:?}");
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 50 * ALL.len());
}

#[test]
fn a_port_in_use_is_left_to_its_user() {
    let claim = Claim::new().unwrap();
    let offset = claim.offset();
    drop(claim);
    let _user = TcpListener::bind((Ipv4Addr::LOCALHOST, AWS + offset)).unwrap();
    assert!(held(offset).is_err());
}
