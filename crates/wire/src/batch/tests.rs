use bytes::{Bytes, BytesMut};
use headwater_base::Micros;
use proptest::prelude::*;

use super::*;

const MAX: usize = 1 << 20;
const CODECS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

type Given = (i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, Vec<u8>)>);

fn build(compression: Compression, given: &[Given]) -> BytesMut {
    let mut builder = Builder::new(compression);
    for (time, key, value, headers) in given {
        let headers: Vec<(&str, &[u8])> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        builder.push(*time, key.as_deref(), value.as_deref(), &headers);
    }
    builder.finish()
}

fn three(compression: Compression) -> BytesMut {
    let record = |time, key: &str, value: &str| (time, Some(key.into()), Some(value.into()), vec![]);
    build(compression, &[record(10, "a", "one"), record(5, "b", "two"), record(20, "a", "three")])
}

fn values(batch: &Bytes) -> Vec<(i64, i64, String)> {
    let text = |record: Record| {
        (record.offset, record.timestamp, String::from_utf8_lossy(&record.value.unwrap()).into_owned())
    };
    records(batch, MAX).unwrap().map(|record| text(record.unwrap())).collect()
}

fn given() -> impl Strategy<Value = Vec<Given>> {
    let part = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40));
    let headers = proptest::collection::vec((".{0,8}", proptest::collection::vec(any::<u8>(), 0..9)), 0..3);
    proptest::collection::vec((-1i64..1 << 42, part.clone(), part, headers), 1..40)
}

proptest! {
    #[test]
    fn what_is_built_is_read_back(given in given(), codec in 0usize..5, base in 0i64..1 << 50) {
        let mut batch = build(CODECS[codec], &given);
        set_base_offset(&mut batch, base);
        set_leader_epoch(&mut batch, 7);
        let batch = batch.freeze();
        let header = Header::parse(&batch).unwrap();
        header.verify(&batch).unwrap();
        check_shape(&header, &batch, MAX).unwrap();
        prop_assert!(header.is_dense());
        prop_assert_eq!(header.total_bytes(), batch.len());
        prop_assert_eq!(header.compression().unwrap(), CODECS[codec]);
        prop_assert_eq!(header.last_offset(), base + given.len() as i64 - 1);
        prop_assert_eq!(header.max_timestamp, given.iter().map(|g| g.0).max().unwrap());
        let read: Vec<Record> = records(&batch, MAX).unwrap().map(Result::unwrap).collect();
        prop_assert_eq!(read.len(), given.len());
        for (index, (record, (time, key, value, headers))) in read.iter().zip(&given).enumerate() {
            prop_assert_eq!(record.offset, base + index as i64);
            prop_assert_eq!(record.timestamp, *time);
            prop_assert_eq!(record.key.as_deref(), key.as_deref());
            prop_assert_eq!(record.value.as_deref(), value.as_deref());
            let read: Vec<_> = record.headers.iter().map(|(n, v)| (n.to_vec(), v.clone().unwrap().to_vec())).collect();
            let sent: Vec<_> = headers.iter().map(|(n, v)| (n.clone().into_bytes(), v.clone())).collect();
            prop_assert_eq!(read, sent);
        }
    }

    #[test]
    fn any_bytes_get_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = split(&bytes).count();
        let _ = records(&Bytes::from(bytes), MAX).map(Iterator::count);
    }

    #[test]
    fn a_damaged_batch_gets_an_answer_and_its_checksum_tells(codec in 0usize..5, flips in proptest::collection::vec((21usize..200, 1u8..), 1..4)) {
        let sound = three(CODECS[codec]);
        let mut batch = sound.clone();
        for (at, flip) in flips {
            let at = 21 + at % (batch.len() - 21);
            batch[at] ^= flip;
        }
        prop_assume!(batch != sound);
        let batch = batch.freeze();
        if let Ok(header) = Header::parse(&batch) {
            let wrong = matches!(header.verify(&batch), Err(BatchError::Checksum { .. }));
            prop_assert!(wrong);
            let _ = check_shape(&header, &batch, MAX);
        }
        let _ = records(&batch, MAX).map(Iterator::count);
    }

    #[test]
    fn a_cut_off_batch_is_an_error(codec in 0usize..5, keep in 0usize..1000) {
        let batch = three(CODECS[codec]).freeze();
        let cut = batch.slice(..keep % batch.len());
        prop_assert!(records(&cut, MAX).is_err());
        prop_assert!(cut.is_empty() || split(&cut).next().unwrap().is_err());
    }
}

#[test]
fn batches_back_to_back_are_told_apart() {
    let mut bytes = three(Compression::None);
    let first = bytes.len();
    bytes.extend_from_slice(&three(Compression::Zstd));
    let total = bytes.len();
    let ranges: Vec<_> = split(&bytes).map(|batch| batch.unwrap().1).collect();
    assert_eq!(ranges, [0..first, first..total]);
    bytes.truncate(total - 1);
    let second = split(&bytes).nth(1).unwrap();
    assert_eq!(second, Err(BatchError::Truncated { needed: total - first, have: total - first - 1 }));
}

