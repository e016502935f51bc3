"""All resources at once: what they cost, what they save, and which of them miss their target."""

from __future__ import annotations

from typing import Any

from boards.build import HOURS, PLAIN, SHARE, bars, board, columns, lines, number, states
from boards.promql import HOUR, MANY, by, latest, matching, or_zero, priced, selector

UID = "det-fleet"
NAME = "{{resource_namespace}}/{{resource}}"
KNOWN = f"count({latest('info', MANY)})"

FULL = latest("savings_full_data_device_seconds", MANY, matching("bound", "mean"))
SPENT = latest("savings_spent_device_seconds", MANY)
USED = latest("budget_used_device_seconds", MANY, keep=("part",))
LIMIT = latest("budget_limit_device_seconds", MANY, keep=("part",))
OF_BUDGET = f"({USED}) / {LIMIT}"
FORECAST = f"({latest('budget_forecast_device_seconds', MANY, keep=('part',))}) / {LIMIT}"
MISSED = latest("condition", MANY, matching("type", "TargetMet"), matching("status", "False"))
NOT_READY = latest("condition", MANY, matching("type", "Ready"), matching("status", "False"))
OVERHEAD = selector("overhead_device_seconds_total", MANY)
PAID = selector("overhead_device_seconds_total", MANY, 'cause!="queued"')


def glance() -> list[Any]:
    """Numbers that answer whether all is well."""
    return [
        number(
            "Driven",
            "Resources that the leading operator drives. None: no operator leads, or it is not scraped; see "
            "the Operator dashboard.",
            PLAIN,
            KNOWN,
        ),
        number(
            "Targets missed",
            "Resources whose condition TargetMet is False: kpi.target is missed over kpi.overCycles. The "
            "panel below says which; look at their KPI in Resource.",
            PLAIN,
            or_zero(f"count({MISSED} == 1)", KNOWN),
            warn=[(1, "red")],
        ),
        number(
            "Not ready",
            "Resources whose condition Ready is False: something that a person can mend keeps them from "
            "training. `kubectl describe det NAME` says what.",
            PLAIN,
            or_zero(f"count({NOT_READY} == 1)", KNOWN),
            warn=[(1, "red")],
        ),
        number(
            "Saved, of full data",
            "Share of compute that was saved in all finished cycles, experiments paid, against full data at "
            "the largest size, by the measured cost of runs. Below 0: experiments have cost more than they "
            "saved so far.",
            SHARE,
            f"1 - sum({SPENT}) / sum({FULL})",
            warn=[(0, "green")],
            base="red",
        ),
        number(
            "Saved compute",
            "What that share comes to in device-hours, over all finished cycles.",
            HOURS,
            f"(sum({FULL}) - sum({SPENT})) / {HOUR}",
            decimals=1,
        ),
        number(
            "Saved money",
            "What that comes to in money, at the prices that are declared; resources without one are not in "
            "it.",
            PLAIN,
            f"sum by (currency) ({priced(f'{FULL} - {SPENT}', MANY)})",
            legend="{{currency}}",
            decimals=2,
        ),
    ]


