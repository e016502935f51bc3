"""Measure the fits on simulated truths: speed, recovery, coverage, convergence, extrapolation.

Prints Markdown tables. ``python hack/bench_fits.py [--quick]``; single-threaded figures need
``OMP_NUM_THREADS=1``. Truths are drawn by the stated rules, not from the priors of the fits.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from dataefficient.planner.convergence import converge
from dataefficient.planner.curves import fit_curve
from dataefficient.planner.rates import fit_rates
from dataefficient.planner.surface import PARAMETERS, fit_surface

Array = NDArray[np.float64]
LONGEST = 1e6


def table(heading: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a Markdown table."""
    print(f"\n### {heading}\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def draw_runs(
    random: np.random.Generator, sizes: int, amounts: int, noise: float
) -> tuple[Array, Array, Array, dict[str, float]]:
    """Runs on a full grid with a known surface; size and data terms are 5 to 50 % of E at the smallest."""
    n, d = (v.ravel() for v in np.meshgrid(np.geomspace(8e3, 5.12e5, sizes), np.geomspace(1e4, 1e7, amounts)))
    e, alpha, beta = random.uniform(0.2, 1.0), random.uniform(0.2, 0.8), random.uniform(0.2, 0.8)
    a, b = (random.uniform(0.05, 0.5) * e for _ in range(2))
    truth = {"E": e, "A": a * n.min() ** alpha, "B": b * d.min() ** beta, "alpha": alpha, "beta": beta}
    y = e + truth["A"] * n**-alpha + truth["B"] * d**-beta
    return n, d, y * np.exp(noise * random.standard_normal(n.size)), truth


def surface_speed() -> None:
    """Seconds of one fit of 250 points, without and with 1,000 bootstraps."""
    n, d, y, _ = draw_runs(np.random.default_rng(0), 10, 25, 1e-3)
    rows = []
    for bootstraps in (0, 1000):
        begin = time.perf_counter()
        fit_surface(n, d, y, bootstraps=bootstraps, seed=1)
        rows.append([str(bootstraps), f"{time.perf_counter() - begin:.2f} s"])
    table("Surface: one fit of 250 runs", ["bootstraps", "wall"], rows)


def surface_recovery(simulations: int) -> None:
    """Share of simulations whose 95 % intervals hold the truth."""
    rows = []
    for sizes, amounts, noise in ((10, 25, 1e-3), (6, 5, 1e-3), (5, 5, 1e-2), (3, 5, 1e-3), (4, 6, 3e-4)):
        hits, spread = np.zeros(5), np.zeros(2)
        for seed in range(simulations):
            random = np.random.default_rng(seed)
            n, d, y, truth = draw_runs(random, sizes, amounts, noise)
            fit = fit_surface(n, d, y, bootstraps=300, seed=seed)
            hits += [fit.parameters[k].low <= truth[k] <= fit.parameters[k].high for k in PARAMETERS]
            spread += [fit.parameters[k].not_identified is not None for k in ("alpha", "beta")]
        shares = [f"{100 * share:.0f} %" for share in hits / simulations]
        unknown = ", ".join(f"{100 * share:.0f} %" for share in spread / simulations)
        rows.append([f"{sizes} x {amounts}", f"{100 * noise:g} %", *shares, unknown])
    heading = f"Surface: share of {simulations} simulations whose 95 % interval holds the truth"
    table(heading, ["sizes x data", "noise", *PARAMETERS, "alpha, beta reported not identified"], rows)


def convergence_goals(simulations: int) -> None:
    """Stopping point from the first fifth of a power law, against the truth."""
    rows = []
    for points, noise, stated, tolerance in (
        (10, 1e-4, True, 1e-3),
        (10, 3e-4, True, 1e-3),
        (10, 1e-3, True, 1e-3),
        (6, 3e-4, True, 1e-3),
        (6, 1e-3, True, 1e-3),
        (10, 3e-4, False, 1e-3),
        (6, 3e-4, False, 1e-3),
        (10, 1e-3, True, 3e-3),
    ):
        lost, bought, held, forecast = [], [], [], []
        for seed in range(simulations):
            random = np.random.default_rng(seed)
            exponent, floor = random.uniform(0.2, 1.0), random.uniform(0.1, 0.6)
            drop = floor * np.exp(random.uniform(np.log(0.01), np.log(0.3)))
            n = np.geomspace(0.2 * LONGEST / 40, 0.2 * LONGEST, points)

            def truth(
                x: float | Array, e: float = floor, a: float = drop, b: float = exponent, o: float = n[0]
            ) -> Array:
                return np.asarray(e + a * (x / o) ** -b)

            se = noise * floor
            y = truth(n) + se * random.standard_normal(points)
            fit = fit_curve(n, y, np.full(points, se) if stated else None, seed=seed)
            found = converge(fit, tolerance_relative=tolerance, longest=LONGEST)
            end = float(truth(LONGEST))
            left = (LONGEST / n[0]) ** -exponent + tolerance * end / drop
            point = float(np.clip(n[0] * left ** (-1 / exponent), n[0], LONGEST))
            lost.append(float(truth(found.upper) - end) / end / tolerance)
            bought.append(found.upper / point)
            held.append(found.low * (1 - 1e-9) <= point <= found.high * (1 + 1e-9))
            ahead = fit.predict(LONGEST, with_noise=False)
            forecast.append(ahead.low <= end <= ahead.high)
        rows.append(
            [
                str(points),
                f"{100 * noise:g} %",
                "given" if stated else "unknown",
                f"{100 * tolerance:g} %",
                f"{np.median(lost):.2f} ({np.quantile(lost, 0.9):.2f})",
                f"{np.median(bought):.2f} ({np.quantile(bought, 0.9):.2f})",
                f"{100 * np.mean(held):.0f} %",
                f"{100 * np.mean(forecast):.0f} %",
            ]
        )
    table(
        f"Convergence from the first 20 % of {simulations} power laws (exponent 0.2 to 1, drop 1 to 30 %)",
        [
            "points",
            "noise",
            "se",
            "tolerance",
            "loses / tolerance: median (90 %)",
            "buys / true: median (90 %)",
            "80 % interval of the point holds",
            "80 % interval of the end holds",
        ],
        rows,
    )


