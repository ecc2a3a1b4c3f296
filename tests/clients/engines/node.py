"""The node that engines are held against: what is asked of it, and the list of checks.

The program's arguments are read here: whoever takes something from here knows the node's address.
"""
import argparse
import datetime
import decimal
import json
import os
import time
import urllib.error
import urllib.request

CHECKS = {}


def check(function):
    """A check; its name is the function's, of which the first word is a group."""
    name = function.__name__.replace("_", ".", 1)
    assert name not in CHECKS, f"two checks are called {name}"
    CHECKS[name] = function
    return function


def asked(method, path, body, media="application/json"):
    """An answer of the node, which has to be one."""
    data = (body if isinstance(body, str) else json.dumps(body)).encode()
    request = urllib.request.Request(url + path, data, {"content-type": media}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from None
    return json.loads(text) if text else None


def by_node(query):
    return [[plain(value) for value in row] for row in asked("POST", "/v1/sql", {"query": query})["rows"]]


def plain(value):
    """A value as both an engine's and the node's JSON can be brought to."""
    if isinstance(value, datetime.datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".")
    if isinstance(value, str) and value[10:11] == "T" and value[4:5] == "-":
        bare = value.removesuffix("Z")
        return bare.rstrip("0").rstrip(".") if "." in bare else bare
    if isinstance(value, (datetime.date, datetime.time)):
        return str(value)
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    if isinstance(value, dict):
        return {key: plain(it) for key, it in value.items()}
    # A struct is its values.
    if isinstance(value, (list, tuple)):
        return [plain(it) for it in value]
    return value


def until(what, condition):
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < 30, f"not within 30 s: {what}"
        time.sleep(0.1)


arguments = argparse.ArgumentParser()
arguments.add_argument("engine", choices=("spark", "trino"))
arguments.add_argument("url")
arguments.add_argument("jars")
arguments.add_argument("--only", default="")
options = arguments.parse_args()
url = options.url
# Times come to Python in the zone of the machine.
os.environ["TZ"] = "UTC"
time.tzset()
