#!/usr/bin/env python3
"""Prices the runs of the workflow-cost solution by another route than the solution: own readers, exact fractions.

    headwater solution test workflow-cost --truth truth.jsonl
    python3 tests/clients/cost_sums.py solutions/workflow-cost/sample truth.jsonl [--write sample/expected.csv]

Reads the engines' records, price lists and discounts from the sample's folder and the generated runs from the truth
file, counts by the table of conventions in the solution's README, and compares each sum with the bill in the truth
file. Prints what differs and ends with 1 when something does.
"""

import csv
import json
import pathlib
import re
import sys
from datetime import datetime, timezone
from decimal import ROUND_HALF_EVEN, Decimal, getcontext
from fractions import Fraction

getcontext().prec = 60
HOUR = 3_600_000
UNITS = {"hour": HOUR, "core_hour": HOUR, "gb_month": 730 * HOUR, "iops_month": 730 * HOUR, "mibps_month": 730 * HOUR}
NAMES = ("status", "total_cost", "instance_cost", "volume_cost", "filesystem_cost", "failed_cost")


class Unpriced(Exception):
    """There is no price; `args[0]` is `unknown` or `pending`."""


def ms(text):
    """Whole milliseconds of an ISO time; UTC where it names no zone."""
    text = text.strip().replace(" ", "T").replace("Z", "+00:00")
    match = re.fullmatch(r"([\d-]+T[\d:]+)(?:\.(\d+))?([+-]\d\d:\d\d)?", text)
    at = datetime.fromisoformat(match[1] + (match[3] or "+00:00"))
    return int(at.timestamp()) * 1000 + int(((match[2] or "") + "000")[:3])


def exact(value):
    return Fraction(str(value))


def rounded(amount):
    decimal = Decimal(amount.numerator) / Decimal(amount.denominator)
    return Fraction(decimal.quantize(Decimal("1e-10"), ROUND_HALF_EVEN))


def text(amount):
    """At least two decimals and no more than there are."""
    whole, _, decimals = f"{Decimal(amount.numerator) / Decimal(amount.denominator):.10f}".partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"


# --- prices ---------------------------------------------------------------------------------------------------------


