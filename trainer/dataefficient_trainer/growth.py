"""Growing a model without changing what it predicts, so that a larger size starts from a champion.

In the manner of Net2Net (Chen, Goodfellow and Shlens 2016): the old weights fill the first block of
each matrix, new units read everything with fresh weights, and nothing old reads a new unit until
training makes it. The way back is ``shrinking``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dataefficient_trainer.model import Model

_COPIED = ("wide", "wide_sum", "bias", "bias_information", "number_stats", "number_rows")


def grow(small: Model, large: Model) -> None:
    """Make ``large``, freshly initialised, predict as ``small``; its size must not be the smaller one.

    Optimizer state goes along; that of new weights is fresh.
    """
    copy_shared(small, large)
    old, new = small.widths.embedding, large.widths.embedding
    if old:
        large.embedding[:, :old] = small.embedding
        large.embedding_sum.copy_(small.embedding_sum)
    inputs = _inputs(small, large)
    for moment in ("p", "mean", "square"):
        source, target = parameters(small, moment), parameters(large, moment)
        if "linear" in source:
            target["linear"].copy_(source["linear"])
        if new:
            _copy_blocks(source, target, inputs)


def copy_shared(source: Model, target: Model) -> None:
    """Copy what models of all sizes have alike: the linear part, intercepts and what numbers were seen."""
    for name in _COPIED:
        getattr(target, name).copy_(getattr(source, name))
    target.step = source.step


def parameters(model: Model, moment: str) -> dict[str, Tensor]:
    """Dense parameters by name (``p``), or Adam's moments of them (``mean``, ``square``)."""
    if moment == "p":
        return model.p
    return model.views(model.adam_mean if moment == "mean" else model.adam_square)


def _inputs(small: Model, large: Model) -> Tensor:
    """Positions of the small model's inputs among the large one's, shape (d,)."""
    old, new = small.widths.embedding, large.widths.embedding
    fields = torch.arange(small.fields).unsqueeze(1) * new + torch.arange(old)
    numbers = small.fields * new + torch.arange(small.number_inputs)
    return torch.cat([fields.reshape(-1), numbers]).to(small.device)


def _copy_blocks(source: dict[str, Tensor], target: dict[str, Tensor], inputs: Tensor) -> None:
    """Copy what the small model has; cut every path from a new unit to an old one or to the logit."""
    target["o"].zero_()
    target["c"].zero_()
    if "V" not in source:  # a linear model has no layers to keep
        return
    rank, hidden1, hidden2 = source["V"].shape[1], source["A1"].shape[1], source["A2"].shape[1]
    for name, width in (("V", rank), ("A1", hidden1)):
        target[name][:, :width] = 0.0
        target[name][inputs, :width] = source[name]
    target["U"][:, inputs] = 0.0
    target["U"][:rank, inputs] = source["U"]
    target["A2"][:, :hidden2] = 0.0
    target["A2"][:hidden1, :hidden2] = source["A2"]
    target["o"][:hidden2] = source["o"]
    target["a1"][:hidden1] = source["a1"]
    target["a2"][:hidden2] = source["a2"]
    target["b"][inputs] = source["b"]
    target["c"][inputs] = source["c"]
