"""Fields of several values in the model: the sum over a row's values by the root of their number.

A sum says less of a list the fewer values it has, and in a mean of many values each learns little from a row:
the root between them keeps the spread of what a field says, whatever its number of values
(docs/adr/0117-lists.md). Each such field has a fixed number of places, so that shapes do not hang on the
data; places that are not used hold the field's padding.

Shapes: B rows, F fields, S places (one for each plain field, then those of the lists), s embedding width.
"""

# ruff: noqa: N803 - a tensor's name carries its shape
from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Bag:
    """A field of several values.

    Attributes:
        places: most values of a row.
        padding: table row of an empty place, which is never trained.
    """

    places: int
    padding: int


class Pooling:
    """Sums over the values of fields, by the root of their number.

    Args:
        plain: fields of one value, which come first.
        bags: the others, in their order.
        device: torch device.
    """

    def __init__(self, plain: int, bags: Sequence[Bag], device: torch.device) -> None:
        self._plain, self._bags = plain, bags
        self.places = plain + sum(bag.places for bag in bags)
        paddings = [bag.padding for bag in bags for _ in range(bag.places)]
        self._paddings = torch.tensor(paddings, device=device)

    def _lists(self) -> Iterator[tuple[int, int, int]]:
        """Field, first and last place, exclusive, of each list."""
        first = self._plain
        for field, bag in enumerate(self._bags, start=self._plain):
            yield field, first, first + bag.places
            first += bag.places

    def weights(self, indices_BS: Tensor) -> Tensor:
        """Weight of each place in its field's sum, [B, S]: 0 where it is empty."""
        weight = torch.ones(indices_BS.shape, device=indices_BS.device)
        weight[:, self._plain :] = indices_BS[:, self._plain :] != self._paddings
        for _, first, end in self._lists():
            weight[:, first:end] *= weight[:, first:end].sum(1, keepdim=True).rsqrt_()
        return weight

    def pool(self, values_BSs: Tensor, weight_BS: Tensor) -> Tensor:
        """Each field's weighted sum over its places, [B, F, s]."""
        sums = [
            torch.bmm(weight_BS[:, None, first:end], values_BSs[:, first:end])
            for _, first, end in self._lists()
        ]
        return torch.cat([values_BSs[:, : self._plain], *sums], 1)

    def spread(self, gradient_BFs: Tensor, weight_BS: Tensor) -> Tensor:
        """The gradient of each place, [B, S, s], from those of the sums."""
        places = [
            weight_BS[:, first:end, None] * gradient_BFs[:, field, None]
            for field, first, end in self._lists()
        ]
        return torch.cat([gradient_BFs[:, : self._plain], *places], 1)