class Prices:
    def __init__(self, sample, spot, as_of):
        self.rows, self.included, self.as_of = {}, {}, as_of
        with open(sample / "prices/list.csv", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                key = (row["resource"], row["purchase"], row["type"], row["place"], row["unit"])
                self.add(key, ms(row["from"]), row["price"])
                self.included[key] = exact(row["included"] or 0)
        for history in (json.loads((sample / "prices/spot.json").read_text()), spot):
            for row in history["SpotPriceHistory"]:
                key = ("instance", "spot", row["InstanceType"], row["AvailabilityZone"], "hour")
                self.add(key, ms(row["Timestamp"]), row["SpotPrice"])
        self.discounts = json.loads((sample / "discounts.json").read_text())

    def add(self, key, begin, price):
        self.rows.setdefault(key, {})[begin] = exact(price)

    def at(self, key, account, moment):
        begun = [begin for begin in self.rows[key] if begin <= moment]
        if not begun:
            raise Unpriced("unknown")
        price = self.rows[key][max(begun)]
        for rule in self.discounts:
            wanted = (rule.get("resource", key[0]), rule.get("purchase", key[1]), rule.get("type", key[2]))
            begins = "from" not in rule or ms(rule["from"]) <= moment
            if rule["account"] == account and wanted == key[:3] and begins and ("to" not in rule or moment < ms(rule["to"])):
                price *= 1 - exact(rule["percent"]) / 100
        return price

    def integral(self, key, account, begin, end):
        """Price × milliseconds from `begin` to `end`."""
        if key not in self.rows:
            raise Unpriced("unknown")
        if key[1] == "spot" and end > self.as_of:
            raise Unpriced("pending")
        cuts = {begin, end} | set(self.rows[key])
        cuts |= {ms(rule[edge]) for rule in self.discounts for edge in ("from", "to") if edge in rule}
        cuts = sorted(cut for cut in cuts if begin <= cut <= end)
        return sum((self.at(key, account, a) * (b - a) for a, b in zip(cuts, cuts[1:])), Fraction(0))


# --- records of engines, of which only what costs something is read -----------------------------------------------------


def snakemake(folder):
    events = [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]
    # Milliseconds are cut off the way a float of seconds has them.
    at = lambda event: int(event["time"] * 1000 // 1)
    attempts, begun, threads = [], {}, {}
    for event in events:
        if event["event"] == "job_started":
            begun |= {job: at(event) for job in event["jobs"]}
        elif event["event"] == "job_info":
            threads[event["jobid"]] = event["threads"]
        elif event["event"] in ("job_finished", "job_error"):
            job = event.get("job_id", event.get("jobid"))
            failed = event["event"] == "job_error"
            attempts.append({"begin": begun.pop(job), "end": at(event), "failed": failed, "cpus": threads.get(job)})
    times = [at(event) for event in events]
    return min(times), max(times), attempts


def cwltool(folder):
    times, begun, attempts = [], {}, []
    for line in (folder / "engine.txt").read_text().splitlines():
        match = re.match(r"\[(\S+?),(\d+)\.\d+Z\] (.*)", line)
        if not match:
            continue
        now = ms(match[1]) + int(match[2])
        times.append(now)
        job = re.match(r"\[job (\S+)\] (.*)", match[3])
        if job and job[2].startswith("completed"):
            attempts.append({"begin": begun[job[1]], "end": now, "failed": "success" not in job[2], "cpus": None})
        elif job:
            begun.setdefault(job[1], now)
    return min(times), max(times), attempts


def miniwdl(folder):
    times, begun, attempts = [], {}, []
    for line in (folder / "workflow.log").read_text().splitlines():
        match = re.match(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) (\S+) \S+ (.*)", line)
        if not match:
            continue
        now, task, said = ms(match[1]), match[2], match[3]
        times.append(now)
        if ".t:" not in task:
            continue
        if said.startswith("task setup") or " :: pid: " in said:
            begun[task] = now
        elif said.startswith("failed task will be retried") or said.strip() == "done":
            failed = said.startswith("failed")
            attempts.append({"begin": begun[task], "end": now, "failed": failed, "cpus": None})
            begun[task] = now
    return min(times), max(times), attempts


def real(sample, listed):
    """A run of the sample in the same form as the generated ones."""
    begin, end, attempts = {"snakemake": snakemake, "cwltool": cwltool, "miniwdl": miniwdl}[listed["engine"]](
        sample / "runs" / listed["id"]
    )
    machine = listed["machine"]
    for attempt in attempts:
        attempt["instance"] = "machine"
        if attempt["cpus"] is not None:
            attempt["cpus"] = min(exact(attempt["cpus"]), exact(machine["cpus"]))
    return {
        "account": listed["account"],
        "begin": begin,
        "end": end,
        "attempts": attempts,
        "instances": [{**machine, "id": "machine"}],
        "volumes": machine.get("volumes", []),
        "file_systems": machine.get("file_systems", []),
    }


def record(usage):
    """A generated run's own record."""
    attempts = []
    for job in usage["jobs"]:
        for one in job["attempts"]:
            attempts.append({**one, "begin": ms(one["started"]), "end": ms(one["ended"])})
    return {**usage, "begin": ms(usage["started"]), "end": ms(usage["ended"]), "attempts": attempts}


def answers(usage, account):
    """Answers of AWS about a run."""
    machine_of = {one["containerInstanceArn"]: one["ec2InstanceId"] for one in usage["containerInstances"]}
    attempts, times = [], []
    for job in usage["jobs"]:
        times += [job["createdAt"], job["stoppedAt"]]
        needs = {one["type"]: exact(one["value"]) for one in job["container"]["resourceRequirements"]}
        for number, one in enumerate(job["attempts"]):
            times += [one["startedAt"], one["stoppedAt"]]
            attempts.append(
                {
                    "instance": machine_of[one["container"]["containerInstanceArn"]],
                    "begin": one["startedAt"],
                    "end": one["stoppedAt"],
                    "failed": number + 1 < len(job["attempts"]),
                    "cpus": needs["VCPU"],
                    "memory_gib": needs["MEMORY"] / 1024,
                }
            )
    instances, ends = [], {}
    for one in (one for reservation in usage["Reservations"] for one in reservation["Instances"]):
        zone = one["Placement"]["AvailabilityZone"]
        end = re.search(r"\((.*) GMT\)", one["StateTransitionReason"])[1]
        ends[one["InstanceId"]] = end
        tags = {tag["Key"]: tag["Value"] for tag in one.get("Tags", [])}
        instances.append(
            {
                "id": one["InstanceId"],
                "type": one["InstanceType"],
                "purchase": one.get("InstanceLifecycle", "on_demand"),
                "region": zone[:-1],
                "zone": zone,
                "cpus": one["CpuOptions"]["CoreCount"] * one["CpuOptions"]["ThreadsPerCore"],
                "shared": tags.get("headwater:shared") == "true",
                "started": one["LaunchTime"],
                "ended": end,
            }
        )
    volumes = [
        {
            "type": one["VolumeType"],
            "region": one["AvailabilityZone"][:-1],
            "size_gib": one["Size"],
            "iops": one["Iops"],
            "throughput_mibps": one["Throughput"],
            "started": one["CreateTime"],
            "ended": ends[one["Attachments"][0]["InstanceId"]],
        }
        for one in usage["Volumes"]
    ]
    systems = [
        {
            "type": f"{one['FileSystemType']}-{one['LustreConfiguration']['DeploymentType']}-{one['StorageType']}".lower(),
            "region": one["ResourceARN"].split(":")[3],
            "size_gib": one["StorageCapacity"],
        }
        for one in usage["FileSystems"]
    ]
    run = {"account": account, "begin": min(times), "end": max(times), "attempts": attempts}
    return {**run, "instances": instances, "volumes": volumes, "file_systems": systems}


# --- what it costs ----------------------------------------------------------------------------------------------------


def span(run, thing, fallback=None):
    own = fallback or {}
    begin, end = thing.get("started") or own.get("started"), thing.get("ended") or own.get("ended")
    return (ms(begin) if begin else run["begin"]), (ms(end) if end else run["end"])


def billed(begin, end):
    """At least a minute, in whole seconds."""
    return begin + max(-(-(end - begin) // 1000) * 1000, 60_000)


def weight(machine, attempt):
    shares = []
    for name in ("cpus", "memory_gib"):
        if attempt.get(name) is not None and machine.get(name) is not None:
            shares.append(min(exact(attempt[name]) / exact(machine[name]), Fraction(1)))
    return max(shares, default=Fraction(1))


def machine_cost(run, machine, prices):
    """The machine's amount and what failed attempts took of it."""
    purchase = machine.get("purchase", "on_demand")
    on_premises = purchase == "on_premises"
    unit = "core_hour" if on_premises else "hour"
    place = machine["zone"] if purchase == "spot" else machine["region"]
    key = ("instance", purchase, machine["type"], place, unit)
    factor = (exact(machine["cpus"]) if on_premises else 1) * Fraction(1, HOUR)
    begin, end = span(run, machine)
    shared = machine.get("shared", False)
    on = [one for one in run["attempts"] if one["instance"] == machine["id"]]
    on = [(max(one["begin"], begin), min(one["end"], end), weight(machine, one), one) for one in on]
    on = [one for one in on if one[0] < one[1]]
    cuts = sorted({begin, end} | {edge for one in on for edge in one[:2]})
    paid, took = Fraction(0), {}
    if not shared:
        # Also what nobody is on, and what is billed behind the end.
        paid = prices.integral(key, run["account"], begin, billed(begin, end))
    elif on:
        # So that a machine whose prices are not all known is not priced in part.
        prices.integral(key, run["account"], min(one[0] for one in on), max(one[1] for one in on))
    elif key not in prices.rows:
        raise Unpriced("unknown")
    elif purchase == "spot" and begin > prices.as_of:
        raise Unpriced("pending")
    for a, b in zip(cuts, cuts[1:]):
        here = [(index, one[2]) for index, one in enumerate(on) if one[0] <= a and b <= one[1]]
        if not here:
            continue
        total = sum(share for _, share in here)
        part = prices.integral(key, run["account"], a, b)
        whole = part * min(total, 1) if shared else part
        if shared:
            paid += whole
        for index, share in here:
            took[index] = took.get(index, 0) + whole * share / total
    failed = sum((rounded(amount * factor) for index, amount in took.items() if on[index][3].get("failed")), Fraction(0))
    return rounded(paid * factor), failed


def plain_cost(run, resource, thing, unit, quantity, begin, end, prices):
    key = (resource, "", thing["type"], thing["region"], unit)
    return rounded(prices.integral(key, run["account"], begin, end) * quantity / UNITS[unit])


def bill(run, prices):
    """The sums by name, as text."""
    sums = {name: Fraction(0) for name in NAMES[1:]}
    status = "priced"

    def add(name, cost, *others):
        nonlocal status
        try:
            amount = cost()
        except Unpriced as missing:
            status = max(status, missing.args[0], key=["priced", "pending", "unknown"].index)
            for unknown in (name, "total_cost", *others):
                sums[unknown] = None
            return
        amount, failed = amount if isinstance(amount, tuple) else (amount, Fraction(0))
        for into, more in ((name, amount), ("total_cost", amount), ("failed_cost", failed)):
            if sums[into] is not None:
                sums[into] += more

    for machine in run["instances"]:
        # What failed on a machine without a price has none either.
        fails = any(one["instance"] == machine["id"] and one.get("failed") for one in run["attempts"])
        add("instance_cost", lambda: machine_cost(run, machine, prices), *(["failed_cost"] if fails else []))
    machines = {machine["id"]: machine for machine in run["instances"]}
    for volume in run.get("volumes", []):
        begin, end = span(run, volume, machines.get(volume.get("instance")))
        end = billed(begin, end)
        for unit, name in (("gb_month", "size_gib"), ("iops_month", "iops"), ("mibps_month", "throughput_mibps")):
            if volume.get(name) is None:
                continue
            key = ("volume", "", volume["type"], volume["region"], unit)
            above = exact(volume[name]) - prices.included.get(key, 0)
            if above > 0:
                add("volume_cost", lambda: plain_cost(run, "volume", volume, unit, above, begin, end, prices))
    for system in run.get("file_systems", []):
        begin, end = span(run, system)
        size = exact(system["size_gib"]) * exact(system.get("share", 1))
        add("filesystem_cost", lambda: plain_cost(run, "file_system", system, "gb_month", size, begin, end, prices))
    for cluster in run.get("clusters", []):
        begin, end = span(run, cluster)
        share = exact(cluster.get("share", 1))
        add("instance_cost", lambda: plain_cost(run, "cluster", cluster, "hour", share, begin, end, prices))
    return {"status": status} | {name: status if sums[name] is None else text(sums[name]) for name in NAMES[1:]}


def main():
    sample, truth = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    lines = [json.loads(line) for line in truth.read_text().splitlines()]
    prices = Prices(sample, lines[0]["spot"], ms(lines[0]["as_of"]))
    listed = {one["id"]: one for one in json.loads((sample / "runs.json").read_text())}
    rows, wrong = [], 0
    for line in lines[1:]:
        if line["id"] in listed:
            run = real(sample, listed[line["id"]])
        elif "containerInstances" in line["usage"]:
            run = answers(line["usage"], line["launch"]["account"])
        else:
            run = record(line["usage"])
        mine = bill(run, prices)
        rows.append([line["id"], *(mine[name] for name in NAMES)])
        for name in NAMES:
            if line["bill"][name] != mine[name]:
                wrong += 1
                print(f"{line['id']} {name}: headwater {line['bill'][name]}, here {mine[name]}")
    if "--write" in sys.argv:
        with open(sys.argv[sys.argv.index("--write") + 1], "w", encoding="utf-8") as file:
            file.write("\n".join(",".join(row) for row in [["id", *NAMES], *rows]) + "\n")
    priced = sum(row[1] == "priced" for row in rows)
    print(f"{len(rows)} runs, {len(listed)} of them real, {priced} priced; {wrong} sums differ")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
