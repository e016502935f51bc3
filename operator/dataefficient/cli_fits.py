"""``detctl curve`` and ``detctl fit``: the planner's fits for people who already have measurements.

Why: a table of past runs answers "do we have enough data" and "larger model or more data" without
installing anything else. The commands read a CSV file, print a page or JSON, and change nothing. All
numbers come from ``planner``; this module only checks and lays out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from dataefficient.cli_tables import InputError, check_positive, read_columns
from dataefficient.planner.convergence import Convergence, converge
from dataefficient.planner.costs import SIX_N_D, CostPerExample, fit_cost_per_example
from dataefficient.planner.curves import CurveFit, Forecast, fit_curve
from dataefficient.planner.families import Array
from dataefficient.planner.surface import PARAMETERS, Split, SurfaceFit, fit_surface

_SEED = 20_240
"""Fixed, so that the same file always prints the same page."""
_FEWEST_CURVE = 3
_FEWEST_RUNS = 3
_AHEAD = (1.0, 2.0, 4.0, 10.0)
"""Multiples of the largest measured history that a curve is extrapolated to."""


def _count(value: float) -> str:
    return f"{value:,.0f}" if value < 1e15 else f"{value:.3g}"


def _loss(value: float) -> str:
    return f"{value:.5g}"


def _size(value: float) -> str:
    return _count(value) if value >= 1000 else f"{value:.4g}"


def _range(low: float, high: float, form: Callable[[float], str] = _loss) -> str:
    return form(low) if form(low) == form(high) else f"{form(low)} to {form(high)}"


def _table(*columns: tuple[str, bool]) -> Table:
    """A table with columns (heading, is a number)."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading, numeric in columns:
        table.add_column(heading, justify="right" if numeric else "left", overflow="fold")
    return table


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False)


def _forecast(forecast: Forecast) -> dict[str, float]:
    return {"mean": forecast.mean, "low": forecast.low, "high": forecast.high}


def _print_json(body: Mapping[str, Any]) -> None:
    click.echo(json.dumps(body, indent=2, allow_nan=False))


@click.command("curve")
@click.argument("file", metavar="CURVE.csv", type=click.Path(path_type=Path))
@click.option(
    "--tolerance",
    type=float,
    default=0.001,
    show_default=True,
    help="How much worse than with the longest history you would accept, as a fraction: 0.001 is 0.1 %.",
)
@click.option(
    "--longest",
    type=float,
    default=None,
    metavar="N",
    help="Examples in the longest history that you have, if the file stops earlier. "
    "The loss there is extrapolated. Default: the largest number in the file.",
)
@click.option(
    "--confidence",
    type=float,
    default=0.8,
    show_default=True,
    help="How sure to be that the tolerance holds at the point named, from 0.5 to below 1. "
    "A higher value names a later point.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")
def curve_command(
    file: Path, tolerance: float, longest: float | None, confidence: float, *, as_json: bool
) -> None:
    """Say how much training data is enough, from a learning curve.

    CURVE.csv is a table with a header line. Each row is one model that was trained from scratch and scored
    on the same held-out rows:

    \b
      examples  number of training examples (required)
      loss      held-out loss, lower is better (required)
      se        standard error of that loss (optional)

    Example:

    \b
      examples,loss,se
      100000,0.4712,0.0003
      300000,0.4655,0.0003
      1000000,0.4629,0.0003

    Several curve families are fitted together. Printed are their weights, the loss to expect with more data
    (80 % interval), and the convergence point: the smallest number of examples after which the loss stays
    within the tolerance of the longest history, or "not within this data".
    """
    if not 0 < tolerance < 1:
        raise InputError(
            f"--tolerance: {tolerance:g} is not allowed; give a fraction between 0 and 1 such as 0.001"
        )
    if not 0.5 <= confidence < 1:
        raise InputError(f"--confidence: {confidence:g} is not allowed; give a number from 0.5 to below 1")
    columns = read_columns(file, ("examples", "loss"), ("se",))
    check_positive(file, columns, ("examples",), _FEWEST_CURVE)
    examples = columns["examples"]
    if np.unique(examples).size < _FEWEST_CURVE:
        raise InputError(
            f"{file}: fewer than {_FEWEST_CURVE} different numbers of examples; measure more histories"
        )
    if longest is not None and not (math.isfinite(longest) and longest >= examples.max()):
        raise InputError(
            f"--longest: {longest:g} is not allowed; give at least the largest number of examples "
            f"in the file, {_count(examples.max())}"
        )
    fit = fit_curve(examples, columns["loss"], columns.get("se"), seed=_SEED)
    found = converge(fit, tolerance_relative=tolerance, confidence=confidence, longest=longest)
    ahead = sorted({*(float(examples.max()) * factor for factor in _AHEAD), found.longest})
    forecasts = {n: fit.predict(n) for n in ahead}
    if as_json:
        _print_json(_curve_json(fit, found, forecasts, tolerance, confidence))
    else:
        _print_curve(fit, found, forecasts)


