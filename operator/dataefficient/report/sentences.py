"""What the figures say, in sentences that need no other page.

A sentence states a saving only where a control was measured, and calls a distance safe only where its
upper bound is.
"""

from __future__ import annotations

from collections.abc import Sequence

from dataefficient.report.past import Past
from dataefficient.report.statement import (
    Aim,
    Basis,
    Claim,
    Comparison,
    Converged,
    CycleRow,
    Difference,
    Distance,
    Estimate,
    Expected,
    Surface,
)
from dataefficient.report.words import (
    compute,
    ending,
    fraction,
    money,
    number,
    rows,
    share,
    span,
)

MUCH = 0.25
"""Part of the compute from which on start-up is told of in the head of the page."""
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


def headline(
    aim: Aim,
    cycles: Sequence[CycleRow],
    comparisons: Sequence[Comparison],
    spent: float,
    distance: Distance | None,
) -> str:
    """The one sentence for whoever pays."""
    largest = comparisons[0]
    if not cycles:
        return "No cycle has finished yet, so there is nothing to state."
    if largest.whole is None and largest.expected is not None:
        told = amount(largest.expected.compute)
        same = told.startswith("about")
        size = f"{_sentence(told)} compute as" if same else f"An estimated {told} compute than"
        return f"{size} training the largest model on everything would have taken, {_far(aim, distance)}."
    if largest.whole is None:
        cost = compute(spent) + (f" ({money(spent / 3600 * aim.price, aim.currency)})" if aim.price else "")
        return (
            f"{ending(cycles[-1].cycle + 1, 'cycle')} took {cost} of compute in all; "
            "no saving is stated, because no control was run to compare with."
        )
    size = f"{_sentence(amount(largest.whole.compute))} compute"
    link = "as" if size.startswith("About") else "than"
    return f"{size} {link} training the largest model on everything, {_quality(aim, largest.kpi)}."


def amount(saved: Estimate) -> str:
    """How much less or more, as far as timing can tell."""
    if saved.low is not None and saved.high is not None and saved.low <= 0.0 <= saved.high:
        return "about as much"
    return f"{share(abs(saved.value))} {'less' if saved.value >= 0 else 'more'}"


def _far(aim: Aim, distance: Distance | None) -> str:
    """The quality that goes with a saving that no control measured."""
    if distance is None:
        return "with the difference in quality not known"
    if distance.bound < 0.00005:
        return "with no loss of quality, since nothing was left out"
    value, bound = (number(100.0 * x, 2) for x in (distance.value, distance.bound))
    if aim.tolerance is None:
        return f"with {metric(aim)} about {value} % worse, at most {bound} %"
    allowed = f"{fraction(aim.tolerance)} allowed"
    if distance.bound <= aim.tolerance:
        return f"with {metric(aim)} at most {bound} % worse, inside the {allowed}"
    return f"with {metric(aim)} about {value} % worse; that it stays inside the {allowed} is not certain"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _quality(aim: Aim, kpi: Difference | None) -> str:
    if kpi is None:
        return "with the difference in quality not measured"
    name, tolerance, value = metric(aim), aim.tolerance, kpi.value.value
    low, high = kpi.value.low, kpi.value.high
    assert low is not None
    assert high is not None
    percent = f"{name} {number(abs(100.0 * value), 2)} % {'worse' if value > 0 else 'better'}"
    if abs(value) < 0.00005:
        percent = f"{name} the same to 0.01 %"
    if tolerance is None:
        return f"with {percent}"
    allowed = f"{fraction(tolerance)} allowed"
    if high <= tolerance and low <= 0.0 <= high:
        return f"with no measurable loss of quality ({percent}, {allowed})"
    if high <= tolerance:
        return f"with {percent}, inside the {allowed}"
    if low > tolerance:
        return f"but {percent}, outside the {allowed}"
    return f"with {percent}; that it stays inside the {allowed} is not certain"


def metric(aim: Aim) -> str:
    """The KPI's name in words."""
    return aim.metric.replace("_", " ")


