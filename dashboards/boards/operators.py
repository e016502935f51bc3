"""The operator itself: whether it leads and keeps up, and whom it cannot reach."""

from __future__ import annotations

from typing import Any

from boards.build import PLAIN, board, lines, number, states
from boards.promql import or_zero, quantile, selector

UID = "det-operator"
JOB = 'job=~"$job"'
FAULTS = 'result="fault"'
NO_CONFLICT = 'code!="409"'
NOT_OK = 'verdict!="Ok"'
REFUSED = selector("operator_refused", JOB)
LAST_VISIT = selector("operator_last_visit_timestamp_seconds", JOB)
OLDEST = selector("operator_queue_oldest_seconds", JOB)
PER_SECOND = "suffix: /s"
QUANTILES = (("0.5", "half"), ("0.95", "95 %"), ("0.99", "99 %"))


def rate(name: str, *labels: str) -> str:
    """Events a second, by labels."""
    return f"sum by ({', '.join(labels)}) (rate({selector(name, JOB)}[$__rate_interval]))"


def quantiles(histogram: str) -> list[tuple[str, str]]:
    """Half, 95 % and 99 % of a histogram."""
    return [(quantile(float(share), histogram, JOB), word) for share, word in QUANTILES]


LEADERS = f"sum({selector('operator_leader', JOB)})"


def standing() -> list[Any]:
    """Whether it works at all."""
    asked = f"sum({selector('operator_api_requests_total', JOB)})"
    faults = f"increase({selector('operator_visits_total', JOB, FAULTS)}[15m])"
    return [
        number(
            "Leaders",
            "Processes that lead; 1 is right. 0: nothing is decided, see the Lease and the pods' logs. More "
            "than 1 for longer than a scrape: two releases drive the same resources.",
            PLAIN,
            LEADERS,
            warn=[(1, "green"), (2, "red")],
            base="red",
        ),
        number(
            "Resources watched",
            "Resources that the leader watches. Fewer than there are: see watch.namespaces and its rights.",
            PLAIN,
            f"max({selector('operator_resources', JOB)})",
            base="blue",
        ),
        number(
            "Waiting for a visit",
            "Resources in the queue. It should return to 0 within a minute; growing: the operator is too "
            "slow, see the duration of visits.",
            PLAIN,
            f"max({selector('operator_queue_depth', JOB)})",
            warn=[(10, "orange"), (100, "red")],
        ),
        number(
            "Faults in 15 minutes",
            "Visits that ended in an error that the operator does not know. Its log has the traceback; the "
            "visit is tried again.",
            PLAIN,
            or_zero(f"sum({faults})", asked),
            warn=[(1, "red")],
            decimals=0,
        ),
        number(
            "Errors of the API server",
            "Requests in 15 minutes that the API server refused or did not answer, conflicts (409) aside, "
            "which are ordinary.",
            PLAIN,
            or_zero(f"sum(increase({selector('operator_api_errors_total', JOB, NO_CONFLICT)}[15m]))", asked),
            warn=[(5, "orange"), (50, "red")],
            decimals=0,
        ),
        number(
            "Unusable answers of Prometheus",
            "Answers in 15 minutes that were not Ok. Training goes on without them; targets from kpi.query "
            "are then Unknown.",
            PLAIN,
            or_zero(
                f"sum(increase({selector('operator_prometheus_answers_total', JOB, NOT_OK)}[15m]))", asked
            ),
            warn=[(1, "orange")],
            decimals=0,
        ),
        number(
            "Refused",
            "Resources that are not acted on, so that nothing is decided for them. Their condition Accepted "
            "names field, value and what is allowed.",
            PLAIN,
            or_zero(f"count(max by (resource_namespace, resource) ({REFUSED}) == 1)", asked),
            warn=[(1, "orange")],
        ),
        number(
            "Since the last visit",
            "Time since a visit last ended as it should. Much longer than the operator's resyncSeconds: it "
            "hangs; see its log and restart it.",
            "s",
            f"time() - max({LAST_VISIT})",
            base="blue",
        ),
        states(
            "Who leads",
            "Each process over time. A change of leader costs no run and no decision.",
            f"max by (instance) ({selector('operator_leader', JOB)})",
            legend="{{instance}}",
            words={"1": ("leads", "green"), "0": ("stands by", "blue")},
            width=16,
        ),
    ]


def work() -> list[Any]:
    """What it does, and how long that takes."""
    return [
        lines(
            "Duration of a visit",
            "Seconds to look at a resource, decide and write. Fits take most of it; above 10 s the API "
            "server or the machine is slow.",
            "s",
            *quantiles("operator_visit_seconds"),
            least=0,
        ),
        lines(
            "From the end of a run to its decision",
            "Seconds from the end of a Job to the decision that took it in. A machine may be idle for that "
            "long.",
            "s",
            *quantiles("operator_decision_delay_seconds"),
            least=0,
        ),
        lines(
            "Visits, by result",
            "done is right; conflict: another wrote at the same time, tried again; unreachable: the API "
            "server did not answer; fault: an error in the operator.",
            PER_SECOND,
            (rate("operator_visits_total", "result"), "{{result}}"),
            least=0,
        ),
        lines(
            "Longest wait for a visit",
            "Seconds for which the resource that waits longest has waited. It returns to 0 between bursts if "
            "the operator keeps up.",
            "s",
            (f"max by (instance) ({OLDEST})", "{{instance}}"),
            least=0,
        ),
    ]


def others() -> list[Any]:
    """The API server and Prometheus, as the operator meets them."""
    requests = f"sum(rate({selector('operator_api_requests_total', JOB)}[$__rate_interval]))"
    return [
        lines(
            "Requests to the API server",
            "Requests a second, watches aside, and those that failed, by HTTP status; 0: no answer, 403: a "
            "right is missing, 409: ordinary.",
            PER_SECOND,
            (requests, "requests"),
            (
                or_zero(rate("operator_api_errors_total", "code"), requests),
                "errors {{code}}",
            ),
            least=0,
        ),
        lines(
            "Answers of Prometheus, by verdict",
            "Only Ok is a number. Empty, Stale, Multiple, NotFinite and Failed name what to mend; the "
            "condition KPIAvailable of the resource has the sentence.",
            PER_SECOND,
            (rate("operator_prometheus_answers_total", "verdict"), "{{verdict}}"),
            least=0,
        ),
        lines(
            "Duration of a question to Prometheus",
            "Seconds until Prometheus had answered, the age of its data included.",
            "s",
            *quantiles("operator_prometheus_query_seconds"),
            least=0,
            width=24,
        ),
    ]


def operators() -> dict[str, Any]:
    """The dashboard."""
    return board(
        UID,
        "Data-efficient training / Operator",
        "The operator itself: leader, duration of visits, queue, errors of the API server and of Prometheus.",
        variables=[("job", "Job", "label_values(dataefficient_operator_leader, job)")],
        rows={"Standing": standing(), "Work": work(), "API server and Prometheus": others()},
        many=True,
        since="now-6h",
    )