def _curve_json(
    fit: CurveFit,
    found: Convergence,
    forecasts: Mapping[float, Forecast],
    tolerance: float,
    confidence: float,
) -> dict[str, Any]:
    return {
        "points": int(fit.examples.size),
        "families": [
            {
                "name": f.name,
                "formula": f.formula,
                "weight": f.weight,
                "E": f.floor,
                "amplitude": f.amplitude,
                "exponent": f.exponent if f.name != "last" else None,
                "second": f.second if f.name not in {"pow3", "last"} else None,
                "origin": f.origin,
                "residual": f.error,
            }
            for f in fit.families
        ],
        "forecasts": [{"examples": n, **_forecast(forecast)} for n, forecast in forecasts.items()],
        "convergence": {
            "tolerance": tolerance,
            "confidence": confidence,
            "longest": found.longest,
            "point": found.point,
            "low": found.low,
            "high": found.high,
            "need": found.need,
            "extrapolated": found.extrapolated,
            "reason": found.reason,
        },
    }


def _print_curve(fit: CurveFit, found: Convergence, forecasts: Mapping[float, Forecast]) -> None:
    console = Console(highlight=False)
    first, last = fit.examples[0], fit.examples[-1]
    _say(console, f"{fit.examples.size} points, {_range(first, last, _count)} examples.\n")
    mark = " (extrapolated)" if found.extrapolated and found.point is not None else ""
    _say(console, f"Convergence point{mark}: {found.reason}.")
    if found.point is not None:
        _say(console, f"80 % interval of the true point: {_range(found.low, found.high, _count)} examples.")
    if found.need is not None:
        _say(console, f"To stay within the tolerance of unlimited data: {_count(found.need)} examples.")
    elif found.point is None:
        _say(console, "How much data would be enough cannot be told from these points.")
    _say(console, "\nLoss to expect")
    table = _table(("examples", True), ("loss", True), ("80 % interval", True))
    for n, forecast in forecasts.items():
        table.add_row(_count(n), _loss(forecast.mean), _range(forecast.low, forecast.high))
    console.print(table)
    _say(console, "\nFamilies fitted (E: loss with unlimited data)")
    table = _table(
        ("family", False), ("curve", False), ("weight", True), ("E", True), ("b", True), ("residual", True)
    )
    for family in fit.families:
        exponent = "" if family.name == "last" else f"{family.exponent:.3f}"
        table.add_row(
            family.name,
            family.formula,
            f"{100 * family.weight:.0f} %",
            _loss(family.floor),
            exponent,
            f"{family.error:.2g}",
        )
    console.print(table)


@click.command("fit")
@click.argument("file", metavar="RUNS.csv", type=click.Path(path_type=Path))
@click.option(
    "--compute",
    type=float,
    default=None,
    metavar="C",
    help="A budget to spend on one training run: find the best size and number of examples for it. "
    "In the unit of the cost column; without one, in floating-point operations.",
)
@click.option(
    "--bootstrap",
    type=int,
    default=1000,
    show_default=True,
    help="Number of refits for the intervals; 0 for none.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")
def fit_command(file: Path, compute: float | None, bootstrap: int, *, as_json: bool) -> None:
    """Say whether a larger model or more data helps more, from past runs.

    RUNS.csv is a table with a header line. Each row is one finished training run; all are scored on the
    same held-out rows:

    \b
      size      size of the model, such as its parameters (required)
      examples  number of training examples (required)
      loss      held-out loss, lower is better (required)
      cost      what the run cost, in any one unit (optional)

    Fitted is L(N, D) = E + A N^-alpha + B D^-beta with 95 % bootstrap intervals. A parameter that the runs
    do not determine is marked. With --compute, the size N and the examples D of least loss within the
    budget are printed, among the sizes in the file and among all sizes. The cost of one example is fitted
    as a + b N where the file has a cost column; else 6*N*D operations are assumed, N counting parameters.
    """
    if compute is not None and not (math.isfinite(compute) and compute > 0):
        raise InputError(f"--compute: {compute:g} is not allowed; give a positive number")
    if not 0 <= bootstrap <= 100_000:
        raise InputError(f"--bootstrap: {bootstrap} is not allowed; give a whole number from 0 to 100000")
    columns = read_columns(file, ("size", "examples", "loss"), ("cost",))
    check_positive(file, columns, columns, _FEWEST_RUNS)
    sizes, examples = columns["size"], columns["examples"]
    fit = fit_surface(sizes, examples, columns["loss"], bootstraps=bootstrap, seed=_SEED)
    cost = fit_cost_per_example(sizes, examples, columns["cost"]) if "cost" in columns else SIX_N_D
    splits = _splits(fit, cost, compute, sizes)
    if as_json:
        _print_json(_fit_json(fit, cost, splits))
    else:
        _print_fit(fit, cost, compute, splits)


