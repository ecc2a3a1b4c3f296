"""produce|consume BOOTSTRAP STREAM GROUP [ASSIGNOR] with confluent-kafka: lines of stdin out, lines of stdout in."""
import sys

from confluent_kafka import Consumer, Producer

what, bootstrap, stream, group = sys.argv[1:5]
assignor = sys.argv[5] if len(sys.argv) > 5 else "range"
if what == "produce":
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
    failed = []
    for line in sys.stdin:
        producer.produce(stream, line.strip().encode(), on_delivery=lambda error, _: error and failed.append(error))
        producer.poll(0)
    left = producer.flush(30)
    sys.exit(f"{left} left, {failed}" if left or failed else 0)
consumer = Consumer({
    "bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest",
    "partition.assignment.strategy": assignor, "session.timeout.ms": 10000, "auto.commit.interval.ms": 200,
})
consumer.subscribe([stream])
while True:
    message = consumer.poll(0.2)
    if message is not None and not message.error():
        print(message.value().decode(), flush=True)
