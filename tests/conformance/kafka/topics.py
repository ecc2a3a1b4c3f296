"""A stand-in for kafka-topics.sh of a Kafka distribution, as far as librdkafka's suite calls it."""

import argparse

from kafka import KafkaAdminClient

parser = argparse.ArgumentParser()
parser.add_argument("--bootstrap-server", required=True)
parser.add_argument("--topic", required=True)
parser.add_argument("--partitions", type=int, default=-1)
parser.add_argument("--replication-factor", type=int, default=-1)
parser.add_argument("--config", action="append", default=[])
for action in ("create", "alter", "delete"):
    parser.add_argument(f"--{action}", action="store_true")
wanted = parser.parse_args()

admin = KafkaAdminClient(bootstrap_servers=wanted.bootstrap_server)
if wanted.create:
    configs = dict(pair.split("=", 1) for pair in wanted.config)
    shape = {"num_partitions": wanted.partitions, "replication_factor": wanted.replication_factor, "configs": configs}
    admin.create_topics({wanted.topic: shape})
elif wanted.alter:
    admin.create_partitions({wanted.topic: wanted.partitions})
elif wanted.delete:
    admin.delete_topics([wanted.topic])
else:
    parser.error("--create, --alter or --delete")
