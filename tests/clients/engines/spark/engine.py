"""Apache Spark with Iceberg's runtime, in this process."""
import pathlib

from node import options, url
from pyspark.sql import SparkSession


def session():
    (jar,) = pathlib.Path(options.jars).glob("runtime/iceberg-spark-runtime-*.jar")
    settings = {
        "spark.jars": jar,
        "spark.ui.enabled": "false",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        "spark.sql.defaultCatalog": "node",
        # The same, and what is purged there is left to the node.
        "spark.sql.catalog.purging.rest-catalog-purge": "true",
    }
    for catalog in ("node", "purging"):
        settings |= {
            f"spark.sql.catalog.{catalog}": "org.apache.iceberg.spark.SparkCatalog",
            f"spark.sql.catalog.{catalog}.type": "rest",
            f"spark.sql.catalog.{catalog}.uri": f"{url}/iceberg",
            f"spark.sql.catalog.{catalog}.cache-enabled": "false",
        }
    builder = SparkSession.builder.master("local[1]").appName("headwater")
    for name, value in settings.items():
        builder = builder.config(name, str(value))
    made = builder.getOrCreate()
    made.sparkContext.setLogLevel("OFF")
    return made


spark = session()


def execute(statement):
    return spark.sql(statement).collect()


def text_of(error):
    return str(error)


COLUMNS = "id BIGINT, kind STRING, at TIMESTAMP"
USING = "USING iceberg"
PARTITIONS = {
    "day": "PARTITIONED BY (days(at))",
    "month": "PARTITIONED BY (months(at))",
    "year": "PARTITIONED BY (years(at))",
    "hour": "PARTITIONED BY (hours(at))",
    "bucket": "PARTITIONED BY (bucket(4, id))",
    "truncate": "PARTITIONED BY (truncate(2, kind))",
    "identity": "PARTITIONED BY (kind)",
    "two": "PARTITIONED BY (days(at), bucket(4, kind))",
}
AT_VERSION, AT_TIME = "VERSION AS OF", "TIMESTAMP AS OF"


def part(table, name):
    return f"{table}.{name}"


def quoted(name):
    return f"`{name}`"


def tables(namespace):
    return [row[1] for row in execute(f"SHOW TABLES IN {namespace}")]


def read_for(condition):
    """Each file that is opened is a piece of work of its own where opening it is held to be dear."""
    scan = spark.read.option("file-open-cost", str(1 << 30)).table("node.datasets.orders")
    return scan.where(condition).rdd.getNumPartitions()


# Of a procedure that lets snapshots go: all but the current one.
EVERYTHING = "older_than => timestamp'2999-01-01 00:00:00', retain_last => 1"
REFUSED = [
    "INSERT OVERWRITE datasets.orders SELECT * FROM datasets.orders LIMIT 1",
    "ALTER TABLE datasets.orders ADD COLUMN mine STRING",
    "ALTER TABLE datasets.orders SET TBLPROPERTIES ('a' = 'b')",
    "ALTER TABLE datasets.orders CREATE BRANCH mine",
    "DROP TABLE datasets.stock PURGE",
    "CREATE TABLE datasets.mine (id INT) USING iceberg",
    "CREATE OR REPLACE TABLE datasets.stock (id INT) USING iceberg",
    "CALL node.system.rewrite_data_files(table => 'datasets.orders', options => map('rewrite-all', 'true'))",
    f"CALL node.system.expire_snapshots(table => 'datasets.orders', {EVERYTHING})",
    "CALL node.system.rollback_to_snapshot('datasets.orders', {first})",
]


def stop():
    spark.stop()
