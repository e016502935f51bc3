"""Rows to train on, as tensors: those that wait for a full batch, and a batch on the model's device."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """B rows with S table rows of categorical fields and D numbers.

    Attributes:
        indices: table rows, int64 [B, S]: one a field, several of a list (``features.Layout.places``).
        values: numbers, [B, D]; NaN is missing.
        label: what is learned of each row, [B]: 0 or 1, or between them where a teacher speaks too.
        offset: log-odds offset of the sampling, [B]: what is learnt is the unsampled log-odds.
        weight: rows of the stream that each row stands for, [B].
        target: positives of the stream that each row stands for, [B].
    """

    indices: Tensor
    values: Tensor
    label: Tensor
    offset: Tensor
    weight: Tensor
    target: Tensor

    @classmethod
    def empty(cls, places: int, numbers: int) -> Batch:
        """No row."""
        indices = torch.empty((0, places), dtype=torch.int64)
        return cls(indices, torch.empty((0, numbers)), *(torch.empty(0) for _ in range(4)))

    def __len__(self) -> int:
        return len(self.label)

    def tensors(self) -> Mapping[str, Tensor]:
        """The tensors by name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def rows(self, start: int, stop: int | None) -> Batch:
        """Some rows, as views."""
        return Batch(*(tensor[start:stop] for tensor in self.tensors().values()))

    def extend(self, other: Batch) -> Batch:
        """These rows, then the others."""
        more = other.tensors()
        return Batch(*(torch.cat([tensor, more[name]]) for name, tensor in self.tensors().items()))

    def to(self, device: torch.device) -> Batch:
        """The rows on a device; these where they are there already."""
        return Batch(*(tensor.to(device) for tensor in self.tensors().values()))

    def clone(self) -> Batch:
        """An equal one that shares nothing."""
        return Batch(*(tensor.clone() for tensor in self.tensors().values()))

    def copy_(self, other: Batch) -> None:
        """Take the values of another of the same shape."""
        theirs = other.tensors()
        for name, tensor in self.tensors().items():
            tensor.copy_(theirs[name])
