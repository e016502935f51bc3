"""The result as one self-contained page: no script, nothing from any network. Its style is the report's."""

from __future__ import annotations

import jinja2
from markupsafe import Markup

from dataefficient.report.html import swatch
from streambench import plots, table
from streambench.goals import goals
from streambench.results import Result, StreamResult


def render(result: Result) -> str:
    """The page as HTML. Pure: the same result gives the same bytes."""
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [jinja2.PackageLoader("streambench"), jinja2.PackageLoader("dataefficient.report")]
        ),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    page: str = environment.get_template("benchmark.html.j2").render(
        r=result,
        goals=goals(result),
        columns=table.COLUMNS[1:],
        streams=[
            (stream, table.rows(stream), plots.figures(stream), _facts(stream)) for stream in result.streams
        ],
        legend=table.LEGEND,
        swatch=swatch,
        markup=Markup,
    )
    return page


def _facts(stream: StreamResult) -> list[tuple[str, str]]:
    """What was found on the stream besides the arms' figures."""
    facts: list[tuple[str, str]] = []
    if stream.rows is not None and stream.positives is not None:
        rows = f"{stream.rows:,} rows a cycle, {stream.positives:.2%} positive, {stream.cycles} cycles"
        facts.append(("Stream", rows))
    tuned = stream.tuning
    if tuned is not None:
        rates = ", ".join(f"size {size}: {rate:.3g}" for size, rate in tuned.rates.items())
        facts.append(("Learning rates, chosen on the history", f"{rates}; right size {tuned.right_size}"))
        if tuned.linear is not None:
            gap = f"{tuned.linear.gap:+.3%} log loss, standard error {tuned.linear.standard_error:.3%}"
            facts.append(("Largest size against a linear model", gap))
    oracle = stream.oracle
    if oracle is not None:
        facts.append(("Oracle", f"{oracle.point}, out of {oracle.points} plans"))
        if oracle.plan_ratio is not None:
            without = (
                ""
                if oracle.plan_ratio_working is None
                else f"; {oracle.plan_ratio_working:.2f} without start-up"
            )
            facts.append(
                ("Plan in force over the oracle's, without search", f"{oracle.plan_ratio:.2f}{without}")
            )
    facts += _of_operator(stream)
    return facts


def _of_operator(stream: StreamResult) -> list[tuple[str, str]]:
    operator = stream.operator
    if operator is None:
        return []
    grid = "" if operator.search_of_grid is None else f", {operator.search_of_grid:.0%} of the grid"
    made = operator.forecasts
    facts = [
        ("Search", f"{operator.search_seconds:.0f} s, {operator.search_of_control:.0%} of the control{grid}"),
        ("Forecasts of cost", _forecasts(made.cost_error, made.cost_inside, made.cost_count)),
        ("Forecasts of log loss", _forecasts(made.kpi_error, made.kpi_inside, made.kpi_count)),
    ]
    return facts + [
        (f"Plans, seed {seed}", "; ".join(_runs(plans))) for seed, plans in operator.plans.items()
    ]


def _forecasts(error: float | None, inside: int, count: int) -> str:
    if error is None:
        return "none was made"
    return f"off by {error:.1%} (median); {inside} of {count} inside their 80 % interval"


def _runs(plans: tuple[str, ...]) -> list[str]:
    """Consecutive cycles with one plan together."""
    found: list[tuple[int, int, str]] = []
    for cycle, plan in enumerate(plans):
        if found and found[-1][2] == plan:
            found[-1] = (found[-1][0], cycle, plan)
        else:
            found.append((cycle, cycle, plan))
    return [f"{a if a == b else f'{a}–{b}'}: {plan}" for a, b, plan in found]
