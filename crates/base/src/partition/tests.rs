use super::*;

/// The cases of Kafka's `UtilsTest.testMurmur2`.
#[test]
fn hashes_as_kafka_does() {
    for (text, hash) in [
        ("21", -973_932_308),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ("abc", 479_470_107),
    ] {
        assert_eq!(murmur2(text.as_bytes()).cast_signed(), hash, "{text}");
    }
}

#[test]
fn stays_within_the_partitions() {
    assert!((0..100_u32).all(|n| partition_of(&n.to_be_bytes(), 7) < 7));
    assert_eq!(partition_of(b"x", 0), 0);
}
