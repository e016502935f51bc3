"""What the figures say, in sentences that need no other page.

A sentence states a saving only where a control was measured, and calls a distance safe only where its
upper bound is.
"""

from __future__ import annotations

from collections.abc import Sequence

from dataefficient.report.statement import (
    Aim,
    Basis,
    Claim,
    Comparison,
    Converged,
    CycleRow,
    Difference,
    Surface,
)
from dataefficient.report.words import (
    compute,
    difference_interval,
    ending,
    fraction,
    money,
    number,
    rows,
    share,
    span,
)

METHOD = tuple(
    " ".join(text.split())
    for text in (
        """Compute is measured from launch to end of every run and includes the history, probes, trials,
        controls, evaluation and failed attempts. The control lineages of --control, and the runs that chose
        the right size, are charged to neither side.""",
        """Quality compares the model that served a cycle with the control's model of the same moment, both
        frozen, on the same unsampled rows; the standard error comes from time blocks. The noise between
        seeds is not in it: one lineage of each kind was trained.""",
        """Intervals of savings come from the spread of seconds per row between runs of one kind on this
        machine; they cover 95 %. Forecasts and curves carry 80 %.""",
    )
)


def headline(aim: Aim, cycles: Sequence[CycleRow], comparisons: Sequence[Comparison], spent: float) -> str:
    """The one sentence for whoever pays."""
    largest = comparisons[0]
    if not cycles:
        return "No cycle has finished yet, so there is nothing to state."
    if largest.whole is None:
        cost = compute(spent) + (f" ({money(spent / 3600 * aim.price, aim.currency)})" if aim.price else "")
        return (
            f"{ending(len(cycles), 'cycle')} took {cost} of compute in all; "
            "no saving is stated, because no control was run to compare with."
        )
    saved = largest.whole.compute.value
    size = f"{share(abs(saved))} {'less' if saved >= 0 else 'more'} compute"
    return f"{size} than training the largest model on everything, {_quality(aim, largest.kpi)}."


def _quality(aim: Aim, kpi: Difference | None) -> str:
    if kpi is None:
        return "with the difference in quality not measured"
    name = metric(aim)
    tolerance = aim.tolerance
    low, high = kpi.value.low, kpi.value.high
    assert low is not None
    assert high is not None
    value = kpi.value.value
    percent = f"{number(abs(100.0 * value), 2)} % {'worse' if value > 0 else 'better'}"
    if tolerance is not None and high <= tolerance:
        if low <= 0.0 <= high:
            return f"with no measurable loss of quality ({name} {percent}, {fraction(tolerance)} allowed)"
        return f"with {name} {percent}, inside the {fraction(tolerance)} allowed"
    if tolerance is not None and low > tolerance:
        return f"but {name} is {percent}, outside the {fraction(tolerance)} allowed"
    if tolerance is not None:
        allowed = fraction(tolerance)
        return f"with {name} {percent}; that it stays inside the {allowed} allowed is not certain"
    return f"with {name} {percent}"


def metric(aim: Aim) -> str:
    """The KPI's name in words."""
    return aim.metric.replace("_", " ")


def detail(aim: Aim, comparisons: Sequence[Comparison]) -> str:
    """The second sentence: the steady state, and the control that makes the claim smaller."""
    largest, right = comparisons
    parts = []
    if largest.steady is not None:
        saved = largest.steady.compute.value
        word = "less" if saved >= 0 else "more"
        parts.append(f"In the steady state ({span(largest.steady.cycles)}) it is {share(abs(saved))} {word}.")
    if right.whole is not None and right.size == largest.size:
        parts.append("The largest size is also the right one, so both controls are the same.")
    elif right.whole is not None:
        saved = right.whole.compute.value
        word = "less" if saved >= 0 else "more"
        steady = ""
        if right.steady is not None:
            value = right.steady.compute.value
            steady = f", {share(abs(value))} {'less' if value >= 0 else 'more'} in the steady state"
        parts.append(
            f"Against a right-sized model on all rows it is {share(abs(saved))} {word} in all{steady}."
        )
    elif largest.whole is not None:
        parts.append(f"Against a right-sized model: {right.reason}.")
    if largest.whole is not None and largest.whole.money is not None and aim.price is not None:
        amount = money(abs(largest.whole.money.value), aim.currency)
        verb = "saved" if largest.whole.money.value >= 0 else "spent beyond it"
        price = money(aim.price, aim.currency)
        parts.append(f"That is {amount} {verb} at {price} per {aim.device} hour.")
    return " ".join(parts)