def detail(aim: Aim, comparisons: Sequence[Comparison]) -> str:
    """The second sentence: the steady state, and the control that makes the claim smaller."""
    largest, right = comparisons
    parts = []
    if largest.expected is not None and right.expected is not None:
        parts.append(_unmeasured(aim, largest.expected, right.expected))
    if largest.steady is not None:
        steady = largest.steady
        parts.append(f"In the steady state ({span(steady.cycles)}) it is {amount(steady.compute)}.")
    parts += _start_up(largest)
    if right.whole is not None and right.size == largest.size:
        parts.append("The largest size is also the right one, so both controls are the same.")
    elif right.whole is not None:
        told = f"Against a right-sized model on all rows it is {amount(right.whole.compute)} in all"
        told += f", {amount(right.steady.compute)} in the steady state" if right.steady is not None else ""
        parts.append(f"{told}.")
    elif largest.whole is not None:
        parts.append(f"Against a right-sized model: {right.reason}.")
    if largest.whole is not None and largest.whole.money is not None and aim.price is not None:
        saved = largest.whole.money.value
        difference = f"{money(abs(saved), aim.currency)} {'saved' if saved >= 0 else 'more'}"
        parts.append(
            f"In money: {difference} in all, at {money(aim.price, aim.currency)} per {aim.device} hour."
        )
    return " ".join(parts)


def _start_up(largest: Comparison) -> list[str]:
    """What start-up hides, where it is much of what was spent; nothing where it is not."""
    whole, steady = largest.whole, largest.steady
    if whole is None or whole.working is None or whole.ours.startup < MUCH * whole.ours.seconds:
        return []
    part = share(whole.ours.startup / whole.ours.seconds)
    lately = ""
    if steady is not None and steady.working is not None:
        lately = f", {amount(steady.working)} in the steady state"
    told = f"Start-up, which does not grow with the data, is {part} of ours; without it, it is "
    return [f"{told}{amount(whole.working)} in all{lately}."]


def _unmeasured(aim: Aim, largest: Expected, right: Expected) -> str:
    """What the first sentence leaves out where no control was run."""
    first, last = largest.cycles
    told = (
        "No control was run beside it: compute is extrapolated from what runs were measured to cost, over "
        f"{span(tuple(range(first, last + 1)))}, and quality from trials and control branches."
    )
    parts = [told]
    if largest.money is not None and aim.price is not None:
        saved = largest.money.value
        difference = f"{money(abs(saved), aim.currency)} {'saved' if saved >= 0 else 'more'}"
        parts.append(
            f"In money: {difference} in all, at {money(aim.price, aim.currency)} per {aim.device} hour."
        )
    if right.size != largest.size:
        parts.append(f"Against all rows at size {right.size}, now in force, it is {amount(right.compute)}.")
    return " ".join(parts)


def claims(
    aim: Aim, comparisons: Sequence[Comparison], converged: Converged | None, surface: Surface | None
) -> tuple[Claim, ...]:
    """Each figure's standing."""
    found: list[Claim] = []
    for c in comparisons:
        if c.whole is None and c.expected is not None:
            first, last = c.expected.cycles
            how = (
                f"what runs were measured to cost, for {span(tuple(range(first, last + 1)))} at size "
                f"{c.expected.size}; {c.reason}"
            )
            found.append(Claim(f"Compute against {c.description}", Basis.EXTRAPOLATED, how))
            continue
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
    elif not converged.rungs:
        how = _uncapital(converged.reason)
        found.append(Claim("Data-convergence point", Basis.NOT_MEASURED, how))
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


def unknown(past: Past) -> tuple[str, ...]:
    """What runs that are not there in full leave unknown."""
    found = []
    if past.forgotten:
        found.append(
            f"Cycles before {past.first} are remembered as a sum alone: {compute(past.beyond)} of compute."
        )
    if past.summarized:
        reported = f"known for {span(past.reported)} alone" if past.reported else "not known"
        found.append(
            f"Calibration and the share of positive labels are {reported}: of the other runs only cost, rows "
            "and outcome are kept."
        )
    return tuple(found)