#[test]
fn the_time_of_arrival_replaces_the_producers_times() {
    let mut batch = three(Compression::Lz4);
    set_append_time(&mut batch, Micros::from_millis(99));
    let header = Header::parse(&batch).unwrap();
    header.verify(&batch).unwrap();
    assert_eq!((header.is_append_time(), header.max_timestamp), (true, 99));
    let times: Vec<i64> = values(&batch.freeze()).into_iter().map(|(_, time, _)| time).collect();
    assert_eq!(times, [99, 99, 99]);
}

#[test]
fn records_left_after_compaction_keep_their_offsets() {
    for codec in CODECS {
        let mut batch = three(codec);
        set_base_offset(&mut batch, 40);
        let kept = retain(&batch.freeze(), MAX, |record| record.offset != 40).unwrap().unwrap().freeze();
        let header = Header::parse(&kept).unwrap();
        header.verify(&kept).unwrap();
        assert_eq!((header.base_offset, header.last_offset(), header.count), (40, 42, 2));
        assert_eq!(header.compression().unwrap(), codec);
        assert_eq!(values(&kept), [(41, 5, "two".into()), (42, 20, "three".into())]);
        assert_eq!(retain(&kept, MAX, |_| false).unwrap(), None);
    }
}

#[test]
fn unpacking_stops_at_its_limit() {
    for codec in CODECS {
        let batch = build(codec, &[(0, None, Some(vec![b'x'; 100_000]), vec![])]).freeze();
        assert!(codec == Compression::None || batch.len() < 10_000);
        assert_eq!(records(&batch, 50_000).err(), Some(BatchError::TooLarge { limit: 50_000 }));
        assert_eq!(records(&batch, 200_000).unwrap().count(), 1);
    }
}

#[test]
fn snappy_is_read_raw_and_framed() {
    let framed = three(Compression::Snappy);
    assert_eq!(&framed[HEADER_BYTES..HEADER_BYTES + 7], b"\x82SNAPPY");
    let plain = three(Compression::None);
    let mut raw = framed.clone();
    raw.truncate(HEADER_BYTES);
    raw.extend_from_slice(&snap::raw::Encoder::new().compress_vec(&plain[HEADER_BYTES..]).unwrap());
    let length = raw.len() as i32 - 12;
    raw[8..12].copy_from_slice(&length.to_be_bytes());
    assert_eq!(values(&raw.freeze()), values(&plain.freeze()));
}

#[test]
fn old_formats_and_impossible_fields_are_named() {
    let mut batch = three(Compression::None);
    batch[16] = 1;
    assert_eq!(Header::parse(&batch), Err(BatchError::Magic(1)));
    let mut batch = three(Compression::None);
    batch[8..12].copy_from_slice(&48i32.to_be_bytes());
    assert_eq!(Header::parse(&batch), Err(BatchError::Length(48)));
    let mut batch = three(Compression::None);
    batch[57..61].copy_from_slice(&9i32.to_be_bytes());
    assert_eq!(Header::parse(&batch), Err(BatchError::Count { count: 9, last_offset_delta: 2 }));
    let mut batch = three(Compression::None);
    batch[22] = 6;
    assert_eq!(records(&batch.freeze(), MAX).err(), Some(BatchError::Compression(6)));
}

#[test]
fn more_or_fewer_records_than_said_are_found() {
    let mut batch = three(Compression::None);
    batch[57..61].copy_from_slice(&2i32.to_be_bytes());
    let header = Header::parse(&batch).unwrap();
    let fault = BatchError::Record { index: 2, fault: "the batch has more records than it says" };
    assert_eq!(check_shape(&header, &batch, MAX), Err(fault.clone()));
    assert_eq!(records(&batch.freeze(), MAX).unwrap().last(), Some(Err(fault)));
}

#[test]
fn a_packed_batch_says_no_more_than_its_bytes_can_become() {
    for codec in &CODECS[1..] {
        let sound = three(*codec);
        let claims = |count: i32| {
            let mut batch = sound.clone();
            batch[23..27].copy_from_slice(&(count - 1).to_be_bytes());
            batch[57..61].copy_from_slice(&count.to_be_bytes());
            check_shape(&Header::parse(&batch).unwrap(), &batch, MAX)
        };
        assert_eq!(claims(3), Ok(()), "{codec:?}");
        let count = i32::MAX;
        assert_eq!(claims(count), Err(BatchError::Count { count, last_offset_delta: count - 1 }), "{codec:?}");
        let more_than_is_read = i32::try_from(MAX / 7 + 1).unwrap();
        assert!(claims(more_than_is_read).is_err(), "{codec:?}");
    }
}

#[test]
fn kafka_protocol_reads_what_is_built() {
    let mut batch = three(Compression::None).freeze();
    let decoded = kafka_protocol::records::RecordBatchDecoder::decode(&mut batch).unwrap();
    assert_eq!(decoded.records.len(), 3);
    assert_eq!(decoded.records[1].value.as_deref(), Some(b"two".as_slice()));
}
