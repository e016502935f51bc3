"""The quality surface: loss as a function of model size and training examples.

Why: at a fixed compute, quality has an optimum between a larger model and more data, and the surface says
where. ``L(N, D) = E + A N^-alpha + B D^-beta`` (Hoffmann et al., "Training Compute-Optimal Large Language
Models", arXiv 2203.15556, section 3.3, approach 3), fitted by variable projection: for given exponents the
rest is a non-negative least-squares problem with a closed form. The solver is ``projection``. A parameter
that the runs do not determine is reported as such, never silently. Costs come from ``costs``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtri, stdtrit

from dataefficient.planner.costs import CostPerExample
from dataefficient.planner.curves import COVERAGE, TYPICAL_NOISE, Forecast
from dataefficient.planner.families import Array
from dataefficient.planner.projection import Bounds, Design, Solution, project

PARAMETERS = ("E", "A", "B", "alpha", "beta")
TYPICAL = {"alpha": 0.34, "beta": 0.28}
"""Exponents assumed where the runs cannot tell (Hoffmann et al., equation 10)."""
_TYPICAL_SPREAD = 0.6
"""Standard deviation of the logarithm of an assumed exponent, over the bootstrap."""
EXPONENTS = (0.02, 3.0)
"""Range of the exponents."""
PARAMETER_COVERAGE = 0.95
_FEWEST = 3
_FEWEST_SPARE = 4
_REACH = 30.0
"""How far beyond the measured sizes an optimum is looked for (a factor)."""
_HUBER = 1.345
"""Robust standard deviations from which a residual counts linearly: 95 % efficiency on normal noise."""
_WIDE = 10.0
"""A parameter whose interval spans more than this factor is not identified."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of the surface with its 95 % bootstrap interval (both ends equal without bootstrap)."""

    value: float
    low: float
    high: float
    not_identified: str | None
    """Why the runs do not determine it, in words; None where they do."""
    assumed: bool = False
    """The value is not from the runs at all: a typical exponent, or a term left out."""


@dataclass(frozen=True)
class Split:
    """The best use of a compute budget."""

    size: float
    examples: float
    loss: Forecast
    """Expected loss there, interval of 80 %."""
    size_low: float
    size_high: float
    """Interval of 80 % of the best size."""
    compute: float
    note: str | None
    """What limits trust in it (beyond the measured sizes or data, at the edge); None where nothing does."""


