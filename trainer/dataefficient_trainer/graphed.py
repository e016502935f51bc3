"""Training steps on a GPU, recorded once and replayed.

A step is some seventy small operations, and launching them one by one takes longer than a thousand rows need.
Two CUDA graphs launch them all at once: what comes before the loss is known, and what follows where it is
finite.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch import Tensor

from dataefficient_trainer.batch import Batch

REHEARSALS = 3
"""Steps taken one operation at a time first: libraries set themselves up, which cannot be recorded."""

Measured = TypeVar("Measured")


class Graphed(Generic[Measured]):
    """Steps on batches of one shape.

    Args:
        measure: what a batch gives before anything is changed.
        loss: the mean loss in that.
        learn: changes the model, in place and without waiting for the device, by a batch, what was measured
            and the step's two numbers for the optimizer.
    """

    def __init__(
        self,
        measure: Callable[[Batch], Measured],
        loss: Callable[[Measured], Tensor],
        learn: Callable[[Batch, Measured, Tensor], None],
    ) -> None:
        self._measure, self._loss, self._learn = measure, loss, learn
        self._batch: Batch | None = None
        self._graphs: tuple[torch.cuda.CUDAGraph, torch.cuda.CUDAGraph] | None = None
        self._rehearsed = 0

    def measure(self, batch: Batch) -> float:
        """Mean loss of a batch; waits for the device."""
        if self._batch is None:
            self._batch = batch.clone()
            self._numbers = torch.zeros(2, device=batch.label.device)
        else:
            self._batch.copy_(batch)
        if self._rehearsed < REHEARSALS:
            self._measured = self._measure(self._batch)
        else:
            if self._graphs is None:
                self._graphs = self._record(self._batch)
            self._graphs[0].replay()
        return float(self._loss(self._measured))

    def learn(self, numbers: tuple[float, float]) -> None:
        """Take the step on the batch that was measured last."""
        assert self._batch is not None
        self._numbers.copy_(torch.tensor(numbers))
        if self._graphs is not None:
            self._graphs[1].replay()
            return
        self._learn(self._batch, self._measured, self._numbers)
        self._rehearsed += 1

    def _record(self, batch: Batch) -> tuple[torch.cuda.CUDAGraph, torch.cuda.CUDAGraph]:
        """Both halves of a step; recording changes nothing."""
        before, after = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        with torch.cuda.graph(before):
            self._measured = self._measure(batch)
        with torch.cuda.graph(after, pool=before.pool()):
            self._learn(batch, self._measured, self._numbers)
        return before, after
