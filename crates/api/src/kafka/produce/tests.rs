use kafka_protocol::messages::ProduceRequest;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::protocol::Encodable;

use super::*;

#[test]
fn only_what_is_most_of_a_request_may_keep_its_memory() {
    let cases: [(&[usize], &[bool]); 3] = [
        (&[40_000], &[false]),
        (&[1_000, 40_000, 1_000], &[true, false, true]),
        (&[20_000, 20_000, 20_000], &[true, true, true]),
    ];
    for (sizes, lesser) in cases {
        let data = |bytes: &usize| PartitionProduceData::default().with_records(Some(Bytes::from(vec![7; *bytes])));
        let topic = TopicProduceData::default()
            .with_name(StrBytes::from_static_str("orders").into())
            .with_partition_data(sizes.iter().map(data).collect());
        let mut body = BytesMut::new();
        ProduceRequest::default().with_acks(-1).with_topic_data(vec![topic]).encode(&mut body, FLEXIBLE).unwrap();
        let request = decode(&mut body, true, false, 10).unwrap();
        let partitions = request.topics.iter().flat_map(|topic| &topic.partitions);
        let found: Vec<(usize, bool)> = partitions.map(|one| (one.batches.len(), one.is_lesser)).collect();
        let wanted: Vec<(usize, bool)> = sizes.iter().copied().zip(lesser.iter().copied()).collect();
        assert_eq!(found, wanted);
    }
}
