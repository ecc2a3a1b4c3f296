"""Apache Spark against the node's catalog, as somebody works with it who keeps tables.

run.py URL JARS [--only TEXT]: URL is that of a node with an empty data folder, JARS the folder of Iceberg's runtime for
Spark. Tells how each check ended, one line on standard output: outcome, name, verdict, seconds, reason.

Checks are in the order in which they stand. Each has tables of its own, named after it, so that one that fails takes no
other along. What Spark has written is asked of the node as well (`both`): the two have to say the same.
"""
import importlib
import time

import fed
from engines import CHECKS, do, options, spark


def run(name, function):
    start = time.monotonic()
    try:
        function()
        verdict, reason = "passed", ""
    except Exception as error:
        verdict = "failed"
        # Without the stack of Java.
        text = str(error).partition("\n\tat ")[0].removeprefix("An error occurred while calling ")
        reason = " ".join(f"{type(error).__name__}: {text}".split())[:600]
    print(f"outcome\t{name}\t{verdict}\t{time.monotonic() - start:.2f}\t{reason}", flush=True)


for more in ("tables", "altered", "kept"):
    importlib.import_module(more)
fed.feed()
do("CREATE NAMESPACE shop")
for name, function in CHECKS.items():
    if options.only in name:
        run(name, function)
spark.stop()
