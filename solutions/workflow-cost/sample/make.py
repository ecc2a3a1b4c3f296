#!/usr/bin/env python3
"""Makes the sample: real runs of three engines over a small generated genome, of which only the text records are kept.

    python3 -m venv V && V/bin/pip install snakemake==9.27.1 cwltool miniwdl miniwdl-backend-bare
    apt-get install samtools bwa bcftools minimap2
    PATH=V/bin:$PATH python3 make.py SCRATCH_FOLDER [RUNS_PER_ENGINE]

Each run aligns two samples and calls variants. A fifth of the runs have a bad day: an attempt fails and is tried again.
The genome and the reads are generated from fixed seeds; times are those of the machine that runs this. What is kept
goes to runs/: for Snakemake its logger's records and benchmark files, for cwltool the engine log of its provenance
folder, for MiniWDL its workflow.log; runs.json says what each run was.
"""

import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
SIZES = {"tiny": 2_000, "small": 8_000, "medium": 20_000}
CONSUMERS = ["lab-east", "lab-west", "core-facility"]

# What each run is priced as: every run ran on the machine that made the sample, which has no price.
MACHINES = [
    {"type": "c5.large", "purchase": "on_demand", "region": "us-east-1", "cpus": 2, "memory_gib": 4},
    {"type": "c5.large", "purchase": "spot", "region": "us-east-1", "zone": "us-east-1a", "cpus": 2, "memory_gib": 4},
    {"type": "m5.large", "purchase": "spot", "region": "us-east-1", "zone": "us-east-1b", "cpus": 2, "memory_gib": 8},
    {"type": "m5.large", "purchase": "reserved", "region": "us-east-1", "cpus": 2, "memory_gib": 8},
    {"type": "rack", "purchase": "on_premises", "region": "basement", "cpus": 2, "memory_gib": 16},
]


def generate(scratch):
    """The reference, its indexes, and reads of three sizes with differences of 0.4 %."""
    draw = random.Random(1)
    genome = "".join(draw.choices("ACGT", k=200_000))
    lines = [genome[at : at + 60] for at in range(0, len(genome), 60)]
    (scratch / "ref.fa").write_text(">chr1\n" + "\n".join(lines) + "\n")
    for command in (["bwa", "index", "ref.fa"], ["samtools", "faidx", "ref.fa"]):
        subprocess.run(command, cwd=scratch, check=True, stderr=subprocess.DEVNULL)
    for seed, (size, count) in enumerate(SIZES.items()):
        folder = scratch / size
        folder.mkdir(exist_ok=True)
        for sample in ("s1", "s2"):
            draw = random.Random(f"{seed}{sample}")
            with open(folder / f"{sample}.fq", "w", encoding="ascii") as file:
                for number in range(count):
                    at = draw.randrange(len(genome) - 100)
                    read = [draw.choice("ACGT") if draw.random() < 0.004 else base for base in genome[at : at + 100]]
                    file.write(f"@r{number}\n{''.join(read)}\n+\n{'I' * 100}\n")


def machine(number):
    """One of the machines with a volume and, for every third run, a file system."""
    one = dict(MACHINES[number % len(MACHINES)])
    if one["purchase"] != "on_premises":
        size = 20 + 10 * (number % 4)
        one["volumes"] = [{"id": "scratch", "type": "gp3", "region": "us-east-1", "size_gib": size, "instance": "machine"}]
        if number % 3 == 0:
            one["file_systems"] = [{"id": "shared", "type": "lustre-scratch_2-ssd", "region": "us-east-1", "size_gib": 1200}]
    return one


def history(begun, ended):
    """Spot prices that change every half minute or so while the sample is made, as DescribeSpotPriceHistory answers."""
    draw = random.Random(2)
    rows = []
    for kind, zone, base in (("c5.large", "us-east-1a", 340), ("m5.large", "us-east-1b", 380)):
        at = begun - 3_600
        while at < ended + 120:
            rows.append(
                {
                    "AvailabilityZone": zone,
                    "InstanceType": kind,
                    "ProductDescription": "Linux/UNIX",
                    "SpotPrice": f"{(base + draw.randrange(-40, 41)) / 10_000:.6f}",
                    "Timestamp": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(at)),
                }
            )
            at = max(begun - 30, at + draw.randrange(15, 45))
    rows.sort(key=lambda row: (row["Timestamp"], row["InstanceType"]), reverse=True)
    return {"SpotPriceHistory": rows}