def budget() -> list[Any]:
    """Spend against budget, and where it leads."""
    return [
        lines(
            "Budget used",
            "Settled and reserved spend over each part of the budget that binds the cycle in hand. At 1 "
            "nothing more is launched until a person raises it or the window ends.",
            SHARE,
            (OF_BUDGET, f"{NAME} {{{{part}}}}"),
            limit=1,
            least=0,
        ),
        lines(
            "Budget, forecast to its end",
            "What will be settled at the end of budget.window, and of all cycles for budget.total, if each "
            "cycle costs what the last ones did on average. Above 1: it will be exhausted before it ends.",
            SHARE,
            (FORECAST, f"{NAME} {{{{part}}}}"),
            limit=1,
            least=0,
        ),
        bars(
            "Spent, by role",
            "Device-hours that were settled in the time shown: candidates serve next; probes, trials and "
            "controls pay for what is known.",
            HOURS,
            f"sum by (role) (increase({selector('spent_device_seconds_total', MANY)}[$__range])) / {HOUR}",
            legend="{{role}}",
        ),
        bars(
            "Waste, by cause",
            "Device-hours in the time shown that did not train what serves. queued was waited for and not "
            "paid; startup, preempted, failed, probes (with trials and controls) and evaluation were paid.",
            HOURS,
            f"sum by (cause) (increase({OVERHEAD}[$__range])) / {HOUR}",
            legend="{{cause}}",
        ),
        bars(
            "Waste, by resource",
            "The same without queued, by resource: where to look first.",
            HOURS,
            f"sum {by()} (increase({PAID}[$__range])) / {HOUR}",
            legend=NAME,
        ),
        lines(
            "Waste over time",
            "Devices that were held on average for each cause. A rise of queued: too few machines. Of "
            "preempted: spot machines are taken away. Of failed: see the logs of the runs.",
            "suffix: devices",
            (f"sum by (cause) (rate({OVERHEAD}[$__rate_interval]))", "{{cause}}"),
            stacked=True,
            least=0,
            width=24,
        ),
    ]


def quality() -> list[Any]:
    """Whether targets and tolerances hold."""
    return [
        states(
            "Targets",
            "Whether each resource misses its kpi.target. One without a target is never shown as missed.",
            MISSED,
            legend=NAME,
            words={"0": ("not missed", "green"), "1": ("missed", "red")},
        ),
        lines(
            "Distance bound, of the tolerance",
            "Upper bound of the distance to full data over kpi.tolerance. Above 1 the operator returns to "
            "more data by itself; page nobody unless it stays there.",
            SHARE,
            (f"({latest('gap_bound_ratio', MANY)}) / {latest('tolerance_ratio', MANY)}", NAME),
            limit=1,
            least=0,
        ),
    ]


def resources() -> list[Any]:
    """One line for each resource."""
    cells = {
        "Cycle": latest("cycle", MANY),
        "Target missed": MISSED,
        "Distance": latest("gap_ratio", MANY),
        "Distance bound": latest("gap_bound_ratio", MANY),
        "Sampling rate": latest("sampling_rate_ratio", MANY),
        "Size": latest("model_size", MANY),
        "Spent": f"sum {by()} (max {by('role')} ({selector('spent_device_seconds_total', MANY)})) / {HOUR}",
        "Budget used": f"max {by()} ({OF_BUDGET})",
        "Saved": f"1 - {SPENT} / {FULL}",
        "Champion age": f"{latest('cycle', MANY)} - {latest('champion_cycle', MANY)}",
        "Rejected in a row": latest("rejections", MANY),
    }
    shares = ("Distance", "Distance bound", "Sampling rate", "Budget used", "Saved")
    address = (
        "/d/det-resource?${datasource:queryparam}&${__url_time_range}"
        "&var-namespace=${__data.fields.Namespace}&var-resource=${__data.fields.Resource}"
    )
    return [
        columns(
            "Resources",
            "All that is driven, the newest values. A name leads to the resource's own dashboard. Spent is "
            "its life's; Budget used is the fullest part; Champion age counts cycles.",
            PLAIN,
            cells,
            units={**dict.fromkeys(shares, SHARE), "Spent": HOURS, "Champion age": "suffix: cycles"},
            named={"resource_namespace": "Namespace", "resource": "Resource"},
            link=("Resource", address),
            sort="Spent",
            height=9,
        )
    ]


def fleet() -> dict[str, Any]:
    """The dashboard."""
    return board(
        UID,
        "Data-efficient training / Fleet",
        "All resources: spend against budget, savings, targets missed and waste.",
        variables=[
            ("namespace", "Namespace", "label_values(dataefficient_info, resource_namespace)"),
            (
                "resource",
                "Resource",
                'label_values(dataefficient_info{resource_namespace=~"$namespace"}, resource)',
            ),
        ],
        rows={
            "At a glance": glance(),
            "Resources": resources(),
            "Budget and waste": budget(),
            "Quality": quality(),
        },
        many=True,
        since="now-7d",
    )
