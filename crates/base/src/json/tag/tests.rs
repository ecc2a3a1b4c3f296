use proptest::prelude::*;

use super::*;

#[test]
fn names_of_any_length_have_a_tag() {
    let long = "x".repeat(1_000);
    let names = ["", "a", "b", "ab", "ba", "abc", "axc", "kind", "time", "page", long.as_str()];
    for (at, name) in names.iter().enumerate() {
        assert!(
            names.iter().enumerate().all(|(other, it)| (tag(it.as_bytes()) == tag(name.as_bytes())) == (other == at))
        );
    }
    assert_eq!(tag(b"a_b_c"), tag(b"axbxc"), "the names that have it are still to be compared");
}

proptest! {
    #[test]
    fn the_last_place_is_found(tags in prop::collection::vec(0_u32..8, 0..40), wanted in 0_u32..8) {
        prop_assert_eq!(last_of(&tags, wanted), tags.iter().rposition(|tag| *tag == wanted));
    }
}