def snakemake(scratch, work, kept, size, aligner, bad_day):
    environment = {**os.environ, "SNAKEMAKE_RECORDS": str(kept / "records.jsonl"), "PYTHONPATH": str(HERE / "workflows")}
    config = ["samples=s1,s2", f"flaky={'yes' if bad_day else 'no'}", f"aligner={aligner}"]
    config += [f"reference={scratch}/ref.fa", f"reads={scratch}/{size}"]
    command = ["snakemake", "-s", str(HERE / "workflows/Snakefile"), "--cores", "2", "--logger", "records", "--config", *config]
    subprocess.run(command, cwd=work, env=environment, check=True, capture_output=True)
    shutil.copytree(work / "benchmarks", kept / "benchmarks")


def cwltool(scratch, work, kept, size, aligner, bad_day):
    reads = [{"class": "File", "path": f"{scratch}/{size}/{sample}.fq"} for sample in ("s1", "s2")]
    # cwltool does not try again, so it has no bad days.
    inputs = {"reads": reads, "reference": f"{scratch}/ref.fa", "aligner": aligner}
    (work / "in.json").write_text(json.dumps(inputs))
    command = ["cwltool", "--no-container", "--parallel", "--timestamps", "--provenance", "prov", "--outdir", "out"]
    command += [str(work / "align.cwl#main"), "in.json"]
    shutil.copy(HERE / "workflows/align.cwl", work)
    subprocess.run(command, cwd=work, check=True, capture_output=True)
    logs = list((work / "prov/metadata/logs").glob("engine.*.txt"))
    # Without the command line and the warnings, which name folders of this machine and no times of jobs.
    told = ("] [workflow ", "] [step ", "] [job ", "] Final process status")
    lines = [line for line in logs[0].read_text().splitlines() if any(word in line for word in told)]
    (kept / "engine.txt").write_text("\n".join(lines) + "\n")


def miniwdl(scratch, work, kept, size, aligner, bad_day):
    inputs = {
        "variants.reads": [f"{scratch}/{size}/s1.fq", f"{scratch}/{size}/s2.fq"],
        "variants.reference": f"{scratch}/ref.fa",
        "variants.aligner": aligner,
        "variants.flaky": bad_day,
    }
    (work / "in.json").write_text(json.dumps(inputs))
    shutil.copy(HERE / "workflows/align.wdl", work)
    environment = {**os.environ, "MINIWDL__SCHEDULER__CONTAINER_BACKEND": "bare"}
    command = ["miniwdl", "run", "align.wdl", "-i", "in.json", "--dir", "run"]
    subprocess.run(command, cwd=work, env=environment, check=True, capture_output=True)
    shutil.copy(work / "run/_LAST/workflow.log", kept / "workflow.log")


def main():
    scratch = pathlib.Path(sys.argv[1]).resolve()
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    scratch.mkdir(parents=True, exist_ok=True)
    environment = os.environ
    environment["TMPDIR"] = str(scratch / "t")
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    environment["TZ"] = "UTC"
    (scratch / "t").mkdir(exist_ok=True)
    generate(scratch)
    shutil.rmtree(HERE / "runs", ignore_errors=True)
    listed = []
    begun = int(time.time())
    for number in range(count):
        for engine in (snakemake, cwltool, miniwdl):
            name = f"{engine.__name__}-{number:02}"
            size, aligner = list(SIZES)[number % 3], ("bwa", "minimap2")[number // 3 % 2]
            bad_day = number % 5 == 4 and engine is not cwltool
            work, kept = scratch / name, HERE / "runs" / name
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            kept.mkdir(parents=True)
            engine(scratch, work, kept, size, aligner, bad_day)
            shutil.rmtree(work)
            listed.append(
                {
                    "id": name,
                    "engine": engine.__name__,
                    "workflow": f"variants-{aligner}",
                    "dataset": size,
                    "consumer": CONSUMERS[number % len(CONSUMERS)],
                    "iterations": 2 * SIZES[size],
                    "account": "research" if number % 2 else "clinic",
                    "service": "on-premises" if machine(len(listed))["purchase"] == "on_premises" else "ec2",
                    "machine": machine(len(listed)),
                }
            )
            print(name, flush=True)
    rows = ",\n".join(json.dumps(row) for row in listed)
    (HERE / "runs.json").write_text(f"[\n{rows}\n]\n")
    answer = json.dumps(history(begun, int(time.time())), indent=0)
    (HERE / "prices/spot.json").write_text(answer + "\n")


if __name__ == "__main__":
    main()