def rate_coverage(simulations: int) -> None:
    """Share of simulations whose 80 % interval holds the gap inside and beyond the measured rates."""
    rows = []
    for points, error in ((2, 3e-4), (3, 1e-4), (3, 3e-4), (6, 2e-4)):
        inside: list[bool] = []
        beyond: list[bool] = []
        for seed in range(simulations):
            random = np.random.default_rng(seed)
            rates, b, c = np.geomspace(0.1, 0.7, points), random.uniform(0.2, 1.5), random.uniform(1e-4, 2e-3)
            gaps = c * (rates**-b - 1) + error * random.standard_normal(points)
            fit = fit_rates(rates, gaps, np.full(points, error), seed=seed)
            for rate, hits in ((0.25, inside), (0.05, beyond)):
                forecast = fit.predict(rate)
                hits.append(forecast.low <= c * (rate**-b - 1) <= forecast.high)
        rows.append(
            [
                str(points),
                f"{100 * error:g} %",
                f"{100 * np.mean(inside):.0f} %",
                f"{100 * np.mean(beyond):.0f} %",
            ]
        )
    table(
        f"Rate curve: share of {simulations} simulations whose 80 % interval holds the gap",
        ["rates", "se", "at 0.25", "at 0.05 (extrapolated)"],
        rows,
    )


def _shapes(random: np.random.Generator) -> dict[str, Callable[[Array], Array]]:
    floor, drop = random.uniform(0.1, 0.6), random.uniform(0.05, 0.6)
    b, scale = random.uniform(0.2, 1.2), 10 ** random.uniform(0, 2)
    return {
        "power law": lambda x: floor + drop * x**-b,
        "shifted power law": lambda x: floor + drop * ((x + scale) / (1 + scale)) ** -b,
        "mmf": lambda x: floor + drop / (1 + (x / scale) ** b),
        "stretched exponential": lambda x: floor + drop * np.exp(-((x / scale) ** (b / 2))),
        "two power laws": lambda x: floor + drop * (0.7 * x**-b + 0.3 * x ** (-b / 3)),
        "logarithmic then flat": lambda x: floor + drop * np.maximum(0.05, 1 - 0.12 * np.log(x)),
    }


def extrapolation(simulations: int) -> None:
    """LCDB's comparison: fit the first anchors, error at the last, average rank; on synthetic curves."""
    names = ["this fit", "mmf4", "pow4", "wbl4", "pow3", "last"]
    rows = []
    every: list[Array] = []
    for shape in _shapes(np.random.default_rng(0)):
        errors = []
        for seed in range(simulations):
            random = np.random.default_rng(seed)
            curve = _shapes(random)[shape]
            x = 2.0 ** np.arange(0, 10.5, 0.5)
            y = curve(x) * (1 + 2e-3 * random.standard_normal(x.size))
            known = int(random.integers(6, 15))
            fit = fit_curve(100 * x[:known], y[:known], None, seed=seed)
            single = {f.name: f.predict(100 * x[-1]) for f in fit.families}
            forecasts = [fit.predict(100 * x[-1]).mean, *(single[name] for name in names[1:])]
            errors.append(np.abs(np.array(forecasts) - float(curve(x[-1:])[0])))
        ranks = np.array([rankdata(e) for e in errors])
        every.append(ranks)
        rows.append([shape, *(f"{r:.2f}" for r in ranks.mean(axis=0))])
    rows.append(["**all**", *(f"**{r:.2f}**" for r in np.concatenate(every).mean(axis=0))])
    table(
        f"Extrapolation: average rank of the error at the last anchor ({simulations} curves each)",
        ["truth", *names],
        rows,
    )


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the simulations")
    simulations = 40 if parser.parse_args().quick else 400
    surface_speed()
    surface_recovery(simulations)
    convergence_goals(simulations)
    rate_coverage(simulations)
    extrapolation(simulations // 4)


if __name__ == "__main__":
    main()
