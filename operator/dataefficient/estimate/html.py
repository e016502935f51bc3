"""The verdict as one HTML file that needs no network, light and dark, wide and narrow."""

from __future__ import annotations

import jinja2
from markupsafe import Markup

from dataefficient.estimate import charts
from dataefficient.estimate.findings import CONFIDENCE
from dataefficient.estimate.page import log_lines, mark, shortened, used_line
from dataefficient.estimate.verdict import Verdict
from dataefficient.estimate.wording import percent, rounded_down


def render(verdict: Verdict, *, next_step: str, resource: str) -> str:
    """The whole page as text."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("dataefficient.estimate", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["mark"] = mark
    environment.filters["rounded_down"] = rounded_down
    environment.filters["percent"] = lambda value: percent(value, sign=True)
    past = verdict.history
    return environment.get_template("page.html.j2").render(
        v=verdict,
        facts=verdict.facts,
        confidence=f"{100 * CONFIDENCE:.0f} %",
        log_lines=log_lines(verdict),
        left_out=shortened(verdict.facts.left_out, 20),
        used=used_line(verdict),
        next_step=next_step,
        resource=resource,
        curve=Markup(charts.curve(past, verdict.facts.tolerance)) if past and len(past.rungs) > 1 else "",  # noqa: S704
        arms=Markup(charts.arms(verdict.findings, verdict.facts.tolerance)) if verdict.findings else "",  # noqa: S704
    )