def _splits(
    fit: SurfaceFit, cost: CostPerExample, compute: float | None, sizes: Array
) -> dict[str, Split | str]:
    """Best split among the measured sizes and among all, or why there is none."""
    if compute is None:
        return {}
    out: dict[str, Split | str] = {}
    for name, allowed in (("measured", [float(v) for v in np.unique(sizes)]), ("any", None)):
        try:
            out[name] = fit.best_split(compute, cost, sizes=allowed)
        except ValueError as error:
            out[name] = str(error)
    return out


def _fit_json(fit: SurfaceFit, cost: CostPerExample, splits: Mapping[str, Split | str]) -> dict[str, Any]:
    return {
        "points": fit.points,
        "residual": fit.error,
        "parameters": {
            name: {
                "value": p.value,
                "low": p.low,
                "high": p.high,
                "notIdentified": p.not_identified,
                "assumed": p.assumed,
            }
            for name, p in fit.parameters.items()
        },
        "costPerExample": {
            "fixed": cost.fixed,
            "perSize": cost.per_size,
            "unit": cost.unit,
            "measured": cost.measured,
            "relativeError": cost.relative_error,
        },
        "best": {name: _split_json(split) for name, split in splits.items()},
    }


def _split_json(split: Split | str) -> dict[str, Any]:
    if isinstance(split, str):
        return {"none": split}
    return {
        "compute": split.compute,
        "size": split.size,
        "sizeLow": split.size_low,
        "sizeHigh": split.size_high,
        "examples": split.examples,
        "loss": _forecast(split.loss),
        "note": split.note,
    }


def _print_fit(
    fit: SurfaceFit, cost: CostPerExample, compute: float | None, splits: Mapping[str, Split | str]
) -> None:
    console = Console(highlight=False)
    residual = f"typical residual {100 * fit.error:.2g} % of the loss"
    _say(console, f"{fit.points} runs, {residual}.\n\nL(N, D) = E + A N^-alpha + B D^-beta")
    table = _table(("", False), ("value", True), ("95 % interval", True), ("", False))
    for name in PARAMETERS:
        p = fit.parameters[name]
        note = "" if p.not_identified is None else f"not identified: {p.not_identified}"
        interval = _range(p.low, p.high) if fit.samples.shape[0] > 1 and not p.assumed else ""
        table.add_row(name, "" if p.assumed else _loss(p.value), interval, note)
    console.print(table)
    kind = "fitted" if cost.measured else "assumed, 6*N*D"
    error = "" if cost.relative_error is None else f", typical error {100 * cost.relative_error:.2g} %"
    formula = (
        f"{cost.fixed:.4g} + {cost.per_size:.4g} N" if cost.per_size else f"{cost.fixed:.4g} at any size"
    )
    _say(console, f"\nCost of one example ({kind}{error}): {formula} {cost.unit}.")
    if compute is None:
        _say(console, "Give --compute to find the best size and number of examples for a budget.")
        return
    _say(console, f"\nBest use of {compute:.4g}")
    table = _table(
        ("among", False), ("size", True), ("80 % interval", True), ("examples", True), ("loss", True)
    )
    notes = []
    for name, split in splits.items():
        words = f"{name} sizes" if name == "measured" else "all sizes"
        if isinstance(split, str):
            notes.append(f"{words}: {split}.")
            continue
        interval = _range(split.size_low, split.size_high, _size)
        table.add_row(words, _size(split.size), interval, _count(split.examples), _loss(split.loss.mean))
        if split.note:
            notes.append(f"{words}: {split.note}.")
    if table.row_count:
        console.print(table)
    for note in notes:
        _say(console, note)
