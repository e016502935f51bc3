"""The model's intercepts: how fast they follow the stream, the same for every sample, batch and size.

An intercept that an optimizer moves follows a stream's changing base rate by steps, and a plan that keeps
fewer rows takes fewer steps: its predictions then sum up to more or less than those of full data, although
it has learned the rest as well. So the intercepts have a rule of their own, recursive Newton steps with
exponential forgetting (Haykin, Adaptive Filter Theory, 1986, recursive least squares):

    S <- S exp(-H / (a M)) + H,    b <- b - G / max(S / a, H)

with G = sum(p - y) and H = sum p (1 - p) over the *stream's* rows that a batch stands for, estimated from
the rows that were kept (``sampling.Kept``). M, the memory, is counted in H as well: then the standard error
of a followed intercept is 1/sqrt(2 M) and costs a log loss of p (1 - p) / (4 M) a row, which is about the
same small share on any stream. In rows, M is as many as it takes to see that many events.

At first S is all that was seen, and the step that of an average whose last 1/a weighs most (polynomial
decay, Shamir and Zhang 2013); later it is the one whose memory is M.

There are two. One, of short memory, belongs to training: it takes the moving level off the other weights
and scores rows that are trained on next. The other, of long memory, belongs to the finished model, which
serves an interval unchanged: the level of its last hours is a poor forecast of that. It must
not remember how the model was before it had learned, so a is 4.
"""

# ruff: noqa: N803, N806 - a tensor's name carries its shape
from __future__ import annotations

import torch
from torch import Tensor

MEMORIES = (3_000.0, 30_000.0)
"""M while training, and of the finished model: a sum of p (1 - p) over rows of the stream."""
SHARPNESS = (1.0, 4.0)
"""a of each; where it is 1, all rows of a young model count alike."""
TRAINING, FINISHED = 0, 1
"""Positions of the two intercepts."""
FARTHEST = 1.0
"""Most that a step may move an intercept: where a probability changes by more than a factor e, Newton's
step from the old one says little, and can go past the goal by orders of magnitude."""
PRIOR = 1.0
"""Information of an intercept of 0 before any row was seen."""


def fresh() -> tuple[Tensor, Tensor]:
    """Both intercepts, float32 (2,), and S of each, float64 (2,), before any row was seen."""
    return torch.zeros(2), torch.full((2,), PRIOR, dtype=torch.float64)


def constants(device: torch.device) -> tuple[Tensor, Tensor]:
    """a M and a of each intercept, float32 (2,)."""
    sharpness = torch.tensor(SHARPNESS, device=device)
    return sharpness * torch.tensor(MEMORIES, device=device), sharpness


def adopt(bias: Tensor) -> tuple[Tensor, Tensor]:
    """Both intercepts and their S from the single one, (1,), of a model trained before there were two."""
    return bias.repeat(2), torch.tensor(SHARPNESS, dtype=torch.float64) * torch.tensor(MEMORIES)


def follow(
    bias_2: Tensor,
    information_2: Tensor,
    constants: tuple[Tensor, Tensor],
    *,
    logit_B: Tensor,
    weight_B: Tensor,
    target_B: Tensor,
) -> None:
    """Move both intercepts by one batch, in place.

    Args:
        bias_2: the intercepts.
        information_2: S of each.
        constants: a M and a of each.
        logit_B: log-odds on the unsampled stream, with the intercept of training.
        weight_B: rows of the stream that each row stands for.
        target_B: positives of the stream that each row stands for.
    """
    reach_2, sharpness_2 = constants
    p_2B = torch.sigmoid(logit_B + (bias_2 - bias_2[TRAINING]).unsqueeze(1))
    predicted_2 = p_2B.mv(weight_B)
    fresh_2 = predicted_2 - p_2B.square_().mv(weight_B)
    information_2.mul_((fresh_2 / reach_2).neg_().exp_()).add_(fresh_2)
    curvature_2 = torch.maximum(information_2 / sharpness_2, fresh_2)
    bias_2.sub_(((predicted_2 - target_B.sum()) / curvature_2).clamp_(-FARTHEST, FARTHEST))
