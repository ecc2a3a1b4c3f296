"""produce|consume BOOTSTRAP STREAM GROUP with kafka-python: lines of stdin out, lines of stdout in."""
import sys

from kafka import KafkaConsumer, KafkaProducer

what, bootstrap, stream, group = sys.argv[1:5]
if what == "produce":
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    sent = [producer.send(stream, line.strip().encode()) for line in sys.stdin]
    producer.flush(30)
    for future in sent:
        future.get(timeout=30)
    sys.exit(0)
from kafka.coordinator.assignors.range import RangePartitionAssignor

consumer = KafkaConsumer(
    stream, bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest", session_timeout_ms=10000,
    auto_commit_interval_ms=200, partition_assignment_strategy=[RangePartitionAssignor],
)
for message in consumer:
    print(message.value.decode(), flush=True)