@dataclass(frozen=True, eq=False)
class SurfaceFit:
    """A fitted surface and its bootstrap."""

    parameters: Mapping[str, Parameter]
    """By the names of :data:`PARAMETERS`."""
    samples: Array
    """Bootstrap values in that order, shape (bootstraps, 5); one row, the fit, without bootstrap."""
    points: int
    error: float
    """Robust relative standard deviation of the residuals."""
    sizes: tuple[float, float]
    """Smallest and largest measured size."""
    examples: tuple[float, float]
    """Smallest and largest measured number of examples."""

    @property
    def best(self) -> Array:
        """The fitted values in the order of :data:`PARAMETERS`, shape (5,)."""
        return np.array([self.parameters[name].value for name in PARAMETERS])

    def predict(self, size: float, examples: float, *, coverage: float = COVERAGE) -> Forecast:
        """Expected loss of a model of ``size`` after ``examples`` examples, with a bootstrap interval.

        Raises:
            ValueError: an argument is not positive.
        """
        if not (size > 0 and examples > 0):
            raise ValueError(f"size and examples must be positive, not {size} and {examples}")
        n, d = np.array([size]), np.array([examples])
        centre = float(_loss(self.best[None, :], n, d)[0, 0])
        return _forecast(centre, _loss(self.samples, n, d)[:, 0], coverage)

    def best_split(
        self, compute: float, cost: CostPerExample, *, sizes: Sequence[float] | None = None
    ) -> Split:
        """Size and examples of least expected loss for a compute budget (IsoFLOP, or iso-cost if measured).

        Args:
            compute: what may be spent, in the unit of ``cost``.
            cost: cost of one example by size.
            sizes: sizes to choose from; any size within 30 times the measured range where None.

        Raises:
            ValueError: the budget or a size is not positive, the cost is zero, or the runs do not show how
                size and data trade (then only listed, measured sizes can be compared).
        """
        if not compute > 0 or not math.isfinite(compute):
            raise ValueError(f"the compute budget must be positive and finite, not {compute}")
        if sizes is None:
            self._check_trade()
            grid = np.geomspace(self.sizes[0] / _REACH, self.sizes[1] * _REACH, 600)
        else:
            grid = np.array(sorted(set(sizes)), float)
            if grid.size == 0 or grid.min() <= 0:
                raise ValueError("the list of sizes must hold at least one positive size")
        per_example = cost.fixed + cost.per_size * grid
        if per_example.min() <= 0:
            raise ValueError("the cost of one example is zero, so any number of examples would be affordable")
        examples = compute / per_example
        losses = _loss(self.samples, grid, examples)
        chosen = int(_loss(self.best[None, :], grid, examples)[0].argmin())
        centre = float(_loss(self.best[None, :], grid[[chosen]], examples[[chosen]])[0, 0])
        low, high = np.quantile(grid[losses.argmin(axis=1)], [0.1, 0.9], method="nearest")
        size, data = float(grid[chosen]), float(examples[chosen])
        edge = sizes is None and chosen in (0, grid.size - 1)
        return Split(
            size,
            data,
            _forecast(centre, losses[:, chosen], COVERAGE),
            min(float(low), size),
            max(float(high), size),
            compute,
            self._limits(size, data, edge=edge),
        )

    def _check_trade(self) -> None:
        for name, what in (("A", "size"), ("B", "examples")):
            if self.parameters[name].value <= 0:
                raise ValueError(f"the runs show no effect of {what}, so there is no best size to find")

    def _limits(self, size: float, examples: float, *, edge: bool) -> str | None:
        if edge:
            return (
                f"the loss still falls at the edge of the sizes considered ({_REACH:g} times those measured)"
            )
        notes = []
        if not self.sizes[0] * 0.999 <= size <= self.sizes[1] * 1.001:
            notes.append("the size lies outside the measured ones")
        if not self.examples[0] * 0.999 <= examples <= self.examples[1] * 1.001:
            notes.append("the examples lie outside the measured ones")
        return "extrapolated: " + " and ".join(notes) if notes else None


def _loss(parameters: Array, sizes: Array, examples: Array) -> Array:
    """Loss of each parameter row (rows, 5) at each pair of size and examples (pairs,): (rows, pairs)."""
    e, a, b, alpha, beta = (parameters[:, i, None] for i in range(5))
    out: Array = e + a * np.exp(-alpha * np.log(sizes)) + b * np.exp(-beta * np.log(examples))
    return out


def _forecast(centre: float, values: Array, coverage: float) -> Forecast:
    low, high = np.quantile(values, [(1 - coverage) / 2, (1 + coverage) / 2])
    return Forecast(centre, min(float(low), centre), max(float(high), centre))


def _checked(sizes: object, examples: object, losses: object) -> tuple[Array, Array, Array]:
    n, d, y = (np.atleast_1d(np.asarray(v, float)) for v in (sizes, examples, losses))
    if n.ndim != 1 or n.shape != d.shape or n.shape != y.shape:
        raise ValueError("sizes, examples and losses must be sequences of one length")
    if n.size < _FEWEST:
        raise ValueError(f"a surface needs at least {_FEWEST} runs, found {n.size}")
    for name, values in (("size", n), ("examples", d), ("loss", y)):
        if not np.isfinite(values).all() or values.min() < 1e-100 or values.max() > 1e100:
            raise ValueError(f"every {name} must be a positive number from 1e-100 to 1e100")
    return n, d, y


