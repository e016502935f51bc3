"""A fake trainer for fault injection: it obeys the contract, learns nothing and fails when told to.

FAKE_FAULTS   ``run=fault`` pairs separated by blanks; ``*`` stands for every run. Faults: garbage, long,
              silent (no report), data, crash, crash-once, stubborn (ignores SIGTERM and sleeps), slow.
FAKE_SECONDS  how long each run takes.
FAKE_RIDERS   set: riders are taken.
FAKE_BIAS     factor of what every model predicts; 1 is calibrated.
FAKE_SKEW     by how much served predictions lose more than the published model's; their error is 0.001.
FAKE_LAUNCHES a file that gets a line ``start RUN`` and ``end RUN`` for each launch.
"""

import hashlib
import itertools
import json
import math
import os
import signal
import sys
import time
from datetime import datetime
from pathlib import Path

ROWS_PER_DAY = 10_000
began = time.monotonic()
request = json.loads(Path(os.environ["DATAEFFICIENT_REQUEST"]).read_text())
run = request["run"]
faults = dict(pair.split("=") for pair in os.environ.get("FAKE_FAULTS", "").split())
fault = faults.get(run, faults.get("*"))


def note(what):
    if path := os.environ.get("FAKE_LAUNCHES"):
        with Path(path).open("a") as file:
            file.write(f"{what} {run}\n")


def instant(text):
    return datetime.fromisoformat(text)


def days(start, end):
    return max(0.0, (instant(end) - instant(start)).total_seconds() / 86400)


note("start")
if fault == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(60)
elif fault == "slow":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    time.sleep(60)
elif fault == "crash" or (
    fault == "crash-once" and Path(os.environ["FAKE_LAUNCHES"]).read_text().count(f"start {run}\n") == 1
):
    sys.exit("ValueError: told to crash")
elif fault == "data":
    sys.stderr.write("flights.parquet: no column late; there are a, b\n")
    sys.exit(65)
end = began + float(os.environ.get("FAKE_SECONDS", "0"))
Path(os.environ["DATAEFFICIENT_PROGRESS"]).write_text('{"rows": 10, "totalRows": 100, "rowsPerSecond": 5.0}')
sys.stderr.write(f"notice: {os.getpid()} rows are made up\nnothing to be told\n")
while time.monotonic() < end:
    time.sleep(0.01)


def told(request):
    """The report of one run."""
    train, evaluation = request.get("train"), request.get("evaluation")
    rate = train["rate"] if train else 0.0
    rows = int(days(train["start"], train["end"]) * ROWS_PER_DAY) if train else 0
    report = {"run": request["run"]}
    report["rows"] = {"read": rows, "kept": int(rows * rate), "positives": rows // 5}
    report["seconds"] = {"startup": 0.01, "read": 1e-7 * rows, "train": 1e-6 * rows * rate, "evaluate": 0.01}
    report["seconds"]["total"] = max(sum(report["seconds"].values()), time.monotonic() - began)
    if train:
        output = Path(request["output"])
        output.mkdir(parents=True, exist_ok=True)
        (output / "model").write_text(request["run"])
        report["checkpoint"] = {
            "uri": str(output),
            "digest": "sha256:" + hashlib.sha256(request["run"].encode()).hexdigest(),
        }
        report["position"] = train["end"]
    if evaluation:
        borders = [evaluation["start"], *evaluation["boundaries"]]
        n = [
            int(days(a, b) * ROWS_PER_DAY * evaluation.get("share", 1))
            for a, b in itertools.pairwise(borders)
        ]
        scored, bias = {}, float(os.environ.get("FAKE_BIAS", "1"))
        for name in [
            *(["self"] if train else []),
            *(["start"] if "start" in request else []),
            *request.get("frozen", {}),
        ]:
            # Better with more rows, as a power law; the same wobble in each block for every model.
            level = (
                0.45
                + 0.4 * (max(rows * rate, 1.0) ** -0.3 if name == "self" else 0.02)
                - 0.001 * math.log2(request["size"])
            )
            scored[name] = {
                "loss": [round(level * k * (1 + 0.01 * math.sin(i)), 1) for i, k in enumerate(n)],
                "predicted": [round(0.2 * bias * k, 1) for k in n],
            }
        digest = hashlib.sha256(json.dumps(evaluation, sort_keys=True).encode()).hexdigest()[:16]
        report["evaluated"] = {"n": n, "positives": [k // 5 for k in n], "digest": digest, "models": scored}
        report["rows"]["evaluated"] = sum(n)
        if "FAKE_SKEW" in os.environ:
            report["extra"] = {"servedGap": float(os.environ["FAKE_SKEW"]), "servedGapError": 0.001}
    return report


def with_riders(report):
    """The report of the process, with what its riders did in it."""
    report |= {"takesRiders": True, "riders": [told(rider) for rider in request.get("riders", [])]}
    for rider in report["riders"]:
        took = rider["seconds"] | {"startup": 0.0}
        took["total"] = took["read"] + took["train"] + took["evaluate"]
        rider["seconds"] = took
        report["seconds"]["total"] += took["total"]
        if scored := rider.pop("evaluated", None):
            report["evaluated"]["models"][rider["run"]] = scored["models"]["self"]
    return report


report = {"version": request["version"]} | told(request)
if os.environ.get("FAKE_RIDERS"):
    report = with_riders(report)
text = json.dumps(report, separators=(",", ":"))
if fault == "garbage":
    text = text[: len(text) // 2]
if fault == "long":
    text += " " * 4000
if fault != "silent":
    Path(os.environ["DATAEFFICIENT_REPORT"]).write_text(text)
note("end")
