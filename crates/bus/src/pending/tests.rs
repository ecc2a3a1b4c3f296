#![allow(clippy::unwrap_used)]

use headwater_base::Micros;
use proptest::prelude::*;

use super::Pending;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(
        offset in 0..i64::MAX, partition in any::<u32>(), stream in "[a-z.]{1,20}", order in proptest::option::of(".{0,10}"),
        number in any::<i64>(),
    ) {
        let pending = Pending {
            target: 3, stream, partition, offset, time: Micros(number), cause: "c\"".to_owned(), hops: 2,
            first: Micros(1), due: Micros(number), attempts: 9, order,
        };
        // Numbers keep every digit.
        let body = format!("{{\"body\": [{number}, 1.000000000000000000001]}}");
        let (read, text) = Pending::decode(&pending.encode(body.as_bytes()).unwrap()).unwrap();
        prop_assert_eq!(read, pending);
        prop_assert_eq!(text, body.as_bytes());
    }

    #[test]
    fn keys_go_in_the_order_of_offsets(one in 0..i64::MAX, other in 0..i64::MAX) {
        let at = |offset| Pending {
            target: 0, stream: "s".to_owned(), partition: 0, offset, time: Micros(0), cause: String::new(), hops: 0,
            first: Micros(0), due: Micros(0), attempts: 0, order: None,
        };
        prop_assert_eq!(one.cmp(&other), at(one).key().cmp(&at(other).key()));
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let _ = Pending::decode(&bytes);
        let _ = crate::runtime::cohort::decode(&bytes);
    }
}