def claims(
    aim: Aim, comparisons: Sequence[Comparison], converged: Converged | None, surface: Surface | None
) -> tuple[Claim, ...]:
    """Each figure's standing."""
    found: list[Claim] = []
    for c in comparisons:
        if c.whole is None:
            found.append(Claim(f"Saving against {c.description}", Basis.NOT_MEASURED, c.reason))
            continue
        found.append(
            Claim(f"Compute against {c.description}", Basis.MEASURED, f"device-seconds of both, {c.reason}")
        )
        basis = Basis.NOT_MEASURED if c.kpi is None else Basis.MEASURED
        found.append(Claim(f"Quality against {c.description}", basis, c.kpi_reason))
        if c.steady is not None:
            how = f"that later cycles save as {span(c.steady.cycles)} did"
            found.append(Claim(f"Future saving against {c.description}", Basis.EXTRAPOLATED, how))
        if c.break_even is not None:
            found.append(
                Claim(f"Break-even against {c.description}", c.break_even.basis, c.break_even.reason)
            )
    if aim.price is None:
        found.append(Claim("Money", Basis.NOT_MEASURED, "the resource gives no price per device hour"))
    else:
        price = f"{money(aim.price, aim.currency)} per {aim.device} hour"
        found.append(Claim("Money", Basis.MEASURED, f"measured device time at the resource's price, {price}"))
    if converged is None:
        found.append(
            Claim("Data-convergence point", Basis.NOT_MEASURED, "no part of the history was trained on")
        )
    else:
        found.append(Claim("Data-convergence point", converged.basis, _convergence(converged)))
    found.append(
        Claim(
            "Distance to the reference, cycle by cycle",
            Basis.EXTRAPOLATED,
            "from trials and controls by the planner's model of how a gap builds up and is forgotten",
        )
    )
    if surface is not None:
        known = sum(cell.gap is not None for cell in surface.cells)
        how = f"{known} of {len(surface.cells)} plans; their costs come from the cost model"
        found.append(Claim("Quality by plan", Basis.MEASURED, how))
    return tuple(found)


def _convergence(converged: Converged) -> str:
    count = ending(len(converged.rungs), "cold start")
    largest = max((r.examples for r in converged.rungs), default=None)
    return f"a curve through {count} of up to {rows(largest)} rows"


def convergence(converged: Converged | None) -> str:
    """The convergence point as one sentence."""
    if converged is None:
        return "Data convergence: not measured."
    if converged.point is None:
        return f"Data convergence: {_uncapital(converged.reason)}."
    interval = ""
    if converged.low is not None and converged.high is not None:
        interval = f", 80 % interval {rows(converged.low)} to {rows(converged.high)}"
    return f"Data convergence: {rows(converged.point)} rows{interval}; {_uncapital(converged.reason)}."


def _uncapital(text: str) -> str:
    return (text[:1].lower() + text[1:]).rstrip(".")


def notes(aim: Aim, comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    """How the figures were made, for whoever doubts them."""
    found = list(METHOD)
    starts = [
        f"{share(c.whole.ours.startup / c.whole.ours.seconds)} of ours and "
        f"{share(c.whole.theirs.startup / c.whole.theirs.seconds)} of the control's compute"
        for c in comparisons[:1]
        if c.whole is not None and c.whole.ours.seconds > 0
    ]
    if starts:
        found.append(
            f"Start-up (launching, imports, opening the data) is {starts[0]}; it does not grow with the data."
        )
    if aim.price is None:
        found.append("The resource gives no price per device hour, so no money is stated.")
    return tuple(found)


def quality_sentence(kpi: Difference | None, reason: str) -> str:
    """A control's quality cell."""
    if kpi is None:
        return reason
    error = "" if kpi.standard_error is None else f", standard error {number(100 * kpi.standard_error, 2)} %"
    return f"{difference_interval(kpi.value)}{error}"
