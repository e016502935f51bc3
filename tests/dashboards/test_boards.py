import json
import re
from pathlib import Path

import pytest
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from boards.build import GRAFANA, PROMETHEUS_FIELDS
from boards.files import FOLDER, boards, files
from dashboards.asking import panels, queries, variables
from dashboards.exceptions import FOREIGN, NO_DEVICE

METRICS = Path(__file__).parents[2] / "docs" / "metrics.md"
HISTOGRAM = re.compile(r"_(bucket|sum|count)$")
NAMES = list(boards())


@pytest.fixture(scope="module")
def made():
    return boards()


@pytest.fixture(scope="module", autouse=True)
def _kinds():
    """Without the kinds of panels, the SDK takes anything for their options."""
    plugins.register_default_plugins()


def documented():
    """Series of docs/metrics.md, and which of them are histograms."""
    rows = re.findall(r"^\| `(dataefficient_\w+)` \| (\w+) \|", METRICS.read_text(), re.MULTILINE)
    return dict(rows)


def used(expression):
    return set(re.findall(r"([a-zA-Z_:][\w:]*)\{", expression))


def test_the_chart_s_files_are_what_the_code_makes():
    assert {one.name: one.read_text() for one in FOLDER.iterdir()} == files(), "run python hack/dashboards.py"


@pytest.mark.parametrize("name", NAMES)
def test_grafana_s_types_know_every_field(made, name):
    written = json.loads(json.dumps(made[name]))
    for mark in written.get("annotations", {}).get("list", []):
        for field in PROMETHEUS_FIELDS:
            assert mark.pop(field)
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(written)))
    assert read == written


def test_a_field_that_the_types_do_not_know_would_be_seen(made):
    written = json.loads(json.dumps(made["fleet"]))
    panels(written)[0]["options"]["colour"] = "red"
    assert json.loads(JSONEncoder().encode(Dashboard.from_json(written))) != written


@pytest.mark.parametrize("name", NAMES)
def test_every_panel_says_what_it_is_and_what_to_do(made, name):
    for panel in panels(made[name]):
        assert panel["title"]
        assert len(panel["description"]) > 40, panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["targets"], panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_loaded_as_it_is(made, name):
    assert "__inputs" not in made[name]
    assert "id" not in made[name]
    (source,) = [one for one in made[name]["templating"]["list"] if one["type"] == "datasource"]
    assert (source["name"], source["query"]) == ("datasource", "prometheus")


@pytest.mark.parametrize("name", NAMES)
def test_no_panel_is_taken_for_one_of_an_older_grafana(made, name):
    for panel in panels(made[name]):
        assert panel["pluginVersion"] == GRAFANA, panel["title"]


def test_titles_and_addresses_are_unique(made):
    for field in ("uid", "title"):
        assert len({board[field] for board in made.values()}) == len(made)
    for name, board in made.items():
        titles = [panel["title"] for panel in panels(board)]
        assert len(set(titles)) == len(titles), name
        numbers = [panel["id"] for panel in board["panels"]]
        assert len(set(numbers)) == len(numbers), name


@pytest.mark.parametrize("name", NAMES)
def test_panels_stand_beside_each_other_on_the_grid(made, name):
    taken = set()
    for panel in made[name]["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        cells = {(at["x"] + i, at["y"] + j) for i in range(at["w"]) for j in range(at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("name", NAMES)
def test_only_documented_series_are_asked_for(made, name):
    known = documented()
    asked = [asked.expr for asked in queries(name, made[name])]
    asked += [series if "{" in series else f"{series}{{" for _, series, _ in variables(made[name])]
    for expression in asked:
        assert used(expression), expression
        for series in used(expression) - set(FOREIGN):
            histogram = HISTOGRAM.sub("", series)
            assert series in known or known.get(histogram) == "histogram", (
                f"{series} is not in {METRICS.name}"
            )


def test_every_exception_is_a_query_of_a_foreign_series(made):
    asked = {one.where: used(one.expr) for name, board in made.items() for one in queries(name, board)}
    assert {where for where, series in asked.items() if series & set(FOREIGN)} == set(NO_DEVICE)
    assert all(NO_DEVICE.values())


def test_decisions_are_marked_with_their_enumerated_reasons(made):
    (decisions,) = [m for m in made["resource"]["annotations"]["list"] if m["name"] == "Decisions"]
    assert decisions["enable"]
    assert decisions["titleFormat"] == "{{code}}"
    assert used(decisions["expr"]) == {"dataefficient_decision_cycle", "dataefficient_cycle"}
