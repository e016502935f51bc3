"""A whole trainer, and no neural network: a table that counts how often events alike were positive.

Events are alike when their hour and the columns in ``trainer.config.features`` are. The size of this model
is the binary logarithm of its number of cells. It expects to be asked both to train and to score.
docs/trainer-contract.md explains what is read and written.
"""

import hashlib
import json
import os
import sys
import time
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq


def draw(*parts):  # a number in [0, 1) that depends on the parts alone
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=6).digest()) / 2**48


def load(ref):
    body = Path(ref["uri"]).read_bytes() if Path(ref["uri"]).exists() else b""
    return np.array(json.loads(body)) if hashlib.sha256(body).hexdigest() == ref["digest"] else sys.exit(77)


began, request = time.perf_counter(), json.loads(Path(os.environ["DATAEFFICIENT_REQUEST"]).read_text())
data, train, test = request["data"], request["train"], request["evaluation"]
refs = request.get("frozen", {}) | ({"start": request["start"]} if "start" in request else {})
models = {name: load(ref) for name, ref in refs.items()}
models["self"] = load(refs["start"]) if "start" in refs else np.zeros((2 ** request["size"], 2))

texts = [train["start"], train["end"], test["start"], *test["boundaries"]]
first, last, begin, *ends = instants = [np.datetime64(text.rstrip("Z"), "us") for text in texts]
low, high = (datetime.fromisoformat(texts[i]) for i in (np.argmin(instants), np.argmax(instants)))
rows = pq.read_table(data["uri"], filters=[(data["time"], ">=", low), (data["time"], "<", high)])
times, labels = rows[data["time"]].to_numpy(), rows[data["label"]].to_numpy()
keys = list(zip(*(rows[name].to_pylist() for name in data["key"]), strict=True))
features = [rows[name].to_pylist() for name in request["config"]["features"]]
alike = zip(times.astype("M8[h]").astype(int) % 24, *features, strict=True)
cells = np.array([int(draw(event) * 2**48) for event in alike], dtype=np.int64)

asked, keep = (times >= first) & (times < last), np.full(len(rows), train["rate"])
if not asked.any():
    sys.exit(76)
if train["policy"] == "Negatives":  # every positive, and of the negatives as many as the rate leaves room for
    keep = np.where(labels, 1.0, (train["rate"] - labels[asked].mean()) / (1 - labels[asked].mean()))
learn = asked & (np.array([draw(train["salt"], key) for key in keys]) < keep)
score = (times >= begin) & (times < ends[-1])
score &= np.array([draw(test["salt"], key) for key in keys]) < test["share"]

block, sums = np.searchsorted([begin, *ends], times, side="right"), {name: ([], []) for name in models}
read, scoring = time.perf_counter() - began, 0.0
for b in range(len(ends) + 2):  # before the blocks, the blocks, after them: each is scored, then learned
    tick = time.perf_counter()
    for name, table in models.items() if 0 < b <= len(ends) else ():
        events, positives = table[cells[score & (block == b)] % len(table)].T
        chance, truth = (positives + 1) / (events + 5), labels[score & (block == b)]
        sums[name][0].append(round(-np.log(np.where(truth, chance, 1 - chance)).sum(), 4))
        sums[name][1].append(round(chance.sum(), 4))
    scoring += time.perf_counter() - tick
    here = learn & (block == b)  # a kept row counts 1 / probability: as many as it stands for
    counts = np.stack([np.ones(here.sum()), labels[here]], axis=1) / keep[here, None]
    np.add.at(models["self"], cells[here] % len(models["self"]), counts)

body, output = json.dumps(models["self"].tolist()).encode(), Path(request["output"], "table.json")
output.parent.mkdir(parents=True, exist_ok=True)
output.write_bytes(body)
seen, spent = [(keys[i], labels[i]) for i in np.flatnonzero(score)], time.perf_counter() - began
report = {
    "version": request["version"],
    "run": request["run"],
    "rows": {
        "read": len(rows),
        "kept": int(learn.sum()),
        "positives": int(labels[asked].sum()),
        "keptPositives": int(labels[learn].sum()),
        "effective": (1 / keep[learn]).sum() ** 2 / max(1, (keep[learn] ** -2).sum()),
        "evaluated": int(score.sum()),
    },
    "seconds": {
        "startup": 0,
        "read": read,
        "train": spent - read - scoring,
        "evaluate": scoring,
        "total": spent,
    },
    "checkpoint": {"uri": str(output), "digest": hashlib.sha256(body).hexdigest()},
    "position": train["end"],
    "evaluated": {
        "n": [int((score & (block == b + 1)).sum()) for b in range(len(ends))],
        "positives": [int(labels[score & (block == b + 1)].sum()) for b in range(len(ends))],
        "digest": hashlib.sha256(repr(seen).encode()).hexdigest(),
        "models": {name: {"loss": loss, "predicted": predicted} for name, (loss, predicted) in sums.items()},
    },
}
Path(os.environ["DATAEFFICIENT_REPORT"]).write_text(json.dumps(report, separators=(",", ":")))
