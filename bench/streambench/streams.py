"""The streams: where their rows come from, and the resource that asks for the same of all of them.

Of a stream the resource takes columns, schedule, features and sizes; real ones from the resource in
``examples/``. Everything else is one text for all streams: the operator's defaults and one tolerance. So no
setting is chosen for a stream, least of all one that makes its figures look well.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from streambench import generated
from streambench.generated import Recipe

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
TUNED = ("learningRate", "batchSize")
"""What an example may have tuned for itself; the benchmark tunes by one rule for all."""


@dataclass(frozen=True)
class Stream:
    """One stream. Exactly one of ``example`` and ``recipe`` is there."""

    name: str
    what: str
    """A sentence for people."""
    example: str | None = None
    """Resource under ``examples/``."""
    label: str | None = None
    """Instead of the example's label."""
    recipe: Recipe | None = None
    sizes: tuple[int, ...] = (1, 4, 16)
    """Of a generated stream; an example names its own."""
    changes: int | None = None
    """Cycle at whose beginning the stream changes."""


_GENERATED = (
    ("drift", "all effects change at once at the beginning of cycle 3", Recipe(0.1, change=3)),
    ("noise", "a third of the labels are drawn without a look at the row", Recipe(0.1, flipped=1 / 3)),
    ("no-signal", "the label has nothing to do with the row", Recipe(0.1, signal=0.0)),
    (
        "saturated",
        "six kinds of rows: learned after a moment",
        Recipe(0.1, values=generated.FEW_VALUES, pair=(0, 1)),
    ),
    ("rare", "one positive in a thousand rows", Recipe(0.001, rows=3.0)),
)

STREAMS = (
    Stream("flights", "late flights, four schedule features", "flights/late-flights.yaml"),
    Stream("flight-level", "late flights with crosses: does not converge", "flights/flight-level.yaml"),
    *(Stream(n, what, recipe=recipe, changes=recipe.change) for n, what, recipe in _GENERATED),
    Stream("ace", "aces in women's tennis, 2.4 % positive", "tennis/aces.yaml"),
    Stream("double-fault", "double faults, 4.9 % positive", "tennis/aces.yaml", label="double_fault"),
    Stream("nycflights", "late flights from New York, a small stream", "nycflights/late15.yaml"),
)


@dataclass(frozen=True)
class Found:
    """A stream that is here: its rows, and what its resource takes of it."""

    stream: Stream
    data: Path
    parts: Mapping[str, Any]
    """``schedule``, ``data``, ``sizes`` and ``config``."""

    def resource(self, seed: int, tolerance: str, learning_rate: float) -> dict[str, Any]:
        """The resource whose name, and so whose initial weights and samples, belong to ``seed``."""
        config = {**self.parts["config"], "learningRate": learning_rate}
        container = {"name": "trainer", "command": ["python", "-m", "dataefficient_trainer"]}
        return {
            "apiVersion": "dataefficient.training/v1alpha1",
            "kind": "DataEfficientTraining",
            "metadata": {"name": f"{self.stream.name}-s{seed}"},
            "spec": {
                "mode": "Enforce",
                "schedule": copy.deepcopy(self.parts["schedule"]),
                "data": {**self.parts["data"], "uri": str(self.data)},
                "kpi": {"tolerance": tolerance},
                "knobs": {"modelSize": {"values": list(self.parts["sizes"])}},
                "trainer": {"config": config, "template": {"spec": {"containers": [container]}}},
            },
        }


class MissingDataError(Exception):
    """A stream whose rows are not on this machine; the message says where they were looked for."""


def find(stream: Stream, *, folder: Path, data: Path | None, cycle_rows: int, cycles: int) -> Found:
    """The stream with its rows; a generated one is written into ``folder`` if it is not there.

    Args:
        data: where real streams that are not in the repository lie; None: only beside their resource.

    Raises:
        MissingDataError: not on this machine.
    """
    if stream.recipe is not None:
        path = folder / f"{stream.name}-{cycle_rows}x{cycles}-{generated.version(stream.recipe)}.parquet"
        if not path.exists():
            generated.write(stream.recipe, path, cycle_rows=cycle_rows, cycles=cycles)
        fields = [f"f{i}" for i in range(len(stream.recipe.values))]
        return Found(
            stream,
            path,
            {
                "schedule": generated.schedule(cycles),
                "data": {"time": "time", "label": "label", "key": ["row"]},
                "sizes": stream.sizes,
                "config": {"features": {"categorical": fields}},
            },
        )
    assert stream.example is not None
    resource = EXAMPLES / stream.example
    spec = yaml.safe_load(resource.read_text())["spec"]
    places = [resource.parent, *([data] if data else [])]
    here = [path for place in places if (path := place / spec["data"]["uri"]).exists()]
    if not here:
        looked = " or ".join(str(place) for place in places)
        raise MissingDataError(f"{spec['data']['uri']} is not in {looked}")
    columns = {k: v for k, v in spec["data"].items() if k != "uri"}
    return Found(
        stream,
        here[0].resolve(),
        {
            "schedule": spec["schedule"],
            "data": columns | ({"label": stream.label} if stream.label else {}),
            "sizes": tuple(spec["knobs"]["modelSize"]["values"]),
            "config": {k: v for k, v in spec["trainer"]["config"].items() if k not in TUNED},
        },
    )
