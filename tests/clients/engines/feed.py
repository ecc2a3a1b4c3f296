"""The tables that streams feed, and their events."""
import json
import urllib.error
import urllib.request

from engines import rows
from node import asked, until, url

RESOURCES = """
apiVersion: headwater.dev/v1
kind: Dataset
metadata: {name: orders}
spec:
  stream: orders
  snapshotInterval: 200ms
  columns:
    - {name: id, type: long, required: true}
    - {name: at, type: timestamp}
    - {name: day, type: date}
    - {name: amount, type: decimal, precision: 12, scale: 2}
    - {name: paid, type: boolean}
    - {name: weight, type: double}
    - name: customer
      type: struct
      fields:
        - {name: id, type: int}
        - {name: country, type: string}
    - {name: tags, type: list, items: {type: string}}
    - {name: note, type: json}
    - {name: offset, type: long, path: $offset}
  partition:
    - {column: at, transform: day}
  sort:
    - {column: id}
---
apiVersion: headwater.dev/v1
kind: Table
metadata: {name: stock}
spec: {}
---
apiVersion: headwater.dev/v1
kind: Dataset
metadata: {name: stock}
spec:
  table: stock
  snapshotInterval: 200ms
  columns:
    - {name: sku, type: string, path: $key, required: true}
    - {name: pieces, type: long}
---
apiVersion: headwater.dev/v1
kind: Dataset
metadata: {name: Raw-orders}
spec:
  stream: orders
  snapshotInterval: 200ms
"""


def table_of(dataset):
    try:
        with urllib.request.urlopen(f"{url}/v1/datasets/{dataset}/table") as answer:
            return json.load(answer)
    except urllib.error.HTTPError:
        return {}


def order(id):
    at = f"2026-11-{id % 3 + 1:02}T12:00:00.{id:06}Z"
    customer = {"id": id % 4, "country": ["NL", "BE", "DE", None][id % 4]}
    return {
        "id": id,
        "at": at,
        "day": at[:10],
        "amount": f"{id}.{id:02}",
        "paid": id % 2 == 0,
        "weight": id / 8,
        "customer": customer,
        "tags": ["a", f"t{id}"],
        "note": {"n": id},
    }


def feed():
    """The datasets: orders of three days in two snapshots, the same as they came, and what is in stock, some of which
    changes and goes."""
    asked("POST", "/v1/apply", RESOURCES, "application/yaml")
    for ids in (range(6), range(6, 10)):
        asked("POST", "/v1/streams/orders/events", [order(id) for id in ids])
        until("orders are in the table", lambda: table_of("orders").get("rows") == ids.stop)
    until("orders are in the other table", lambda: table_of("Raw-orders").get("rows") == 10)
    for sku, pieces in (("lamp", 3), ("desk", 1), ("chair", 4)):
        asked("PUT", f"/v1/tables/stock/documents/{sku}", {"pieces": pieces})
    until("the stock is in the table", lambda: table_of("stock").get("rows") == 3)
    asked("PUT", "/v1/tables/stock/documents/lamp", {"pieces": 2})
    asked("DELETE", "/v1/tables/stock/documents/desk", "")
    until("the stock is as it is now", lambda: rows("SELECT * FROM datasets.stock ORDER BY sku") == STOCK)


STOCK = [["chair", 4], ["lamp", 2]]
