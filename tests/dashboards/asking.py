"""Asks a real Prometheus what the panels of a dashboard ask, as Grafana asks it."""

import json
import math
import re
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass

STEPS = 60


@dataclass(frozen=True)
class Asked:
    """One query of a dashboard.

    Attributes:
        board: name of its file.
        panel: title of its panel, or name of its annotation or variable.
        ref: which of the panel's queries.
        expr: with Grafana's variables in it.
        instant: the newest values alone are asked for.
    """

    board: str
    panel: str
    ref: str
    expr: str
    instant: bool

    @property
    def where(self):
        return f"{self.board} / {self.panel} / {self.ref}"


def panels(board):
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def queries(name, board):
    """All that a dashboard asks, its annotations included."""
    asked = [
        Asked(name, panel["title"], target["refId"], target["expr"], target.get("instant", False))
        for panel in panels(board)
        for target in panel["targets"]
    ]
    marks = board.get("annotations", {}).get("list", [])
    return [*asked, *(Asked(name, mark["name"], "annotation", mark["expr"], False) for mark in marks)]


def variables(board):
    """What fills the dashboard's variables: name, series and label."""
    found = []
    for one in board["templating"]["list"]:
        if one["type"] == "query":
            series, label = re.fullmatch(r"label_values\((.*), (\w+)\)", one["query"]).groups()
            found.append((one["name"], series, label))
    return found


class Grafana:
    """Stands for Grafana: a time range, and values of variables.

    Args:
        address: of Prometheus.
        begin: Unix seconds at which the range begins.
        end: at which it ends.
        chosen: values of variables.
    """

    def __init__(self, address, begin, end, chosen):
        self.address, self.begin, self.end, self.chosen = address, begin, end, chosen
        self.step = round(max((end - begin) / STEPS, 0.25), 3)

    def get(self, path, **parameters):
        url = f"{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            told = json.load(error)["error"]
            raise AssertionError(f"{parameters}: {told}") from None

    def filled(self, text):
        given = {
            "__rate_interval": f"{max(4 * self.step, 4.0):.0f}s",
            "__interval": f"{self.step * 1000:.0f}ms",
            "__range": f"{self.end - self.begin:.0f}s",
            **self.chosen,
        }
        # A group of label_replace, such as $1, is none of Grafana's variables.
        return re.sub(r"\$([a-z_]\w*)", lambda found: given[found[1]], text)

    def numbers(self, asked):
        """Every finite number in the answer."""
        expr = self.filled(asked.expr)
        if asked.instant:
            series = self.get("query", query=expr, time=self.end)["result"]
            values = [one["value"] for one in series]
        else:
            series = self.get("query_range", query=expr, start=self.begin, end=self.end, step=self.step)
            values = [value for one in series["result"] for value in one["values"]]
        return [number for _, text in values if math.isfinite(number := float(text))]

    def marked(self, asked, label):
        """Values of a label of the marks that Grafana makes of an annotation: of values above 0."""
        how = {"start": self.begin, "end": self.end, "step": self.step}
        series = self.get("query_range", query=self.filled(asked.expr), **how)["result"]
        return {one["metric"][label] for one in series if any(float(text) > 0 for _, text in one["values"])}

    def newest(self, asked):
        """The number that a panel ends on, where it has one line."""
        (number,) = self.get("query", query=self.filled(asked.expr), time=self.end)["result"]
        return float(number["value"][1])

    def values_of(self, series, label):
        """What a variable may be set to."""
        where = {"match[]": self.filled(series), "start": self.begin, "end": self.end}
        return self.get(f"label/{label}/values", **where)
