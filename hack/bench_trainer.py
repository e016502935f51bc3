#!/usr/bin/env python3
"""Rows a second of the reference trainer against a plain torch loop, and what a tenth of the rows costs.

Both train the same model (embeddings, linear part, low-rank cross layer, MLP; row-wise sums aside) with
sparse Adagrad for the tables and Adam for the dense layers, on the same rows in the same order, already
in memory, in alternating rounds of one process. The whole trainer, reading included, is launched as a
process at rates 1 and 0.1. Seconds are of the processor, so that other work on the machine counts little;
on a GPU they are of the clock.

    python hack/bench_trainer.py [--device cuda] [--size 16] [--batch 1024] [--rows 400000]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import nn
from trainer_process import Done, launch

from dataefficient.contract import Data, Evaluation, Policy, Role, RunRequest, Train, parse_time
from dataefficient_trainer.batch import Batch
from dataefficient_trainer.model import Model
from dataefficient_trainer.rules import Pace

FIELDS, BUCKETS, DAYS = 6, 16_384, 300
VALUES = (400, 300, 24, 7, 12_000, 3_000)


class Plain(nn.Module):
    """The same model as one would write it with torch's own parts."""

    def __init__(self, size: int) -> None:
        super().__init__()
        width = FIELDS * size
        self.embedding = nn.Embedding(FIELDS * BUCKETS, size, sparse=True)
        self.wide = nn.EmbeddingBag(FIELDS * BUCKETS, 1, mode="sum", sparse=True)
        self.down, self.up = nn.Linear(width, 2 * size, bias=False), nn.Linear(2 * size, width)
        self.layers = nn.Sequential(
            nn.Linear(width, 4 * size),
            nn.ReLU(),
            nn.Linear(4 * size, 2 * size),
            nn.ReLU(),
            nn.Linear(2 * size, 1),
        )
        self.head = nn.Linear(width, 1)
        nn.init.normal_(self.embedding.weight, std=0.05)
        nn.init.zeros_(self.wide.weight)

    def forward(self, indices: torch.Tensor) -> torch.Tensor:
        """Logits."""
        x0 = self.embedding(indices).flatten(1)
        x1 = x0 * self.up(self.down(x0)) + x0
        return (self.wide(indices) + self.head(x1) + self.layers(x1)).squeeze(1)


