"""Quality of every arm on the same rows: frozen models on all rows of the interval during which they served.

What an arm itself evaluates is a sample that the arm chose and pays for. The ruler scores every row, costs
no arm anything, and so tells smaller differences. Scores are kept one by one, by the model's digest, so that
it does not matter which models happen to be scored in one run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from dataefficient import contract
from dataefficient.contract import CheckpointRef, Evaluated, Scored
from dataefficient.local.files import write_atomic
from streambench.execute import EmptyIntervalError, Runner
from streambench.lives import Life
from streambench.requests import MODELS_A_RUN, Unit, scoring

At = tuple[int, datetime, datetime]
EMPTY = ""
"""In place of a model's digest: no row lies in the interval, whatever is to be scored there."""


@dataclass(frozen=True)
class Score:
    """One model on all rows of one interval: sums by time block."""

    n: tuple[int, ...]
    positives: tuple[int, ...]
    digest: str
    """Of the rows and their labels: only equal ones are compared."""
    scored: Scored


class Ruler:
    """Scores models of one unit, each once."""

    def __init__(self, unit: Unit, runner: Runner) -> None:
        self._unit = unit
        self._runner = runner
        self._times = {at[0]: at for at in unit.intervals()}

    def scores(self, lives: Iterable[Life], *, first: int = 1) -> dict[tuple[int, str], Score]:
        """By cycle and the model's digest, for every model that served in one of ``lives`` from ``first`` on.

        A cycle in which the stream has no rows has no scores.

        Many lives at once take fewer runs than one after another, and give the same.

        Raises:
            NotRunError, RunFailedError: as the runner.
        """
        wanted: dict[int, dict[str, CheckpointRef]] = {}
        for life in lives:
            for lived in life.cycles:
                if lived.served is not None and lived.cycle >= first and lived.cycle in self._times:
                    wanted.setdefault(lived.cycle, {})[lived.served.digest] = lived.served
        found: dict[tuple[int, str], Score] = {}
        for cycle, models in sorted(wanted.items()):
            at = self._times[cycle]
            if self._place(at, EMPTY).exists():
                continue
            known = {digest: self._read(at, digest) for digest in models}
            missing = [models[digest] for digest, score in known.items() if score is None]
            try:
                for i in range(0, len(missing), MODELS_A_RUN):
                    self._score(at, missing[i : i + MODELS_A_RUN])
            except EmptyIntervalError:
                self._keep(at, EMPTY, None)
                continue
            for digest in models:
                score = known[digest] or self._read(at, digest)
                assert score is not None, "it was scored just now"
                found[cycle, digest] = score
        return found

    def _score(self, at: At, models: Sequence[CheckpointRef]) -> None:
        named = {f"m{i}": model for i, model in enumerate(models)}
        report = self._runner.run(scoring(self._unit, at, named)).report
        assert report is not None
        assert report.evaluated is not None
        for name, model in named.items():
            self._write(at, model.digest, report.evaluated, name)

    def _place(self, at: At, digest: str) -> Path:
        # The request with one model alone says on which rows, by which trainer and under which features.
        alone = scoring(self._unit, at, {"m": CheckpointRef("", digest)})
        config = {k: v for k, v in alone.config.items() if k != "learningRate"}
        key = self._runner.cache.key(replace(alone, config=config))
        return self._runner.cache.folder / "scores" / f"{hashlib.sha256(key.encode()).hexdigest()}.json"

    def _read(self, at: At, digest: str) -> Score | None:
        try:
            score: Score = contract.decode(Score, json.loads(self._place(at, digest).read_bytes()), "score")
        except (FileNotFoundError, ValueError):
            return None
        return score

    def _write(self, at: At, digest: str, rows: Evaluated, name: str) -> None:
        self._keep(at, digest, Score(rows.n, rows.positives, rows.digest, rows.models[name]))

    def _keep(self, at: At, digest: str, score: Score | None) -> None:
        place = self._place(at, digest)
        place.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(place, json.dumps(contract.encode(score)).encode())
