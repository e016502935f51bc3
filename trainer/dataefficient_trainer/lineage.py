"""The models of a run: the one that trains, and the frozen ones that are scored beside it.

Decides what may be loaded: only checkpoints with the same features and label compare. A warm start of another
size is converted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from dataefficient.contract import CheckpointRef, Policy, RunRequest, format_time, parse_time
from dataefficient_trainer import checkpoint
from dataefficient_trainer.errors import CheckpointError
from dataefficient_trainer.events import Stream
from dataefficient_trainer.growth import grow
from dataefficient_trainer.model import Model
from dataefficient_trainer.sampling import Shares
from dataefficient_trainer.shrinking import shrink
from dataefficient_trainer.source import notice

Loaded = dict[CheckpointRef, tuple[Model, dict[str, Any]]]
"""Checkpoints that are in memory, none of which trains: a model and its facts."""


@dataclass
class Models:
    """What a run starts with."""

    own: Model | None = None
    """The model that trains; None where the run only scores."""
    frozen: dict[str, Model] = field(default_factory=dict)
    """Scored as they are, by name."""
    start: Model | None = None
    """The warm start as it was, for scores of the sampling."""
    shares: Shares = field(default_factory=Shares)


def identity(stream: Stream) -> dict[str, Any]:
    """What two checkpoints must share to be compared or continued."""
    label: dict[str, Any] = {"column": stream.label, "atLeast": stream.config.label.at_least}
    if stream.config.label.equals:
        label["equals"] = list(stream.config.label.equals)
    return {"layout": stream.layout.to_json(), "label": label}


def _new(request: RunRequest, stream: Stream, size: int, seed: int | None) -> Model:
    layout = stream.layout
    return Model(
        fields=layout.fields,
        table_rows=layout.table_rows,
        numbers=layout.numbers,
        vectors=layout.vectors,
        bags=layout.bags,
        size=size,
        seed=seed,
        device=request.device,
    )


def _load(
    request: RunRequest, stream: Stream, ref: CheckpointRef, name: str, loaded: Loaded
) -> tuple[Model, dict[str, Any]]:
    if ref in loaded:
        return loaded[ref]
    tensors, facts = checkpoint.load(ref, name)
    for key, own in identity(stream).items():
        if facts.get(key) != own:
            raise CheckpointError(
                f"{name}: {ref.uri} is a checkpoint of another model: its {key} differs from this run's "
                "(features, hashBuckets or label were changed); start cold"
            )
    model = _new(request, stream, int(facts["size"]), None)
    model.load(tensors)
    loaded[ref] = model, facts
    return loaded[ref]


def continued(request: RunRequest, stream: Stream, model: Model) -> Model:
    """A model of the run's size that goes on from ``model`` and shares nothing with it.

    A larger one predicts as it does, a smaller one as nearly as it can.
    """
    if model.size == request.size:
        return model.copy()
    own = _new(request, stream, request.size, request.seed)
    if model.size < request.size:
        grow(model, own)
    else:
        shrink(model, own, torch.from_numpy(stream.layout.offsets))
    return own


def needs_scorer(request: RunRequest) -> bool:
    """Whether the sampling needs the scores of a model."""
    train = request.train
    scored = train is not None and train.policy is Policy.SCORED_NEGATIVES and train.rate < 1
    return scored and not request.data.served_prediction


def prepare(request: RunRequest, stream: Stream, *, leads: bool, loaded: Loaded) -> Models:
    """Build and load the models of a request; frozen ones are scored by the run that leads alone.

    Args:
        loaded: what other runs of this process have loaded; what this one loads is added. A branch goes on
            from what the run that leads scores.

    Raises:
        CheckpointError: gone, damaged, or of other features or label.
    """
    models = Models()
    train = request.train
    if request.start is not None:
        models.start, facts = _load(request, stream, request.start, "start", loaded)
        if leads and request.evaluation is not None:
            models.frozen["start"] = models.start
        if train is not None:
            models.own = continued(request, stream, models.start)
            models.shares = Shares(**facts["shares"])
            if parse_time(facts["position"]) > train.start:
                notice(
                    f"training starts at {format_time(train.start)}, before the position {facts['position']} "
                    "of the start checkpoint: rows are seen twice"
                )
    elif train is not None:
        models.own = _new(request, stream, request.size, request.seed)
        if needs_scorer(request) and not request.fork:
            notice("a cold start has no scores for ScoredNegatives; negatives are sampled alike (Negatives)")
    for name, ref in request.frozen.items():
        models.frozen[name], _ = _load(request, stream, ref, f"frozen.{name}", loaded)
    return models
