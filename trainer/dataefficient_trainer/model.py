"""The click-through model: a linear part, field embeddings, a low-rank cross layer and a small MLP.

The family of DLRM (Naumov et al. 2019) and DCN-v2 (Wang et al. 2021, eq. 2 with the low-rank form of
eq. 3), with the linear part of Wide & Deep. The backward pass is written out and the optimizer is fused
with it: at a thousand rows a step the bookkeeping of a general autograd costs more than the arithmetic.
``tests/trainer/test_model.py`` holds it against autograd.

Shapes: B rows, F categorical fields, S places in them (``pooling``; F without lists), N = B*S, D numbers, of
which the last ones may be the coordinates of vectors, E = D and one more for each number that is none and for
each vector, s embedding width, R table rows, d = F*s + E inputs, r rank of the cross layer, h1 and h2 hidden
units.
"""

# ruff: noqa: N803, N806, N815 - a tensor's name carries its shape
from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dataefficient_trainer import intercept
from dataefficient_trainer.batch import Batch
from dataefficient_trainer.graphed import Graphed
from dataefficient_trainer.pooling import Bag, Pooling
from dataefficient_trainer.rules import Pace, widths

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
"""Adam (Kingma and Ba 2015)."""
INITIAL_ACCUMULATOR = 1.0
"""Start of the Adagrad accumulators, in squared summed gradients."""
EMBEDDING_SPREAD = 0.05
"""Of fresh embeddings; fresh weights of standardised numbers are as much smaller than those of embeddings."""

_READ_INPUTS = ("V", "A1")
"""Matrices whose rows stand for the inputs, those of the numbers last."""


@dataclass
class Forward:
    """What the backward pass needs again."""

    flat_N: Tensor
    numbers_BE: Tensor
    logit_B: Tensor
    weight_BS: Tensor | None = None
    """Weight of each place in its field; None: all are 1."""
    x0_Bd: Tensor | None = None
    q_Br: Tensor | None = None
    z_Bd: Tensor | None = None
    x1_Bd: Tensor | None = None
    h1_BH: Tensor | None = None
    h2_BG: Tensor | None = None


@dataclass
class Measured:
    """What a batch gives before a step changes anything."""

    seen: Forward
    logit_B: Tensor
    """With the sampling's offset."""
    loss: Tensor