def _determined(n: Array, d: Array) -> tuple[Bounds, Mapping[str, str]]:
    """What can be fitted at all from where the runs lie, and the parameters that cannot, with the reason."""
    levels = {"alpha": np.unique(n).size, "beta": np.unique(d).size}
    words = {"alpha": ("A", "size"), "beta": ("B", "number of examples")}
    missing: dict[str, str] = {}
    ranges = {"alpha": EXPONENTS, "beta": EXPONENTS}
    spare = n.size - 1 - sum(min(count - 1, 2) for count in levels.values())
    for exponent in sorted(levels, key=lambda name: levels[name]):
        factor, word = words[exponent]
        fixed = (TYPICAL[exponent], TYPICAL[exponent])
        if levels[exponent] == 1:
            missing[exponent] = missing[factor] = f"only one {word} was run"
            missing["E"] = f"only one {word} was run, so its share is part of E"
            ranges[exponent] = fixed
        elif levels[exponent] == 2:
            missing[exponent] = f"only two values of {word} were run; {TYPICAL[exponent]} is assumed"
            ranges[exponent] = fixed
        elif spare < 1:
            missing[exponent] = f"too few runs ({n.size}); {TYPICAL[exponent]} is assumed"
            ranges[exponent] = fixed
            spare += 1
    for exponent in missing.keys() & levels.keys():
        missing.setdefault("E", f"it depends on the {exponent} that is assumed")
        missing.setdefault(words[exponent][0], f"it depends on the {exponent} that is assumed")
    bounds = Bounds(ranges["alpha"], ranges["beta"], levels["alpha"] > 1, levels["beta"] > 1)
    if levels["alpha"] > 1 and levels["beta"] > 1:
        correlation = abs(float(np.corrcoef(np.log(n), np.log(d))[0, 1]))
        if correlation > 0.98:
            reason = f"size and examples grow together in these runs (correlation {correlation:.3f})"
            missing |= {name: missing.get(name, reason) for name in ("A", "B", "alpha", "beta")}
    return bounds, missing


def fit_surface(
    sizes: object, examples: object, losses: object, *, bootstraps: int = 1000, seed: int
) -> SurfaceFit:
    """Fit the surface to runs.

    Residuals are relative (as differences of log loss in the source) under a Huber loss whose width follows
    their robust deviation; the sum, not the mean, is minimised. The bootstrap is a wild one: leverage-scaled
    residuals (HC3) with random signs, so that any design keeps all its runs.

    Args:
        sizes: model size of each run, positive.
        examples: training examples of each run, positive.
        losses: loss of each run, positive.
        bootstraps: refits for the intervals; 0 for none.
        seed: of the bootstrap.

    Raises:
        ValueError: fewer than three runs, different lengths, or a value that is not finite and positive.
    """
    n, d, y = _checked(sizes, examples, losses)
    bounds, missing = _determined(n, d)
    origin_n, origin_d = float(np.exp(np.log(n).mean())), float(np.exp(np.log(d).mean()))
    design = Design(np.log(n / origin_n), np.log(d / origin_d), y**-2.0, bounds)
    solution = project(design, y[None, :])
    for _ in range(4):
        fitted = _fitted(solution, design)
        relative = np.abs(y / fitted - 1.0)
        width = max(_HUBER * 1.4826 * float(np.median(relative)), 1e-12)
        weight = fitted**-2.0 * (width / np.maximum(relative, width))
        design = replace(design, weight=weight)
        solution = project(design, y[None, :], start=solution.exponents)
    refits = solution
    if bootstraps > 0:
        random = np.random.default_rng(seed)
        targets = _wild(y, solution, design, random, bootstraps)
        refits = project(design, targets, held=_assumed(bounds, bootstraps, random))
    samples = _in_units(refits, origin_n, origin_d)
    best = _in_units(solution, origin_n, origin_d)[0]
    parameters = {name: _parameter(name, best, samples, missing, bounds.assumed) for name in PARAMETERS}
    error = 1.4826 * float(np.median(np.abs(y / _fitted(solution, design) - 1.0)))
    ranges = [(float(v.min()), float(v.max())) for v in (n, d)]
    return SurfaceFit(parameters, samples, n.size, error, ranges[0], ranges[1])


def _assumed(bounds: Bounds, bootstraps: int, random: np.random.Generator) -> Array:
    """Exponents that each refit keeps, shape (bootstraps, 2): an assumed one varies, a fitted one is NaN."""
    held = np.full((bootstraps, 2), np.nan)
    for column, (low, high) in enumerate((bounds.alpha, bounds.beta)):
        if low == high:
            held[:, column] = np.clip(
                low * np.exp(_TYPICAL_SPREAD * random.standard_normal(bootstraps)), *EXPONENTS
            )
    return held


def _fitted(solution: Solution, design: Design) -> Array:
    """Losses of the first target's fit at the points, shape (points,)."""
    (e, a, b), (alpha, beta) = solution.linear[0], solution.exponents[0]
    out: Array = e + a * np.exp(-alpha * design.log_n) + b * np.exp(-beta * design.log_d)
    return out


