"""One resource: whether it holds its target, why its plan is what it is, and what that costs."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.models.xychart import XYShowMode

from boards.build import (
    HOURS,
    PLAIN,
    SECONDS,
    SHARE,
    bars,
    board,
    columns,
    lines,
    number,
    points,
    states,
)
from boards.marks import marks
from boards.promql import HOUR, ONE, latest, matching, selector

UID = "det-resource"
LOSS = "none"
RUN = "resource_namespace, resource, run"
ROWS = "suffix: rows"

OVERHEAD = selector("overhead_device_seconds_total", ONE)


def of_newest_candidate(series: str) -> str:
    """A series of finished runs by the model that was scored, of the newest candidate: on the same rows."""
    role = selector("run_info", ONE, 'role="Candidate"', 'result="Succeeded"')
    cycle = f"max by ({RUN}) ({selector('run_cycle', ONE)} and on ({RUN}) {role})"
    newest = f"{cycle} == on (resource) group_left () max by (resource) ({cycle})"
    return f"max by (model) (max by ({RUN}, model) ({series}) and on ({RUN}) ({newest}))"


USED = latest("budget_used_device_seconds", ONE, keep=("part",))
FORECAST = latest("budget_forecast_device_seconds", ONE, keep=("part",))
OWN_CALIBRATION = selector("run_calibration_ratio", ONE, 'model="self"')
LIMIT = latest("budget_limit_device_seconds", ONE, keep=("part",))
OWN_LOSS = selector("run_log_loss", ONE, 'model="self"')


def quality() -> list[Any]:
    """The KPI and what it is held against."""
    holds = selector("condition", ONE, matching("status", "True"))
    unknown = selector("condition", ONE, matching("status", "Unknown"))
    calibration = f"max by (digest) ({selector('champion_calibration_ratio', ONE)})"
    error = f"max by (digest) ({selector('champion_calibration_standard_error_ratio', ONE)})"
    return [
        lines(
            "KPI against target",
            "Level of what serves, as the operator measures it on rows that were not sampled, with the level "
            "that was forecast for the cycle in hand (80 %). Where kpi.query is given, the target is one of "
            "its answer, which the panel beside shows.",
            LOSS,
            (latest("kpi_level", ONE), "level, mean over kpi.overCycles"),
            (latest("kpi_latest_level", ONE), "level, newest cycle"),
            (latest("kpi_target", ONE), "target"),
            (latest("plan_forecast_kpi", ONE, keep=("bound",)), "forecast, {{bound}}"),
        ),
        lines(
            "Answers of Prometheus",
            "Newest usable answer to each query of the resource: kpi.query, guardrails, cost, quality read "
            "back. A gap: there was none; the condition KPIAvailable says why.",
            LOSS,
            (latest("query_value", ONE, keep=("query",)), "{{query}}"),
        ),
        lines(
            "Distance to full data",
            "Expected relative distance of what serves to full data at the largest size, and the bound that "
            "is held against the tolerance. A bound above the tolerance makes the operator take more data.",
            SHARE,
            (latest("gap_ratio", ONE), "expected"),
            (latest("gap_bound_ratio", ONE), "upper bound"),
            (latest("tolerance_ratio", ONE), "tolerance"),
            least=0,
        ),
        lines(
            "Candidate against champion, trial and control",
            "Log loss of every model that the newest candidate's run scored, on the same rows: self is the "
            "candidate, start what it began from, champion what serves, control full data beside the "
            "lineage. Lower is better. Without a branch there is no line of it.",
            LOSS,
            (of_newest_candidate(selector("run_log_loss", ONE)), "{{model}}"),
        ),
        lines(
            "Calibration",
            "Sum of predicted probabilities over positives; 1 is right. Of the published model when it was "
            "evaluated, with two standard errors, and of the newest candidate. Away from 1 beyond its "
            "errors: bids are off; see whether labels were complete.",
            LOSS,
            (f"max by () ({calibration})", "published"),
            (f"max by () ({calibration} - 2 * {error})", "published, low"),
            (f"max by () ({calibration} + 2 * {error})", "published, high"),
            (of_newest_candidate(OWN_CALIBRATION), "candidate"),
        ),
        states(
            "Conditions",
            "Each condition of the resource over time. `kubectl describe det NAME` has reason and message.",
            f"2 * max by (type) ({holds}) + max by (type) ({unknown})",
            legend="{{type}}",
            words={"2": ("True", "green"), "1": ("Unknown", "blue"), "0": ("False", "orange")},
        ),
    ]


def plan() -> list[Any]:
    """Which plan is in force, and what it was chosen from."""
    chosen = f"max by (option) ({selector('plan_option_chosen', ONE)}) == 1"
    cost = f"max by (option) ({selector('plan_option_cost_device_seconds', ONE)})"
    bound = f"max by (option) ({selector('plan_option_gap_bound_ratio', ONE)})"
    convergence = selector("convergence_rows", ONE)
    at = f"min ({selector('learning_curve_log_loss', ONE)})"
    found = selector("convergence_rows", ONE, matching("bound", "estimate"))
    anchored = f'(label_replace({convergence}, "anchor", "$1", "bound", "(.*)") and on () {found})'
    return [
        lines(
            "Sampling rate",
            "Share of the rows that the plan in force trains on, cycle by cycle. 1 is full data. A step down "
            "is a saving that was certified; a step up is a retreat: the annotations say why.",
            SHARE,
            (latest("sampling_rate_ratio", ONE), "sampling rate"),
            least=0,
        ),
        lines(
            "Model size",
            "Size of the plan in force, on the trainer's scale. It changes by a cold start that ages beside "
            "the lineage first.",
            PLAIN,
            (latest("model_size", ONE), "size"),
            least=0,
        ),
        points(
            "What the plan was chosen from",
            "Each plan that was weighed for the cycle in hand: what its candidate is expected to cost, and "
            "the upper bound of its distance to full data. The cheapest below the tolerance is chosen; at "
            "equal cost, the lower one. Plans that were never measured are in the table alone.",
            SHARE,
            {
                "Cost": cost,
                "Distance bound": bound,
                "Chosen": f"{bound} and on (option) ({chosen})",
                "Tolerance": f"0 * {cost} + on () group_left () max ({selector('tolerance_ratio', ONE)})",
            },
            pairs=[("Cost", "Distance bound"), ("Cost", "Chosen"), ("Cost", "Tolerance")],
            x_unit=SECONDS,
        ),
        points(
            "Learning curve and convergence",
            "Log loss of cold starts at full data over their rows of history, on one later window, and the "
            "rows past which more barely helps (drawn at the curve's lowest level, with its bounds). No such "
            "point: more history would still help, or too little could be measured.",
            LOSS,
            {
                "Rows": f"max by (anchor) ({selector('learning_curve_rows', ONE)})",
                "Log loss": f"max by (anchor) ({selector('learning_curve_log_loss', ONE)})",
                "Converged rows": f"max by (anchor) ({anchored})",
                "Convergence": f"max by (anchor) (0 * {anchored} + on () group_left () {at})",
            },
            pairs=[("Rows", "Log loss"), ("Converged rows", "Convergence")],
            x_unit=ROWS,
            mode=XYShowMode.POINTS_AND_LINES,
        ),
        columns(
            "Plans that were weighed",
            "Distance and bound are empty where a plan was never measured; such a plan is tried before it "
            "serves.",
            SHARE,
            {
                "Cost": cost,
                "Distance": f"max by (option) ({selector('plan_option_gap_ratio', ONE)})",
                "Distance bound": bound,
                "Chosen": f"max by (option) ({selector('plan_option_chosen', ONE)})",
            },
            units={"Cost": SECONDS, "Chosen": PLAIN},
            named={"option": "Plan"},
            width=14,
            sort="Chosen",
        ),
        columns(
            "Reasons of decisions",
            "Each enumerated reason and the newest cycle in which it was decided; `detctl why CYCLE` has the "
            "sentence.",
            PLAIN,
            {"Cycle": f"max by (code) ({selector('decision_cycle', ONE)})"},
            units={},
            named={"code": "Reason"},
            width=10,
            sort="Cycle",
        ),
    ]


def cost() -> list[Any]:
    """What it costs, what was expected, and what it saves."""
    full = f"max by (bound) ({selector('savings_full_data_device_seconds', ONE)})"
    spent = f"max ({selector('savings_spent_device_seconds', ONE)})"
    return [
        lines(
            "Cost of a cycle, forecast and actual",
            "What the last finished cycle's candidate cost, beside what was expected of it (80 %), and the "
            "whole cycle with all its runs. A cost far outside: another machine, or slower data.",
            SECONDS,
            (latest("last_cycle_cost_device_seconds", ONE), "candidate"),
            (latest("last_cycle_forecast_cost_device_seconds", ONE, keep=("bound",)), "forecast, {{bound}}"),
            (latest("last_cycle_spent_device_seconds", ONE), "whole cycle"),
            least=0,
        ),
        lines(
            "Budget",
            "Settled and reserved spend, and what will be settled at the end if cycles go on costing what "
            "the last ones did, over each part of the budget (the tighter of hours and money). At 1 nothing "
            "more is launched.",
            SHARE,
            (f"{USED} / {LIMIT}", "{{part}}, used"),
            (f"{FORECAST} / {LIMIT}", "{{part}}, forecast"),
            limit=1,
            least=0,
        ),
        lines(
            "Saved, of full data",
            "Share of compute saved in all finished cycles, experiments paid, against full data at the "
            "largest size; low and high follow the bounds of that cost.",
            SHARE,
            (f"1 - on () group_right () {spent} / on () group_right () {full}", "{{bound}}"),
        ),
        lines(
            "Spent, by role",
            "Settled spend of the resource's life. Candidates serve next; probes, trials and controls pay "
            "for what is known.",
            HOURS,
            (f"max by (role) ({selector('spent_device_seconds_total', ONE)}) / {HOUR}", "{{role}}"),
            (
                f"max ({selector('exploration_account_device_seconds', ONE)}) / {HOUR}",
                "left for experiments",
            ),
            least=0,
        ),
        bars(
            "Waste, by cause",
            "Device-hours in the time shown that did not train what serves. queued was waited for and not "
            "paid.",
            HOURS,
            f"sum by (cause) (increase({OVERHEAD}[$__range])) / {HOUR}",
            legend="{{cause}}",
            width=12,
        ),
        bars(
            "Money, by role",
            "The spend of the resource's life in money. Empty without pricePerDeviceHour.",
            PLAIN,
            f"max by (role, currency) ({selector('spent_money_total', ONE)})",
            legend="{{role}} ({{currency}})",
            width=12,
        ),
    ]


def model() -> list[Any]:
    """What serves, and the runs behind it."""
    info = f"max by (run, role, policy, result) ({selector('run_info', ONE)})"

    def joined(series: str) -> str:
        return f"max by (run) ({series}) * on (run) group_right () {info}"

    return [
        number(
            "Champion age",
            "Cycles since the published model was made. It grows while candidates are rejected or cycles "
            "fail.",
            "suffix: cycles",
            f"{latest('cycle', ONE)} - {latest('champion_cycle', ONE)}",
            warn=[(3, "orange"), (6, "red")],
        ),
        number(
            "Champion has seen data until",
            "Time since the newest event that the published model has seen. Above two cycles: look at "
            "rejections and failed runs.",
            "s",
            f"time() - {latest('champion_position_timestamp_seconds', ONE)}",
            base="blue",
        ),
        number(
            "Rejected in a row",
            "Candidates that did not pass the gate since the last that did. After two the operator takes "
            "more data; see the guardrails if it goes on.",
            PLAIN,
            latest("rejections", ONE),
            warn=[(2, "orange"), (3, "red")],
        ),
        number(
            "Runs under way",
            "Runs that are intended or running. None for longer than a cycle: see Ready.",
            PLAIN,
            latest("runs_running", ONE),
            base="blue",
        ),
        number(
            "Converged at",
            "Rows of history past which more barely helps; not known: not within this data, or not measured.",
            ROWS,
            latest("convergence_rows", ONE, matching("bound", "estimate")),
            base="blue",
        ),
        number(
            "Cycle",
            "The cycle in hand; it does not move while the resource waits, is stopped or has finished.",
            PLAIN,
            latest("cycle", ONE),
            base="blue",
        ),
        columns(
            "Newest finished runs",
            "Up to twelve. A result other than Succeeded names the kind of failure; its log is in the pod, "
            "or in `detctl history`.",
            PLAIN,
            {
                "Cycle": joined(selector("run_cycle", ONE)),
                "Cost": joined(selector("run_device_seconds", ONE)),
                "Attempts": joined(selector("run_attempts", ONE)),
                "Sampling rate": joined(selector("run_sampling_rate_ratio", ONE)),
                "Size": joined(selector("run_model_size", ONE)),
                "Log loss": joined(OWN_LOSS),
            },
            units={"Cost": SECONDS, "Sampling rate": SHARE, "Log loss": LOSS},
            named={"run": "Run", "role": "Role", "policy": "Policy", "result": "Result"},
            sort="Cycle",
        ),
    ]


def resource() -> dict[str, Any]:
    """The dashboard."""
    return board(
        UID,
        "Data-efficient training / Resource",
        "One resource: KPI against target and control, the plan and why, cost forecast and actual.",
        variables=[
            ("namespace", "Namespace", "label_values(dataefficient_info, resource_namespace)"),
            (
                "resource",
                "Resource",
                'label_values(dataefficient_info{resource_namespace="$namespace"}, resource)',
            ),
        ],
        rows={
            "What serves": model()[:6],
            "Quality": quality(),
            "Plan": plan(),
            "Cost": cost(),
            "Runs": model()[6:],
        },
        many=False,
        since="now-30d",
        annotations=marks(),
    )
