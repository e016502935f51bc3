"""A batch as tensors on the model's device."""

# ruff: noqa: N815 - a tensor's name carries its shape
from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Rows to train on: B of them, F categorical fields, D numbers.

    Attributes:
        indices_BF: table rows, int64.
        values_BD: numbers; NaN is missing.
        label_B: 0 or 1.
        offset_B: log-odds offset of the sampling: what is learnt is the unsampled log-odds.
        weight_B: rows of the stream that each row stands for.
        target_B: positives of the stream that each row stands for.
    """

    indices_BF: Tensor
    values_BD: Tensor
    label_B: Tensor
    offset_B: Tensor
    weight_B: Tensor
    target_B: Tensor

    @classmethod
    def of(cls, arrays: Iterable[npt.NDArray[Any]], device: torch.device) -> Batch:
        """From arrays in the order of the attributes; on the CPU it shares their memory."""
        return cls(*(torch.from_numpy(array).to(device) for array in arrays))

    def __len__(self) -> int:
        return len(self.label_B)

    def tensors(self) -> tuple[Tensor, ...]:
        """The tensors in the order of the attributes."""
        return tuple(getattr(self, field.name) for field in dataclasses.fields(self))

    def rows(self, start: int, stop: int) -> Batch:
        """Some rows, as views."""
        return Batch(*(tensor[start:stop] for tensor in self.tensors()))

    def clone(self) -> Batch:
        """An equal one that shares nothing."""
        return Batch(*(tensor.clone() for tensor in self.tensors()))

    def copy_(self, other: Batch) -> None:
        """Take the values of another of the same shape."""
        for own, theirs in zip(self.tensors(), other.tensors(), strict=True):
            own.copy_(theirs)
