use super::*;

#[test]
fn a_condition_is_asked_once_until_the_event_changes() {
    let (mut tested, mut asked) = (Tested::default(), Vec::new());
    let mut ask = |tested: &mut Tested, place: usize, yes: bool| {
        tested.of(place, || {
            asked.push(place);
            Ok(yes)
        })
    };
    for place in [0, 1, 63] {
        for yes in [place != 1, place == 1] {
            assert_eq!(ask(&mut tested, place, yes), Ok(place != 1), "the first answer of {place}");
        }
    }
    tested.forget();
    assert_eq!(ask(&mut tested, 0, false), Ok(false));
    for yes in [true, false] {
        assert_eq!(ask(&mut tested, 64, yes), Ok(yes), "there is no room for a 65th");
    }
    assert_eq!(asked, [0, 1, 63, 0, 64, 64]);
}

#[test]
fn a_condition_that_fails_is_asked_again() {
    let mut tested = Tested::default();
    assert!(tested.of(3, || Err(Fault::new("HW-FLOW-121", "no"))).is_err());
    assert_eq!(tested.of(3, || Ok(true)), Ok(true));
}
