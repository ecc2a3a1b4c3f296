"""An engine against the node's catalog, as somebody works with it who keeps tables.

run.py ENGINE URL JARS [--only TEXT]: ENGINE is a folder here, URL the address of a node with an empty data folder,
JARS the folder of what was fetched for the engine. Tells how each check ended, one line on standard output: outcome,
name, verdict, seconds, reason.

The checks are those that every engine has to pass (`common.py`), and those of what one engine alone can do or words its
own way. They are in the order in which they stand. Each has tables of its own, named after it, so that one that fails
takes no other along. What an engine has written is asked of the node as well (`both`): the two have to say the same.
"""
import importlib
import pathlib
import sys
import time

from node import CHECKS, options

here = pathlib.Path(__file__).parent
# Behind what is installed: the client of an engine has its name.
sys.path.append(str(here / options.engine))

import engine
import feed
from engines import do


def run(name, function):
    start = time.monotonic()
    try:
        function()
        verdict, reason = "passed", ""
    except Exception as error:
        verdict = "failed"
        # Without the stack of Java.
        text = engine.text_of(error).partition("\n\tat ")[0].removeprefix("An error occurred while calling ")
        reason = " ".join(f"{type(error).__name__}: {text}".split())[:600]
    print(f"outcome\t{name}\t{verdict}\t{time.monotonic() - start:.2f}\t{reason}", flush=True)


try:
    for more in ("common", "fed", "tables", "altered", "kept"):
        importlib.import_module(more)
    feed.feed()
    do("CREATE SCHEMA shop")
    for name, function in CHECKS.items():
        if options.only in name:
            run(name, function)
finally:
    engine.stop()
