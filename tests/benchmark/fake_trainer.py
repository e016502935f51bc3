"""A trainer that obeys the contract and learns nothing: what a model loses follows from how it was trained.

A checkpoint says its size, its rate and what it went on from; runs of the same content write the same one.

FAKE_LAUNCHES  a file that gets a line ``RESOURCE RUN POLICY RATE SIZE`` for each launch.
FAKE_KILL      ``PID COUNT``: the launch of that number kills the process.
FAKE_BEST      a resource; on it quarters of the rows cost nothing, on others they cost 1 %.
"""

import hashlib
import json
import os
import signal
import sys
from pathlib import Path

request = json.loads(Path(os.environ["DATAEFFICIENT_REQUEST"]).read_text())
train, evaluation = request.get("train"), request.get("evaluation")
launches = Path(os.environ["FAKE_LAUNCHES"])
what = (train.get("policy"), train["rate"], request["size"]) if train else ("-", "-", "-")
with launches.open("a") as file:
    file.write(" ".join(map(str, (request["resource"], request["run"], *what))) + "\n")
if kill := os.environ.get("FAKE_KILL"):
    pid, count = map(int, kill.split())
    if len(launches.read_text().splitlines()) == count:
        os.kill(pid, signal.SIGKILL)
        sys.exit("killed together with the benchmark")


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def loss(model, block):
    cheap = request["resource"] == os.environ.get("FAKE_BEST")
    harm = 0.0 if model["rate"] == 1.0 or cheap else 0.01
    return 100 * (1 + harm - 1e-6 * model["size"]) * (1 + 0.01 * block)


def read(reference):
    return json.loads(Path(reference["uri"]).read_text())


own = None
report = {"version": request["version"], "run": request["run"]}
rows = 1000
kept = int(rows * train["rate"]) if train else 0
report["rows"] = {"read": rows, "kept": kept, "positives": 200, "evaluated": 160}
training = 0.004 * train["rate"] if train else 0.0
report["seconds"] = {"startup": 0.001, "read": 0.001, "train": training, "evaluate": 0.001}
report["seconds"]["total"] = sum(report["seconds"].values())
if train:
    own = {"size": request["size"], "rate": train["rate"], "end": train["end"], "seed": request["seed"]}
    own["start"] = request["start"]["digest"] if "start" in request else None
    own["config"] = request["config"]
    text = json.dumps(own, sort_keys=True)
    place = Path(request["output"]) / "model"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    report["checkpoint"] = {"uri": str(place), "digest": "sha256:" + digest(text)}
    report["position"] = train["end"]
if evaluation:
    blocks = range(len(evaluation["boundaries"]))
    models = {"self": own} if train else {}
    if "start" in request:
        models["start"] = read(request["start"])
    models |= {name: read(reference) for name, reference in request.get("frozen", {}).items()}
    scored = {
        name: {"loss": [loss(m, i) for i in blocks], "predicted": [20.0] * len(blocks), "auc": 0.7}
        for name, m in models.items()
    }
    same = {k: evaluation.get(k) for k in ("start", "end", "share", "salt")}
    report["evaluated"] = {
        "n": [100] * len(blocks),
        "positives": [20] * len(blocks),
        "digest": digest(json.dumps(same, sort_keys=True))[:16],
        "models": scored,
    }
Path(os.environ["DATAEFFICIENT_REPORT"]).write_text(json.dumps(report, separators=(",", ":")))
