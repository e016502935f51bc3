"""``status``, ``plan`` and ``history``: what the status of a resource says, for people and for programs.

Needs nothing but the resource itself; what lies in its ledger is told by ``why`` and ``report``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from dataefficient.kubectl.page import BAD, GOOD, HEAD, WAITS, Cell, Column, Page
from dataefficient.kubectl.words import (
    ABSENT,
    Body,
    bounds,
    condition,
    cost,
    figure,
    interval,
    moment,
    percent,
    plan,
    price,
    since,
    with_error,
    with_word,
)

UNSEEN = "Unseen"
"""State of a resource that no operator has looked at."""
_TELLING = ("Accepted", "KPIAvailable", "TargetMet", "WithinBudget", "CostAgrees", "PrometheusAgrees")
"""Conditions that are told where they are False; Ready, Progressing and Converged have lines of their own."""
_LIST = (
    Column("NAMESPACE", 1),
    Column("NAME"),
    Column("STATE"),
    Column("CYCLE", 2),
    Column("STEP", 6),
    Column("KPI", 4),
    Column("TARGET", 8),
    Column("GAP", 7),
    Column("PLAN", 3),
    Column("SPENT", 5),
    Column("SAVED", 9),
    Column("TO APPROVE", 2),
)
_RUNS = (
    Column("RUN"),
    Column("STATE"),
    Column("TRY", 3),
    Column("PLAN", 2),
    Column("SINCE", 4),
    Column("WHY", 5),
)
_CYCLES = (
    Column("CYCLE"),
    Column("UNTIL", 3),
    Column("OUTCOME"),
    Column("PLAN", 1),
    Column("KPI", 2),
    Column("FORECAST", 6),
    Column("GAP", 5),
    Column("COST", 4),
    Column("WHY", 7),
)


def summary(body: Body) -> dict[str, Any]:
    """A resource for programs: what it asks for in short, and its whole status."""
    about, spec = body["metadata"], body["spec"]
    return {
        "namespace": about["namespace"],
        "name": about["name"],
        "generation": about.get("generation"),
        "mode": spec.get("mode"),
        "suspend": bool(spec.get("suspend")),
        "status": dict(body.get("status") or {}),
    }


def state(body: Body) -> Cell:
    """The reason of Ready in one word; ``NotReady:REASON`` where a person may have to act."""
    ready = condition(body, "Ready")
    reason = str(ready.get("reason", ""))
    if not ready:
        return Cell(UNSEEN, WAITS)
    if ready.get("status") == "False":
        return Cell(f"NotReady:{reason}", BAD)
    return Cell(reason, GOOD if reason in ("Operating", "Finished") else WAITS)


def show_list(page: Page, bodies: Sequence[Body], *, everywhere: bool) -> None:
    """One line for each resource."""
    rows = [_row(body, everywhere=everywhere) for body in bodies]
    page.table(_LIST, rows)


def _row(body: Body, *, everywhere: bool) -> list[Cell]:
    about, status = body["metadata"], body.get("status") or {}
    kpi, asked = status.get("kpi") or {}, status.get("recommendation") or {}
    return [
        Cell(about["namespace"] if everywhere else ""),
        Cell(about["name"]),
        state(body),
        Cell(str(status.get("cycle", ABSENT))),
        Cell(status.get("step") or ABSENT),
        Cell(figure(kpi.get("value")), _of_target(body)),
        Cell(figure(kpi.get("target")) if kpi.get("target") is not None else ""),
        Cell(percent(kpi.get("gap"))),
        Cell(plan(status.get("plan"))),
        Cell((status.get("spent") or {}).get("summary") or ABSENT),
        Cell((status.get("savings") or {}).get("summary") or ""),
        Cell(asked.get("digest", ""), WAITS),
    ]


def _of_target(body: Body) -> str:
    met = condition(body, "TargetMet").get("status")
    return {"True": GOOD, "False": BAD}.get(str(met), "")


def show_one(page: Page, body: Body, *, now: datetime, again: str) -> None:
    """One resource on a page.

    Args:
        again: how this resource is named in another command, such as ``late-flights -n team``.
    """
    about, spec, status = body["metadata"], body["spec"], body.get("status") or {}
    page.line(f"{about['namespace']}/{about['name']}, mode {spec.get('mode', ABSENT)}", HEAD)
    found = state(body)
    page.labelled("State", found.text, found.style)
    if not status:
        told = f"no operator has looked at it; see that one runs and watches namespace {about['namespace']}"
        page.labelled("", told)
        return
    _conditions(page, body)
    if status.get("step") == "Stopped":
        page.labelled("", f"Once that is mended: kubectl det resume {again}")
    currency = (status.get("spent") or {}).get("currency", "")
    _quality(page, body)
    _plan_in_force(page, status, currency)
    if status.get("convergence"):
        page.labelled("Converged", status["convergence"].get("summary") or ABSENT)
    _money(page, status, currency)
    if champion := status.get("champion"):
        told = f"of cycle {champion['cycle']}, size {champion['size']}, has seen the stream up to "
        page.labelled("Champion", f"{told}{moment(champion['position'])} UTC")
        page.labelled("", champion["uri"])
    _asked(page, status, again)
    _runs(page, status, now)


def _conditions(page: Page, body: Body) -> None:
    ready, progress = condition(body, "Ready"), condition(body, "Progressing")
    if ready.get("status") == "False" or ready.get("reason") == "Suspended":
        page.labelled("", ready.get("message", ""))
    if progress and progress.get("message") != ready.get("message"):
        page.labelled("", progress.get("message", ""))
    for kind in _TELLING:
        found = condition(body, kind)
        if found.get("status") == "False" and found.get("message") != ready.get("message"):
            page.labelled("Attention", f"{kind} is False, {found.get('reason')}: {found.get('message')}", BAD)


def _quality(page: Page, body: Body) -> None:
    kpi = (body.get("status") or {}).get("kpi") or {}
    told = kpi.get("summary") or "not known yet"
    if kpi.get("target") is not None:
        met = {"True": ", met", "False": ", missed"}
        told += f"; target {figure(kpi['target'])}"
        told += met.get(str(condition(body, "TargetMet").get("status")), "") if kpi.get("summary") else ""
    page.labelled("KPI", told, _of_target(body))
    if kpi.get("gap") is not None:
        told = f"about {percent(kpi['gap'])} from full data at the largest size"
        told += f", at most {percent(kpi['gapBound'])}" if kpi.get("gapBound") is not None else ""
        told += f"; {percent(kpi['tolerance'])} allowed" if kpi.get("tolerance") is not None else ""
        page.labelled("Distance", told)


def _plan_in_force(page: Page, status: Body, currency: str) -> None:
    found = status.get("plan")
    if not found:
        page.labelled("Plan", "none yet")
        return
    page.labelled("Plan", f"{plan(found)}, for cycle {found['cycle']}. {found.get('reason', '')}".rstrip())
    if expected := found.get("forecast"):
        parts = [f"KPI {interval(expected['kpi'])}"] if expected.get("kpi") else []
        parts += [f"cost {cost(expected['cost'], currency)}"] if expected.get("cost") else []
        page.labelled("Forecast", ", ".join(parts))


def _money(page: Page, status: Body, currency: str) -> None:
    spent = status.get("spent")
    if spent:
        told = f"{spent.get('summary') or cost(spent['settled'], currency)}"
        told += f", and {cost(spent['reserved'], currency)} reserved" if spent.get("reserved") else ""
        if window := spent.get("window"):
            told += f"; since {moment(window['since'])} {cost(window['settled'], currency)}"
        page.labelled("Spent", told)
    for one in (status.get("savings") or {}).get("against", []):
        against = _CONTROLS.get(one["against"], one["against"])
        cycles = f"cycles {one['fromCycle']} to {one['toCycle']}, experiments included"
        page.labelled("Saved", f"{saved(one['share'])} {against}, {cycles}")


def saved(share: Body) -> str:
    """A share with its interval in words; one that is negative saved nothing yet."""
    value = float(share["value"])
    if value < 0.0:
        return f"nothing yet: {percent(-value)} more than"
    spread = ""
    if share.get("low") is not None and share.get("high") is not None and share["low"] != share["high"]:
        spread = f" ({percent(share['low'])} to {percent(share['high'])})"
    return f"{percent(value)}{spread} against"


_CONTROLS = {
    "FullData": "what all rows at the largest size would have cost",
    "RightSized": "what all rows at the right size would have cost",
}


def _asked(page: Page, status: Body, again: str) -> None:
    asked = status.get("recommendation")
    if not asked:
        return
    told = f"approval of a {str(asked['asked']).lower()}. {asked['reason']}"
    page.labelled("Waits for", told, WAITS)
    page.labelled("", f"kubectl det approve {with_word(again, asked['digest'])}")


def _runs(page: Page, status: Body, now: datetime) -> None:
    runs = status.get("runs") or []
    if not runs:
        return
    colours = {"Failed": BAD, "Succeeded": GOOD, "Running": WAITS}
    rows = [
        [
            Cell(run["name"]),
            Cell(run["state"], colours.get(run["state"], "")),
            Cell(str(run.get("attempt", ABSENT))),
            Cell(plan(run)),
            Cell(since(run["startedAt"], now) if run.get("startedAt") else ""),
            Cell(run.get("reason", "")),
        ]
        for run in runs
    ]
    page.line()
    page.table(_RUNS, rows)


def plan_of(body: Body) -> dict[str, Any]:
    """The plan of a resource for programs."""
    about, status = body["metadata"], body.get("status") or {}
    kept = ("cycle", "step", "plan", "runs", "recommendation")
    progress = condition(body, "Progressing")
    return {
        "namespace": about["namespace"],
        "name": about["name"],
        **{name: status[name] for name in kept if name in status},
        **({"progress": {k: progress[k] for k in ("status", "reason", "message")}} if progress else {}),
    }


def show_plan(page: Page, body: Body, *, now: datetime, again: str) -> None:
    """What runs, what is expected of it, and what comes next."""
    about, status = body["metadata"], body.get("status") or {}
    page.line(f"{about['namespace']}/{about['name']}, cycle {status.get('cycle', ABSENT)}", HEAD)
    currency = (status.get("spent") or {}).get("currency", "")
    if found := status.get("plan"):
        page.labelled("Trains on", f"{moment(found['from'])} to {moment(found['to'])} UTC")
    _plan_in_force(page, status, currency)
    if progress := condition(body, "Progressing"):
        page.labelled("Now", progress.get("message", ""))
    if asked := status.get("recommendation"):
        _asked(page, status, again)
        _asked_for(page, asked, currency)
    _runs(page, status, now)


def _asked_for(page: Page, asked: Body, currency: str) -> None:
    expected = asked.get("forecast") or {}
    parts = [plan(asked)]
    parts += [f"KPI {interval(expected['kpi'])}"] if expected.get("kpi") else []
    parts += [f"cost {cost(expected['cost'], currency)}"] if expected.get("cost") else []
    parts += [f"saves {percent(asked['saving']['value'])} per cycle"] if asked.get("saving") else []
    page.labelled("", "; ".join(parts))


def history_of(body: Body, *, last: int | None) -> dict[str, Any]:
    """The finished cycles in the status, or the newest of them, for programs."""
    about = body["metadata"]
    found = list((body.get("status") or {}).get("history") or [])
    return {
        "namespace": about["namespace"],
        "name": about["name"],
        "cycles": found[-last:] if last else found,
    }


def show_history(page: Page, body: Body, *, last: int | None, again: str) -> None:
    """One line for each finished cycle, the oldest first."""
    status = body.get("status") or {}
    found = status.get("history") or []
    if not found:
        page.line("No cycle has finished yet.")
        return
    currency = (status.get("spent") or {}).get("currency", "")
    colours = {"Published": GOOD, "Rejected": BAD, "Failed": BAD}
    shown = found[-last:] if last else found
    rows = [
        [
            Cell(str(one["cycle"])),
            Cell(moment(one["to"])),
            Cell(one["outcome"], colours.get(one["outcome"], "")),
            Cell(plan(one)),
            Cell(with_error(one.get("kpi"))),
            Cell(bounds((one.get("forecast") or {}).get("kpi"))),
            Cell(percent(one["gap"]["value"]) if one.get("gap") else ABSENT),
            Cell(price(one.get("cost"), currency)),
            Cell(one.get("reason", "")),
        ]
        for one in shown
    ]
    page.table(_CYCLES, rows)
    if shown[0]["cycle"] > 0 and shown is found:
        page.line()
        page.line(
            f"Cycles before {shown[0]['cycle']} are not in the status any more. "
            f"kubectl det report {again} has those that are remembered."
        )