class Model:
    """Parameters, optimizer state and both passes.

    Args:
        fields: F.
        table_rows: R.
        numbers: D.
        vectors: lengths of the vectors.
        bags: those fields that have several values, which are the last ones.
        size: the model's size, see ``rules.widths``.
        seed: initial weights; None: they are loaded before anything else is done.
        device: torch device.

    Attributes:
        compacts: whether a table's update visits each distinct row of a batch once. Otherwise every
            occurrence takes the same, whole step: more work, but of a shape that does not hang on values,
            for which a GPU would have to be waited for.
    """

    def __init__(
        self,
        *,
        fields: int,
        table_rows: int,
        numbers: int,
        vectors: Sequence[int] = (),
        bags: Sequence[Bag] = (),
        size: int,
        seed: int | None,
        device: str,
    ) -> None:
        self.fields, self.table_rows, self.numbers, self.size = fields, table_rows, numbers, size
        self.device = torch.device(device)
        self.bags, self.vectors = bags, vectors
        single = numbers - sum(vectors)
        # What is missing of a vector is missing as a whole: its first coordinate tells.
        starts = list(itertools.accumulate(vectors, initial=single))[:-1]
        self._indicators = torch.tensor([*range(single), *starts], device=self.device)
        self._pooling = Pooling(fields - len(bags), bags, self.device) if bags else None
        self.compacts = self.device.type == "cpu"
        self.widths = widths(size)
        self._shapes = self._dense_shapes()
        self.step = 0
        if seed is not None:
            self.load(self._fresh(seed))

    def _fresh(self, seed: int) -> dict[str, Tensor]:
        """Weights and optimizer state before any row was seen."""
        generator = torch.Generator().manual_seed(seed)
        table_rows, numbers, s = self.table_rows, self.numbers, self.widths.embedding
        bias, information = intercept.fresh()
        state = {
            "wide": torch.zeros(table_rows),
            "wide_sum": torch.full((table_rows,), INITIAL_ACCUMULATOR),
            "bias": bias,
            "bias_information": information,
            "embedding": torch.randn((table_rows, s), generator=generator) * EMBEDDING_SPREAD,
            "embedding_sum": torch.full((table_rows if s else 0,), INITIAL_ACCUMULATOR),
            # Mean and mean square of each transformed number, and the rows they come from.
            "number_stats": torch.zeros((2, numbers), dtype=torch.float64),
            "number_rows": torch.zeros((numbers,), dtype=torch.float64),
        }
        parts = [self._fresh_weights(name, generator) for name in self._shapes]
        state["dense"] = torch.cat([p.reshape(-1) for p in parts]) if parts else torch.zeros(0)
        state["adam_mean"] = torch.zeros_like(state["dense"])
        state["adam_square"] = torch.zeros_like(state["dense"])
        return {**state, "step": torch.zeros(1, dtype=torch.int64)}

    def _fresh_weights(self, name: str, generator: torch.Generator) -> Tensor:
        shape = self._shapes[name]
        if len(shape) == 1:
            return torch.zeros(shape)
        weights, fan_in = torch.randn(shape, generator=generator), shape[0]
        if name in _READ_INPUTS and self.fields:
            # Else numbers, and vectors even more, drown the embeddings until these have grown.
            fan_in = self.fields * self.widths.embedding
            weights[fan_in:] *= EMBEDDING_SPREAD
        return weights / math.sqrt(fan_in)

    def copy(self) -> Model:
        """A model that is equal and shares nothing."""
        twin = Model(
            fields=self.fields,
            table_rows=self.table_rows,
            numbers=self.numbers,
            vectors=self.vectors,
            bags=self.bags,
            size=self.size,
            seed=None,
            device=str(self.device),
        )
        twin.load({name: tensor.clone() for name, tensor in self.tensors().items()})
        return twin

    @property
    def number_inputs(self) -> int:
        """E."""
        return self.numbers + len(self._indicators)

    def _dense_shapes(self) -> dict[str, tuple[int, ...]]:
        """Dense parameters by name; matrices are [in, out]; vectors start at zero."""
        e = self.number_inputs
        shapes: dict[str, tuple[int, ...]] = {"linear": (e,)} if e else {}
        if self.widths.embedding:
            d = self.fields * self.widths.embedding + e
            r, (h1, h2) = self.widths.low_rank, self.widths.hidden
            shapes |= {
                "V": (d, r),
                "U": (r, d),
                "b": (d,),
                "A1": (d, h1),
                "a1": (h1,),
                "A2": (h1, h2),
                "a2": (h2,),
            }
            shapes |= {"o": (h2, 1), "c": (d,)}
        return shapes

    def views(self, flat: Tensor) -> dict[str, Tensor]:
        """Dense parameters, or their moments, by name, as views of a flat vector."""
        views, start = {}, 0
        for name, shape in self._shapes.items():
            count = math.prod(shape)
            views[name] = flat[start : start + count].view(shape)
            start += count
        return views

    def tensors(self) -> dict[str, Tensor]:
        """Weights and optimizer state by name, on the CPU; what a checkpoint holds."""
        names = (
            "wide", "wide_sum", "bias", "bias_information", "embedding", "embedding_sum",
            "number_stats", "number_rows", "dense", "adam_mean", "adam_square",
        )  # fmt: skip
        tensors = {name: getattr(self, name).cpu().contiguous() for name in names}
        return {**tensors, "step": torch.tensor([self.step])}

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take weights and optimizer state; the shapes must be this model's."""
        own = {name: tensor.to(self.device) for name, tensor in tensors.items() if name != "step"}
        if "bias_sum" in own:  # a checkpoint from when Adagrad moved one intercept
            own["bias"], own["bias_information"] = (t.to(self.device) for t in intercept.adopt(own["bias"]))
        self.wide, self.wide_sum = own["wide"], own["wide_sum"]
        self.bias, self.bias_information = own["bias"], own["bias_information"]
        self.embedding, self.embedding_sum = own["embedding"], own["embedding_sum"]
        self.number_stats, self.number_rows = own["number_stats"], own["number_rows"]
        self.dense, self.adam_mean, self.adam_square = own["dense"], own["adam_mean"], own["adam_square"]
        self.step = int(tensors["step"].item())
        self.gradient = torch.zeros_like(self.dense)
        self.p, self.g = self.views(self.dense), self.views(self.gradient)
        self._bias_gradient: Tensor | None = None
        self._constants = intercept.constants(self.device)
        self._marker = torch.zeros(self.table_rows, dtype=torch.int64, device=self.device)
        self._order = torch.arange(0, device=self.device)
        s = self.widths.embedding
        # A product with it is the mean over an embedding, in half the time of a sum over such short rows.
        self._mean_s = torch.full((s,), 1.0 / max(s, 1), device=self.device)
        self._graphed: Graphed[Measured] | None = None

    def start_at(self, rows: float, positives: float) -> None:
        """Set a fresh model's intercepts to the log-odds of its first rows: a rare label is no news."""
        share = (positives + 0.5) / (rows + 1.0)
        self.bias.fill_(math.log(share / (1.0 - share)))
        self.bias_information.fill_(rows * share * (1.0 - share))

    # ------------------------------------------------------------------ numbers

    def observe_numbers(self, values_BD: Tensor) -> None:
        """Add rows to the running mean and variance by which numbers are standardised; NaN is missing."""
        if not self.numbers or not len(values_BD):
            return
        values = values_BD.to(torch.float64)
        known = ~torch.isnan(values)
        count = known.sum(0).to(torch.float64)
        total = self.number_rows + count
        filled = torch.where(known, values, 0.0)
        share = 1.0 / total.clamp(min=1.0)
        self.number_stats[0] += (filled.sum(0) - count * self.number_stats[0]) * share
        self.number_stats[1] += (filled.square().sum(0) - count * self.number_stats[1]) * share
        self.number_rows.copy_(total)

    def _inputs(self, values_BD: Tensor) -> Tensor:
        """Standardised numbers and missing indicators, [B, E]; a missing number is the mean."""
        mean = self.number_stats[0]
        spread = (self.number_stats[1] - mean.square()).clamp(min=0.0).sqrt()
        missing = torch.isnan(values_BD)
        scaled = (values_BD - mean) / torch.where(spread > 1e-6, spread, 1.0)
        known = torch.where(missing, 0.0, scaled).clamp(-8.0, 8.0)
        if self.vectors:
            missing = missing.index_select(1, self._indicators)
        return torch.cat([known, missing], 1).to(torch.float32)

    # ------------------------------------------------------------------ passes

    def forward(self, indices_BS: Tensor, values_BD: Tensor) -> Forward:
        """Logits of rows, with what the backward pass needs."""
        rows, flat, weight = len(indices_BS), indices_BS.reshape(-1), None
        wide = self.wide.index_select(0, flat).view(indices_BS.shape)
        if self._pooling is not None:
            weight = self._pooling.weights(indices_BS)
            wide.mul_(weight)
        logit = wide.sum(1).add_(self.bias[intercept.TRAINING])
        numbers = self._inputs(values_BD) if self.numbers else values_BD
        out = Forward(flat, numbers, logit, weight)
        if self.numbers:
            logit.addmv_(numbers, self.p["linear"])
        if not self.widths.embedding:
            return out
        p = self.p
        x0 = torch.embedding(self.embedding, flat)
        if self._pooling is not None and weight is not None:
            x0 = self._pooling.pool(x0.view(*indices_BS.shape, self.widths.embedding), weight)
        x0 = x0.view(rows, self.fields * self.widths.embedding)
        if self.numbers:
            x0 = torch.cat([x0, numbers], 1)
        q = x0 @ p["V"]
        z = torch.addmm(p["b"], q, p["U"])
        x1 = torch.addcmul(x0, x0, z)
        h1 = torch.addmm(p["a1"], x1, p["A1"]).relu_()
        h2 = torch.addmm(p["a2"], h1, p["A2"]).relu_()
        logit.addmv_(h2, p["o"].squeeze(1)).addmv_(x1, p["c"])
        out.x0_Bd, out.q_Br, out.z_Bd, out.x1_Bd, out.h1_BH, out.h2_BG = x0, q, z, x1, h1, h2
        return out

    def logits(self, indices_BS: Tensor, values_BD: Tensor, *, finished: bool) -> Tensor:
        """Logits of rows, without the sampling offset: log-odds on the unsampled stream.

        ``finished`` says whether the model is scored as it would serve, or in the midst of its training.
        """
        logit = self.forward(indices_BS, values_BD).logit_B
        return (
            logit.add_(self.bias[intercept.FINISHED] - self.bias[intercept.TRAINING]) if finished else logit
        )

    def dense_gradient(self, seen: Forward, g_B: Tensor) -> Tensor | None:
        """Fill ``gradient`` from d loss / d logit; return d loss / d embedding [N, s].

        The hidden units in ``seen`` are used up.
        """
        g = self.g
        if self.numbers:
            torch.mv(seen.numbers_BE.t(), g_B, out=g["linear"])
        if seen.x1_Bd is None:
            return None
        p, x0, q, z, x1, h1, h2 = self.p, seen.x0_Bd, seen.q_Br, seen.z_Bd, seen.x1_Bd, seen.h1_BH, seen.h2_BG
        assert x0 is not None and q is not None and z is not None and h1 is not None and h2 is not None  # noqa: PT018
        g_B1 = g_B.unsqueeze(1)
        torch.mv(h2.t(), g_B, out=g["o"].squeeze(1))
        d2 = (g_B1 * p["o"].t()).mul_(h2.sign_())
        torch.mm(h1.t(), d2, out=g["A2"])
        torch.sum(d2, 0, out=g["a2"])
        d1 = (d2 @ p["A2"].t()).mul_(h1.sign_())
        torch.mm(x1.t(), d1, out=g["A1"])
        torch.sum(d1, 0, out=g["a1"])
        torch.mv(x1.t(), g_B, out=g["c"])
        dx1 = torch.addmm(g_B1 * p["c"], d1, p["A1"].t())
        dz = dx1 * x0
        torch.mm(q.t(), dz, out=g["U"])
        torch.sum(dz, 0, out=g["b"])
        dq = dz @ p["U"].t()
        torch.mm(x0.t(), dq, out=g["V"])
        dx0 = torch.addmm(dx1.addcmul_(dx1, z), dq, p["V"].t())
        width = self.fields * self.widths.embedding
        fields = dx0[:, :width].reshape(len(g_B), self.fields, self.widths.embedding)
        if self._pooling is not None and seen.weight_BS is not None:
            fields = self._pooling.spread(fields, seen.weight_BS)
        return fields.reshape(-1, self.widths.embedding)

    def linear_gradient(self, seen: Forward, g_B: Tensor) -> Tensor:
        """d loss / d weight of the linear part, [N]."""
        g_B1, weight = g_B.unsqueeze(1), seen.weight_BS
        return (g_B1.expand(-1, self.fields) if weight is None else g_B1 * weight).reshape(-1)

    def train_step(self, batch: Batch, pace: Pace) -> float:
        """One step on a batch; returns the mean log loss before it, on the sampled rows.

        Nothing changes where the loss is not finite; the caller stops then. All batches of ``pace.batch``
        rows must come with the same pace.
        """
        if self.device.type == "cuda" and len(batch) == pace.batch:
            return self._graphed_step(batch, pace)
        measured = self._measure(batch)
        loss = float(measured.loss)
        if math.isfinite(loss):
            self.step += 1
            self._learn(batch, measured, pace.sparse, self._adam_numbers(pace.dense))
        return loss

    def _graphed_step(self, batch: Batch, pace: Pace) -> float:
        if self._graphed is None:
            self._graphed = Graphed(
                self._measure,
                lambda measured: measured.loss,
                lambda rows, measured, numbers: self._learn(rows, measured, pace.sparse, numbers.unbind()),
            )
        loss = self._graphed.measure(batch)
        if math.isfinite(loss):
            self.step += 1
            self._graphed.learn(self._adam_numbers(pace.dense))
        return loss

    def _measure(self, batch: Batch) -> Measured:
        seen = self.forward(batch.indices, batch.values)
        logit = seen.logit_B + batch.offset
        return Measured(seen, logit, torch.nn.functional.softplus(logit).sub_(logit * batch.label).mean())

    def _learn(
        self, batch: Batch, measured: Measured, sparse: float, adam: Sequence[float] | Sequence[Tensor]
    ) -> None:
        """Change all parameters and the optimizer's state, in place."""
        seen = measured.seen
        g_B = torch.sigmoid(measured.logit_B).sub_(batch.label)
        intercept.follow(
            self.bias,
            self.bias_information,
            self._constants,
            logit_B=seen.logit_B,
            weight_B=batch.weight,
            target_B=batch.target,
        )
        embedding = self.dense_gradient(seen, g_B)
        self._update_tables(seen.flat_N, self.linear_gradient(seen, g_B), embedding, sparse)
        self._bias_gradient = g_B.mean()
        if len(self.dense):
            self.gradient.mul_(1.0 / len(g_B))
            self._adam(*adam)

    def gradient_norm(self) -> float | None:
        """Euclidean norm of the newest batch's mean gradient by the bias and the dense part; None: no batch.

        The embeddings are left out: their gradients are never whole in memory.
        """
        if self._bias_gradient is None:
            return None
        return float(torch.cat([self.gradient, self._bias_gradient.reshape(1)]).norm())

    def _adam_numbers(self, rate: float) -> tuple[float, float]:
        """By which the root of the mean square gradient is multiplied, and what is added: Adam's denominator
        with the learning rate and the corrections of both moments' bias in it."""
        rate /= 1 - BETA1**self.step
        return 1.0 / (rate * math.sqrt(1 - BETA2**self.step)), EPSILON / rate

    def _adam(self, factor: float | Tensor, least: float | Tensor) -> None:
        self.adam_mean.lerp_(self.gradient, 1 - BETA1)
        self.adam_square.mul_(BETA2).addcmul_(self.gradient, self.gradient, value=1 - BETA2)
        self.dense.addcdiv_(self.adam_mean, self.adam_square.sqrt().mul_(factor).add_(least), value=-1.0)

    def _count(self, count: int) -> Tensor:
        """0 to ``count`` - 1; kept from step to step."""
        if len(self._order) < count:
            self._order = torch.arange(count, device=self.device)
        return self._order[:count]

    def _update_tables(
        self, flat_N: Tensor, wide_N: Tensor, embedding_Ns: Tensor | None, rate: float
    ) -> None:
        """Row-wise Adagrad (Duchi et al. 2011; one accumulator a row) on gradients summed over the batch.

        The linear part has accumulators of its own: its gradients are far larger than an embedding's
        and would hold the embeddings still.
        """
        order = self._count(len(flat_N))
        # The last occurrence of each row stands for it: distinct rows without sorting.
        self._marker.scatter_(0, flat_N, order)
        representative = self._marker.index_select(0, flat_N)
        if self.compacts:
            rows_U = flat_N.masked_select(representative == order)
            self._marker.scatter_(0, rows_U, order[: len(rows_U)])
            local_N = self._marker.index_select(0, flat_N)
        else:
            rows_U, local_N = flat_N, representative

        def summed(gradient_N: Tensor) -> Tensor:
            total = gradient_N.new_zeros((len(rows_U), *gradient_N.shape[1:])).index_add_(
                0, local_N, gradient_N
            )
            return total if self.compacts else total.index_select(0, local_N)

        wide = summed(wide_N)
        total = self.wide_sum.index_select(0, rows_U).addcmul_(wide, wide)
        self.wide_sum.index_copy_(0, rows_U, total)
        weight = self.wide.index_select(0, rows_U).addcmul_(wide, total.rsqrt(), value=-rate)
        self.wide.index_copy_(0, rows_U, weight)
        if embedding_Ns is None:
            return
        moved = summed(embedding_Ns)
        total = self.embedding_sum.index_select(0, rows_U).addmv_(moved.square(), self._mean_s)
        self.embedding_sum.index_copy_(0, rows_U, total)
        moved.mul_(total.rsqrt_().mul_(-rate).unsqueeze(1))
        self.embedding.index_copy_(0, rows_U, self.embedding.index_select(0, rows_U).add_(moved))