def _in_units(solution: Solution, origin_n: float, origin_d: float) -> Array:
    """Parameters (rows, 5) for sizes and examples as given."""
    linear, exponents = solution.linear, solution.exponents
    a = linear[:, 1] * origin_n ** exponents[:, 0]
    b = linear[:, 2] * origin_d ** exponents[:, 1]
    return np.stack([linear[:, 0], a, b, exponents[:, 0], exponents[:, 1]], axis=1)


def _wild(
    y: Array, solution: Solution, design: Design, random: np.random.Generator, bootstraps: int
) -> Array:
    """Bootstrap targets, shape (bootstraps, points)."""
    fitted = _fitted(solution, design)
    (_, a, b), (alpha, beta) = solution.linear[0], solution.exponents[0]
    log_n, log_d, weight = design.log_n, design.log_d, design.weight
    u, v = np.exp(-alpha * log_n), np.exp(-beta * log_d)
    columns = np.stack([np.ones(y.shape), u, v, -a * log_n * u, -b * log_d * v], axis=1)
    columns = columns[:, np.abs(columns).max(axis=0) > 0] * np.sqrt(weight)[:, None]
    left = np.linalg.svd(columns / np.linalg.norm(columns, axis=0), full_matrices=False)
    kept = left.U[:, 1e-9 * left.S[0] < left.S]
    leverage = np.minimum((kept**2).sum(axis=1), 0.9)
    robust = weight * fitted**2
    # The refits hold the Huber weights fixed; the ratio restores the variance that this hides.
    hidden = float(robust.mean() / max(np.mean(robust > 0.999), 0.5))
    spare = y.size - kept.shape[1]
    residual = (y - fitted) / (1.0 - leverage) * hidden * _student(spare)
    signs = random.choice([-1.0, 1.0], (bootstraps, y.size))
    # A fit with few runs to spare leaves no residuals: one degree of freedom of typical noise is added.
    believed = TYPICAL_NOISE / math.sqrt(1.0 + spare)
    extra = fitted * believed * random.standard_normal((bootstraps, y.size))
    out: Array = np.maximum(fitted + residual * signs + extra, 1e-3 * fitted)
    return out


def _student(spare: int) -> float:
    """How much wider Student's interval is than the normal one with ``spare`` runs more than parameters.

    Quantiles of a bootstrap take the noise for known, so those of few runs are too narrow (Hesterberg, "What
    Teachers Should Know About the Bootstrap", The American Statistician 69, 2015). With fewer spare runs than
    four, the typical noise that is added decides.
    """
    tail = (1.0 + PARAMETER_COVERAGE) / 2
    return float(stdtrit(max(spare, _FEWEST_SPARE), tail) / ndtri(tail))


def _parameter(
    name: str, best: Array, samples: Array, missing: Mapping[str, str], assumed: frozenset[str]
) -> Parameter:
    index = PARAMETERS.index(name)
    value = float(best[index])
    tail = (1 - PARAMETER_COVERAGE) / 2
    low, high = (float(v) for v in np.quantile(samples[:, index], [tail, 1 - tail]))
    low, high = min(low, value), max(high, value)
    reason = missing.get(name)
    if reason is None and samples.shape[0] > 1:
        reason = _spread_reason(name, low, high, samples)
    return Parameter(value, low, high, reason, name in assumed)


def _spread_reason(name: str, low: float, high: float, samples: Array) -> str | None:
    """Why an interval says that the parameter is not determined; None where it is."""
    if name in TYPICAL:
        factor = PARAMETERS.index("A" if name == "alpha" else "B")
        if float(np.mean(samples[:, factor] <= 0)) > 0.025:
            return f"its term {PARAMETERS[factor]} may be zero"
        if low <= EXPONENTS[0] * 1.01 or high >= 0.99 * EXPONENTS[1]:
            bound = EXPONENTS[0] if low <= EXPONENTS[0] * 1.01 else EXPONENTS[1]
            return f"its interval reaches the bound of {bound:g}"
    if low <= 0:
        return "its interval reaches zero"
    # A and B are values at one unit of size or data, far from the runs: a wide interval there is no fault.
    if name not in {"A", "B"} and high / low > _WIDE:
        return f"its interval spans a factor of {high / low:.0f}"
    return None
