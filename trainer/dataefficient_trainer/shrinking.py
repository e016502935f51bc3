"""Making a model smaller while it predicts nearly as before, so that a smaller size starts from a champion.

Where growing (``growth``) changes nothing, a smaller model cannot say all that the larger one did. It is
fitted to it, layer by layer: of each field's embedding the dimensions that move the layers above most are
kept, as in structured pruning (Molchanov et al., Pruning Convolutional Neural Networks for Resource Efficient
Inference, ICLR 2017), and every layer then follows by least squares from what the smaller model has below it,
as in ThiNet (Luo, Wu and Lin, ICCV 2017). What is lost is learned again from the rows that follow.

No row of the stream is read for it. Rows are drawn instead whose values are as frequent in each field as in
training, by the accumulators of the linear part: they sum up squared gradients, p (1 - p) a row.
"""

# ruff: noqa: N803, N806 - a tensor's name carries its shape
from __future__ import annotations

import itertools

import torch
from torch import Tensor

from dataefficient_trainer.growth import copy_shared, parameters
from dataefficient_trainer.model import INITIAL_ACCUMULATOR, Forward, Model

ROWS = 8_192
"""Rows that are drawn."""
RIDGE = 1e-3
"""Ridge of the least squares, relative to the mean square of a column."""
ROUNDS = 5
"""Times that the fields of the linear part are fitted in turn (backfitting)."""
FEW = 8.0
"""Rows of a value by which what they are missing is drawn to nothing: it is half of it with so many."""


def shrink(large: Model, small: Model, first_rows: Tensor) -> None:
    """Make ``small`` predict as nearly as it can as ``large``; its size must be the smaller one.

    Adagrad's accumulators go along; Adam's are those of the large layer on average, without momentum.

    Args:
        first_rows: table row at which each field begins, shape (fields,).
    """
    copy_shared(large, small)
    rows = _likely_rows(large, first_rows)
    seen = large.forward(*rows)
    if large.numbers:
        small.p["linear"].copy_(large.p["linear"])
    if small.widths.embedding:
        _fit_layers(large, small, seen, first_rows)
        before, after = parameters(large, "square"), parameters(small, "square")
        for name, square in after.items():
            square.fill_(float(before[name].mean()))
    _fit_linear(small, seen, seen.logit_B - small.forward(*rows).logit_B, first_rows)


def _likely_rows(model: Model, first_rows: Tensor) -> tuple[Tensor, Tensor]:
    """Table rows [ROWS, S] and numbers [ROWS, D], drawn field by field; the same for the same model."""
    generator = torch.Generator().manual_seed(0)
    often = (model.wide_sum - INITIAL_ACCUMULATOR).clamp(min=0.0).cpu().double()
    spans, plain = _spans(model, first_rows), model.fields - len(model.bags)
    columns = [_draw(often, first, end, 1, generator) for first, end in spans[:plain]]
    for bag, (first, _end) in zip(model.bags, spans[plain:], strict=True):
        values = torch.randint(1, bag.places + 1, (ROWS, 1), generator=generator)
        drawn = _draw(often, first, bag.padding, bag.places, generator)
        columns.append(torch.where(torch.arange(bag.places) < values, drawn, bag.padding))
    mean = model.number_stats[0].cpu()
    spread = (model.number_stats[1].cpu() - mean.square()).clamp(min=0.0).sqrt()
    normal = torch.randn((ROWS, model.numbers), generator=generator, dtype=torch.float64)
    empty = torch.empty((ROWS, 0), dtype=torch.int64)
    indices = torch.cat(columns, 1) if columns else empty
    return indices.to(model.device), (mean + spread * normal).to(model.device, torch.float32)


def _draw(often: Tensor, first: int, end: int, values: int, generator: torch.Generator) -> Tensor:
    """Table rows of a field [ROWS, values], each as likely as it is frequent."""
    weight = often[first:end]
    upto = (weight if float(weight.sum()) > 0.0 else torch.ones_like(weight)).cumsum(0)
    drawn = torch.rand((ROWS, values), generator=generator, dtype=torch.float64) * upto[-1]
    return first + torch.searchsorted(upto, drawn, right=True).clamp_(max=end - first - 1)


def _spans(model: Model, first_rows: Tensor) -> list[tuple[int, int]]:
    """First and last table row, exclusive, of each field."""
    edges = [*first_rows.tolist(), model.table_rows]
    return list(itertools.pairwise(edges))


