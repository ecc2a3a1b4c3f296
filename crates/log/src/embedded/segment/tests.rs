use headwater_store::disk::MemoryDisk;
use proptest::prelude::*;

use super::*;

fn entry() -> impl Strategy<Value = Entry> {
    (any::<i64>(), 0..i64::MAX as u64, any::<i64>()).prop_map(|(offset, place, newest_before_ms)| Entry {
        offset,
        place,
        newest_before_ms,
    })
}

proptest! {
    #[test]
    fn an_index_is_read_as_it_was_written(
        (base, next, newest_ms, opened) in any::<(i64, i64, i64, i64)>(),
        length in 0..i64::MAX as u64,
        index in prop::collection::vec(entry(), 0..20),
        flip in any::<prop::sample::Index>(),
    ) {
        let segment = Segment { base, length, next, newest_ms, opened: Micros(opened), index };
        let mut bytes = segment.encode_index();
        prop_assert_eq!(Segment::decode_index(base, &bytes), Some(segment));
        // Any one byte that changes is noticed, and so is another segment's index.
        prop_assert_eq!(Segment::decode_index(base.wrapping_add(1), &bytes), None);
        *flip.get_mut(&mut bytes) ^= 1;
        prop_assert_eq!(Segment::decode_index(base, &bytes), None);
    }

    #[test]
    fn arbitrary_bytes_are_no_index(bytes in prop::collection::vec(any::<u8>(), 0..200), magic in any::<bool>()) {
        let mut bytes = bytes;
        if magic && bytes.len() >= MAGIC.len() {
            bytes[..MAGIC.len()].copy_from_slice(MAGIC);
        }
        prop_assert_eq!(Segment::decode_index(7, &bytes), None);
    }

    #[test]
    fn an_arbitrary_segment_is_scanned_to_its_first_fault(
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        length in 0..700_u64,
    ) {
        let disk = MemoryDisk::default();
        let folder = Path::new("/s");
        disk.create_dir(folder).unwrap();
        let file = disk.open(&Segment::log_path(folder, 0), true).unwrap();
        let mut builder = headwater_wire::batch::Builder::new(headwater_wire::batch::Compression::None);
        builder.push(5, Some(b"k"), Some(b"v"), &[]);
        let good = builder.finish();
        file.write_at(&good, 0).unwrap();
        file.write_at(&bytes, good.len() as u64).unwrap();
        let length = good.len() as u64 + length.min(bytes.len() as u64);
        let segment = Segment::load(&disk, folder, 0, length, Micros(1)).unwrap();
        prop_assert!(segment.length >= good.len() as u64 && segment.length <= length);
        prop_assert_eq!(segment.place_of(0), 0);
    }
}
