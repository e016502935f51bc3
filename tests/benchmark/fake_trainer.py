"""A trainer that obeys the contract and learns nothing: what a model loses follows from how it was trained.

A checkpoint says its size, its rate and what it went on from; runs of the same content write the same one.

FAKE_LAUNCHES  a file that gets a line ``RESOURCE RUN POLICY RATE SIZE`` for each launch.
FAKE_KILL      ``PID COUNT``: the launch of that number kills the process.
FAKE_EMPTY     a time; intervals that begin then have no rows.
FAKE_BEST      a resource; on it samples of the rows cost nothing, on others they cost 1 %.
"""

import hashlib
import json
import os
import signal
import sys
from pathlib import Path


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def note(request, environment):
    train = request.get("train")
    what = (train.get("policy"), train["rate"], request["size"]) if train else ("-", "-", "-")
    launches = Path(environment["FAKE_LAUNCHES"])
    with launches.open("a") as file:
        file.write(" ".join(map(str, (request["resource"], request["run"], *what))) + "\n")
    if kill := environment.get("FAKE_KILL"):
        pid, count = map(int, kill.split())
        if len(launches.read_text().splitlines()) == count:
            os.kill(pid, signal.SIGKILL)
            sys.exit("killed together with the benchmark")


def run(request, environment):
    """The report on a request, both as JSON values; the checkpoint is written. None: there are no rows."""
    note(request, environment)
    train, evaluation = request.get("train"), request.get("evaluation")
    if (train or evaluation)["start"] == environment.get("FAKE_EMPTY"):
        return None
    cheap = request["resource"] == environment.get("FAKE_BEST")

    def loss(model, block):
        harm = 0.0 if model["rate"] == 1.0 or cheap else 0.01
        return 100 * (1 + harm - 1e-6 * model["size"]) * (1 + 0.01 * block)

    rate = train["rate"] if train else 0.0
    report = {"version": request["version"], "run": request["run"]}
    report["rows"] = {"read": 1000, "kept": int(1000 * rate), "positives": 200, "evaluated": 160}
    report["seconds"] = {"startup": 0.001, "read": 0.001, "train": 0.004 * rate, "evaluate": 0.001}
    report["seconds"]["total"] = sum(report["seconds"].values())
    models = {}
    if train:
        own = {"size": request["size"], "rate": rate, "end": train["end"], "seed": request["seed"]}
        own |= {"start": request.get("start", {}).get("digest"), "config": request["config"]}
        text = json.dumps(own, sort_keys=True)
        place = Path(request["output"]) / "model"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        report["checkpoint"] = {"uri": str(place), "digest": "sha256:" + digest(text)}
        report["position"] = train["end"]
        models["self"] = own
    if evaluation:
        frozen = request.get("frozen", {}) | ({"start": request["start"]} if "start" in request else {})
        models |= {name: json.loads(Path(ref["uri"]).read_text()) for name, ref in frozen.items()}
        blocks = range(len(evaluation["boundaries"]))
        rows = {key: evaluation.get(key) for key in ("start", "end", "share", "salt")}
        report["evaluated"] = {
            "n": [100] * len(blocks),
            "positives": [20] * len(blocks),
            "digest": digest(json.dumps(rows, sort_keys=True))[:16],
            "models": {
                name: {"loss": [loss(m, i) for i in blocks], "predicted": [20.0] * len(blocks), "auc": 0.7}
                for name, m in models.items()
            },
        }
    return report


if __name__ == "__main__":
    told = run(json.loads(Path(os.environ["DATAEFFICIENT_REQUEST"]).read_text()), os.environ)
    if told is None:
        sys.exit(76)
    Path(os.environ["DATAEFFICIENT_REPORT"]).write_text(json.dumps(told, separators=(",", ":")))