def least_squares(inputs: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Weights [in, out] and constants [out] by which ``wanted`` [B, out] follows from ``inputs`` [B, in].

    The smaller of the two equal systems is solved, that of the inputs or that of the rows.
    """
    centre, level = inputs.mean(0), wanted.mean(0)
    x, y = inputs - centre, wanted - level
    by_rows = x.shape[1] > len(x)
    gram = (x @ x.t() if by_rows else x.t() @ x).double()
    gram.diagonal().add_(RIDGE * float(x.square().sum()) / max(x.shape[1], 1) + 1e-12)
    solved = torch.linalg.solve(gram, (y if by_rows else x.t() @ y).double()).to(inputs.dtype)
    weights = x.t() @ solved if by_rows else solved
    return weights, level - centre @ weights


def low_rank(matrix: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Factors [in, rank] and [rank, out] that come near to ``matrix``, the first with orthonormal columns.

    A randomised range finder with two power iterations (Halko, Martinsson and Tropp, SIAM Review 53, 2011,
    algorithm 4.4); fixed random numbers.
    """
    start = torch.randn((matrix.shape[1], rank), generator=torch.Generator().manual_seed(0))
    basis = torch.linalg.qr(matrix @ start.to(matrix)).Q
    for _ in range(2):
        basis = torch.linalg.qr(matrix @ torch.linalg.qr(matrix.t() @ basis).Q).Q
    return basis, basis.t() @ matrix


def _most(importance: Tensor, count: int) -> Tensor:
    """Positions of the ``count`` largest along the last dimension, ascending."""
    return importance.topk(count).indices.sort().values


def _fit_layers(large: Model, small: Model, seen: Forward, first_rows: Tensor) -> None:
    """Embeddings, cross layer, hidden layers and output, each from what the smaller model has below it."""
    assert seen.x0_Bd is not None and seen.z_Bd is not None and seen.x1_Bd is not None  # noqa: PT018
    assert seen.h1_BH is not None and seen.h2_BG is not None  # noqa: PT018
    p, q = large.p, small.p
    inputs = _keep_dimensions(large, small, seen.x0_Bd, first_rows)

    x0 = seen.x0_Bd[:, inputs]
    weights, q["b"][:] = least_squares(x0, seen.z_Bd[:, inputs])
    rank = min(q["V"].shape[1], len(inputs))
    q["V"].zero_()
    q["U"].zero_()
    q["V"][:, :rank], q["U"][:rank] = low_rank(weights, rank)
    x1 = torch.addcmul(x0, x0, torch.addmm(q["b"], x0 @ q["V"], q["U"]))

    units = _most(seen.h1_BH.var(0) * p["A2"].square().sum(1), q["A1"].shape[1])
    wanted = torch.addmm(p["a1"][units], seen.x1_Bd, p["A1"][:, units])
    q["A1"][:], q["a1"][:] = least_squares(x1, wanted)
    h1 = torch.addmm(q["a1"], x1, q["A1"]).relu_()
    units = _most(seen.h2_BG.var(0) * p["o"].square().sum(1), q["A2"].shape[1])
    wanted = torch.addmm(p["a2"][units], seen.h1_BH, p["A2"][:, units])
    q["A2"][:], q["a2"][:] = least_squares(h1, wanted)
    h2 = torch.addmm(q["a2"], h1, q["A2"]).relu_()

    said = torch.addmv(seen.h2_BG @ p["o"][:, 0], seen.x1_Bd, p["c"])
    last, level = least_squares(torch.cat([h2, x1], 1), said.unsqueeze(1))
    q["o"][:], q["c"][:] = last[: h2.shape[1]], last[h2.shape[1] :, 0]
    small.bias.add_(level)


def _keep_dimensions(large: Model, small: Model, x0_Bd: Tensor, first_rows: Tensor) -> Tensor:
    """Copy those dimensions of each field's embedding that move the layers above most.

    Returns:
        Positions of the smaller model's inputs among the larger one's, shape (d,).
    """
    p, fields = large.p, large.fields
    wide, narrow = large.widths.embedding, small.widths.embedding
    heard = p["V"].square().sum(1) + p["A1"].square().sum(1) + p["c"].square()
    moved = (x0_Bd.var(0) * heard)[: fields * wide].view(fields, wide)
    kept = _most(moved, narrow)
    for field, (first, end) in enumerate(_spans(large, first_rows)):
        small.embedding[first:end] = large.embedding[first:end, kept[field]]
    small.embedding_sum.copy_(large.embedding_sum)
    of_fields = torch.arange(fields, device=kept.device).unsqueeze(1) * wide + kept
    of_numbers = fields * wide + torch.arange(large.number_inputs, device=kept.device)
    return torch.cat([of_fields.reshape(-1), of_numbers])


def _fit_linear(small: Model, seen: Forward, missing: Tensor, first_rows: Tensor) -> None:
    """Give the linear part what is missing from the log-odds, where that is a sum over fields and numbers."""
    level = missing.mean()
    rest = missing - level
    rows_BS = seen.flat_N.view(ROWS, -1)
    weight_BS = torch.ones_like(rows_BS, dtype=rest.dtype) if seen.weight_BS is None else seen.weight_BS
    widths = [1] * (small.fields - len(small.bags)) + [bag.places for bag in small.bags]
    spans = _spans(small, first_rows)
    fields = list(zip(spans, torch.split(rows_BS, widths, 1), torch.split(weight_BS, widths, 1), strict=True))
    added = [torch.zeros(end - first, device=small.device) for first, end in spans]
    for _ in range(ROUNDS):
        if small.numbers:
            slope, _ = least_squares(seen.numbers_BE, rest.unsqueeze(1))
            small.p["linear"].add_(slope[:, 0])
            rest = rest - seen.numbers_BE @ slope[:, 0]
        for field, ((first, _end), rows_BP, weight_BP) in enumerate(fields):
            rows, before = (rows_BP - first).reshape(-1), added[field]
            # All values of a row move at once, so each takes a part of the step.
            pull = weight_BP * weight_BP.sum(1, keepdim=True)
            told = weight_BP * rest.unsqueeze(1) + pull * before[rows].view(rows_BP.shape)
            total = torch.zeros_like(before).index_add_(0, rows, told.reshape(-1))
            count = torch.zeros_like(before).index_add_(0, rows, pull.reshape(-1))
            added[field] = total.div_(count.add_(FEW))
            moved = (added[field] - before)[rows].view(rows_BP.shape)
            rest = rest - moved.mul_(weight_BP).sum(1)
    for (first, end), part in zip(spans, added, strict=True):
        small.wide[first:end] += part
    small.bias.add_(level + rest.mean())
