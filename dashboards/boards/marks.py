"""Marks on the time axis of a resource: what was decided, and when another model began to serve.

Prometheus holds values and no events, so a mark is made where a value is new since the step before. Of older
cycles nothing is marked, or an operator that was away would mark again all that it remembers. The value of a
mark is 1, because Grafana takes 0, which a cycle may be, for none.
"""

from __future__ import annotations

from boards.build import Annotation
from boards.promql import ONE, selector

CODES = selector("decision_cycle", ONE)
CHAMPION = selector("champion_info", ONE)
NEWEST = f"(max ({selector('cycle', ONE)}) - 1)"


def marks() -> list[Annotation]:
    """A reason that is new, or decided in a newer cycle; a digest that is new."""
    seen, before = f"max by (code) ({CODES})", f"max by (code) ({CODES} offset $__interval)"
    serves, served = f"max by (digest) ({CHAMPION})", f"max by (digest) ({CHAMPION} offset $__interval)"
    decided = f"({seen} > {before}) or ({seen} unless on (code) {before})"
    return [
        Annotation(
            name="Decisions",
            expr=f"(({decided}) >= on () group_left () {NEWEST}) * 0 + 1",
            color="blue",
            title="{{code}}",
            text="Decided for this reason; `detctl why` has the sentence.",
            tags="code",
        ),
        Annotation(
            name="Published",
            expr=f"{serves} unless on (digest) {served}",
            color="green",
            title="Another model serves",
            text="{{digest}}",
            tags="digest",
        ),
    ]
