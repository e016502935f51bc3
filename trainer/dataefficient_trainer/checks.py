"""What can be said of a request before anything is opened: limits of this trainer beside the contract's."""

from __future__ import annotations

from dataefficient.contract import RunRequest
from dataefficient_trainer.errors import UserError


def check(request: RunRequest) -> None:
    """Refuse what this trainer cannot do, whatever the data.

    Raises:
        UserError: names the field.
    """
    if request.train is None and request.evaluation is None:
        raise UserError("request: neither train nor evaluation is given; there is nothing to do")
    for name, span in (("train", request.train), ("evaluation", request.evaluation)):
        if span is not None and span.end <= span.start:
            raise UserError(f"request.{name}.end: {span.end} is not after {name}.start, {span.start}")
    if not request.data.key:
        raise UserError("request.data.key: empty; name the columns that tell one event from another")
    if request.train is None and request.start is None and not request.frozen:
        raise UserError(
            "request.frozen: a run without training needs a checkpoint to score, as start or frozen"
        )
    if request.device not in {"cpu", "cuda"}:
        raise UserError(f"request.device: {request.device!r} is not one of cpu, cuda")
    if request.threads < 1:
        raise UserError(f"request.threads: {request.threads} is not a positive integer")
    if not 1 <= request.size <= 1024:
        raise UserError(f"request.size: {request.size} is outside 1 to 1024, the width of an embedding")
    if request.evaluation is not None and request.evaluation.boundaries[-1] != request.evaluation.end:
        raise UserError("request.evaluation.boundaries: the last one must equal evaluation.end")
