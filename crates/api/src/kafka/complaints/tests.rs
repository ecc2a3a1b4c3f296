use super::*;

#[test]
fn a_flood_becomes_a_line_a_second() {
    let complaints = Complaints::default();
    let at = |ms| complaints.turn(Duration::from_millis(ms));
    assert_eq!([at(5), at(6), at(900), at(1_005), at(1_006), at(9_000)], [Some(0), None, None, Some(2), None, Some(1)]);
}