def rows(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Table rows [count, FIELDS] with skewed values, and labels."""
    random = np.random.default_rng(0)
    columns = [
        np.minimum(random.zipf(1.3, count) - 1, values - 1) + f * BUCKETS for f, values in enumerate(VALUES)
    ]
    logit = -1.5 + 0.4 * np.sin(columns[0]) + 0.5 * np.cos(columns[1] * 0.7 + columns[2])
    label = (random.random(count) < 1 / (1 + np.exp(-logit))).astype(np.float32)
    return torch.from_numpy(np.stack(columns, 1)), torch.from_numpy(label)


def seconds(device: str) -> float:
    """The processor's seconds, or on a GPU the clock's once its work is done."""
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def train_plain(model: Plain, indices: torch.Tensor, label: torch.Tensor, batch: int) -> float:
    """One pass; returns seconds."""
    sparse = torch.optim.Adagrad([model.embedding.weight, model.wide.weight], lr=0.05)
    dense = [p for n, p in model.named_parameters() if n not in {"embedding.weight", "wide.weight"}]
    adam = torch.optim.Adam(dense, lr=5e-4)
    device = label.device.type
    started = seconds(device)
    for at in range(0, len(label), batch):
        logit = model(indices[at : at + batch])
        loss = nn.functional.binary_cross_entropy_with_logits(logit, label[at : at + batch])
        sparse.zero_grad()
        adam.zero_grad()
        loss.backward()
        sparse.step()
        adam.step()
    return seconds(device) - started


@torch.no_grad()
def train_own(model: Model, indices: torch.Tensor, label: torch.Tensor, batch: int) -> float:
    """One pass; returns seconds."""
    pace, device = Pace(batch, 0.05, 5e-4), label.device
    numbers = torch.empty((batch, 0), device=device)
    offset, weight = torch.zeros(batch, device=device), torch.ones(batch, device=device)
    started = seconds(device.type)
    for at in range(0, len(label), batch):
        part, own = label[at : at + batch], indices[at : at + batch]
        count = len(part)
        model.train_step(Batch(own, numbers[:count], part, offset[:count], weight[:count], part), pace)
    return seconds(device.type) - started


def compare(device: str, size: int, batch: int, count: int) -> None:
    """Print rows a second of both loops, the best of three alternating rounds."""
    indices, label = (tensor.to(device) for tensor in rows(count))
    best = {"plain": float("inf"), "own": float("inf")}
    for _ in range(3):
        plain = Plain(size).to(device)
        own = Model(fields=FIELDS, table_rows=FIELDS * BUCKETS, numbers=0, size=size, seed=0, device=device)
        best["plain"] = min(best["plain"], train_plain(plain, indices, label, batch))
        best["own"] = min(best["own"], train_own(own, indices, label, batch))
    print(f"{device}, size {size}, batch {batch}, {FIELDS} fields, one thread, training alone:")
    print(f"  plain torch loop  {count / best['plain']:>12,.0f} rows/s")
    print(f"  this trainer      {count / best['own']:>12,.0f} rows/s  ({best['plain'] / best['own']:.1f} x)")


def write_stream(path: Path, count: int) -> None:
    """A stream of ``DAYS`` days."""
    random = np.random.default_rng(1)
    seconds = np.sort(random.integers(0, DAYS * 86_400, count))
    columns = {
        f"f{f}": pa.array((np.minimum(random.zipf(1.3, count), v)).astype(np.int32))
        for f, v in enumerate(VALUES)
    }
    times = np.datetime64("2024-01-01", "us") + seconds.astype("m8[s]")
    label = pa.array((random.random(count) < 0.2).astype(np.int8))
    pq.write_table(pa.table({"at": times, "id": np.arange(count), **columns, "label": label}), path)


def run(folder: Path, device: str, rate: float, size: int, days: int) -> Done:
    """Run the whole trainer on some days of the stream."""
    start = parse_time("2024-01-01T00:00:00Z")
    end, late = start + timedelta(days=days), start + timedelta(days=days * 2 / 3)
    request = RunRequest(
        resource="bench/bench", cycle=0, run=f"rate-{rate}-{days}", role=Role.CANDIDATE,
        data=Data(str(folder / "stream.parquet"), "at", "label", ("id",)),
        train=Train(start, end, Policy.UNIFORM, rate, "s"),
        evaluation=Evaluation(late, end, 0.05, "e", (end,)),
        size=size, seed=0, device=device, output=str(folder / f"rate-{rate}-{days}"),
        config={"features": {"categorical": [f"f{f}" for f in range(FIELDS)]}},
    )  # fmt: skip
    return launch(request, folder)


def whole(device: str, size: int, count: int) -> None:
    """Print what a run costs at rates 1 and 0.1, its start-up apart."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_stream(folder / "stream.parquet", count)
        # A run of one day in three hundred is nearly all start-up.
        startup = cost(device, run(folder, device, 0.001, size, 1))
        found = {rate: run(folder, device, rate, size, DAYS) for rate in (1.0, 0.1)}
    print(f"the whole trainer on {count:,} rows, {device}, size {size}, one thread:")
    print(f"  start-up {startup:.2f} s")
    for rate, done in found.items():
        spent = asdict(done.report.seconds)
        parts = ", ".join(f"{part} {spent[part]:.2f}" for part in ("read", "train", "evaluate", "total"))
        print(
            f"  rate {rate:<4} {done.report.rows.kept:>10,.0f} rows kept, "
            f"{cost(device, done) - startup:.2f} s beyond it (wall clock: {parts}); peak {done.memory:.0f} MB"
        )
    full, tenth = (cost(device, done) for done in found.values())
    print(
        f"  cost at rate 0.1 against full: {(tenth - startup) / (full - startup):.2f} without start-up, ",
        end="",
    )
    print(f"{tenth / full:.2f} with it")


def cost(device: str, done: Done) -> float:
    """Seconds of the processor, or on a GPU of the clock: it is paid for while it waits."""
    return done.processor if device == "cpu" else done.wall


def main() -> None:
    """Print both comparisons."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--size", type=int, default=16)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--rows", type=int, default=400_000, help="rows of the comparison of loops")
    parser.add_argument("--stream-rows", type=int, default=4_000_000, help="rows of the whole run")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    torch.sparse.check_sparse_tensor_invariants.disable()  # said aloud, or torch warns
    compare(options.device, options.size, options.batch, options.rows)
    whole(options.device, options.size, options.stream_rows)


if __name__ == "__main__":
    main()
