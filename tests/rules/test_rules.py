"""Every rule under promtool: firing with its words, and not firing."""

from __future__ import annotations

import copy
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from rules.case import Case
from rules.cases import CASES
from rules.world import notation

ROOT = Path(__file__).parents[2]
RULES = ROOT / "charts" / "data-efficient-training" / "files" / "rules.yaml"
RUNBOOKS = ROOT / "docs" / "runbooks"
METRICS = ROOT / "docs" / "metrics.md"
PREFIX = "DataEfficient"

GROUPS: list[dict[str, Any]] = yaml.safe_load(RULES.read_text())["groups"]
ALERTS: dict[str, dict[str, Any]] = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}


@pytest.fixture(scope="module")
def promtool() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs promtool."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("NOT TESTED: no promtool on PATH (Debian: apt-get install prometheus)")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=120, check=False)

    return run


def unit_test(case: Case) -> dict[str, Any]:
    """The case as promtool takes it."""
    expected = []
    for alert, rule in ALERTS.items():
        found = case.fires.get(alert.removeprefix(PREFIX))
        one: dict[str, Any] = {"eval_time": f"{case.minute}m", "alertname": alert, "exp_alerts": []}
        if found is not None:
            labels = {**found.labels, **rule["labels"]}
            one["exp_alerts"] = [
                {"exp_labels": labels, "exp_annotations": {"description": found.description}}
            ]
        expected.append(one)
    inputs = [{"series": name, "values": notation(values)} for name, values in case.world.items()]
    return {"interval": "1m", "input_series": inputs, "alert_rule_test": expected}


def with_descriptions_alone() -> dict[str, Any]:
    """The rules without the annotations that no value goes into."""
    groups = copy.deepcopy(GROUPS)
    for group in groups:
        for rule in group["rules"]:
            rule["annotations"] = {"description": rule["annotations"]["description"]}
    return {"groups": groups}


def outcome(promtool: Any, folder: Path, case: Case) -> str:
    """What promtool has against the case; nothing where it is as expected."""
    (folder / "rules.yaml").write_text(yaml.safe_dump(with_descriptions_alone()))
    body = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [unit_test(case)]}
    (folder / "test.yaml").write_text(yaml.safe_dump(body, width=10**6))
    done = promtool("test", "rules", str(folder / "test.yaml"))
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_the_rules_file_has_no_fault_that_promtool_can_find(promtool: Any):
    done = promtool("check", "rules", "--lint-fatal", str(RULES))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(ALERTS)} rules found" in done.stdout


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.about}: {case.name}")
def test_in_this_world_these_alerts_fire_and_no_other(promtool: Any, tmp_path: Path, case: Case):
    assert outcome(promtool, tmp_path, case) == ""


def test_every_rule_was_seen_firing_and_not_firing():
    firing = {PREFIX + case.about for case in CASES if not case.quiet}
    quiet = {PREFIX + case.about for case in CASES if case.quiet}
    assert firing == quiet == set(ALERTS)


def test_a_test_that_expects_the_wrong_thing_fails(promtool: Any, tmp_path: Path):
    for case in (next(c for c in CASES if c.quiet), next(c for c in CASES if not c.quiet)):
        fires = (
            {} if case.fires else {"Stopped": next(c for c in CASES if "Stopped" in c.fires).fires["Stopped"]}
        )
        assert "FAILED" in outcome(promtool, tmp_path, Case(case.name, case.about, case.world, fires))


def test_every_metric_of_a_rule_is_in_the_reference():
    known = set(re.findall(r"`(dataefficient_\w+)`", METRICS.read_text()))
    for alert, rule in ALERTS.items():
        used = set(re.findall(r"dataefficient_\w+", rule["expr"]))
        assert used, alert
        assert used <= known, f"{alert}: {used - known}"


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_says_how_bad_it_is_how_long_it_waits_and_what_to_read(alert: str):
    rule = ALERTS[alert]
    assert rule["labels"] == {"severity": rule["labels"]["severity"]}
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert re.fullmatch(r"\d+[mh]", rule["for"])
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{alert}.md"


def test_every_threshold_and_every_wait_has_its_reason():
    for block in RULES.read_text().split("- alert: ")[1:]:
        name, _, rest = block.partition("\n")
        before_for = rest.partition("    for: ")[0].rstrip().splitlines()[-1]
        assert before_for.strip().startswith("#"), f"{name}: no reason for its wait"
        if re.search(r"[<>]=? *[\d.]", ALERTS[name]["expr"]):
            assert rest.lstrip().startswith("#") or "resources" in rest, (
                f"{name}: no reason for its threshold"
            )


HEADINGS = ["What it means", "What it costs if ignored", "How to look", "What to do", "When to silence it"]


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_has_a_runbook_page(alert: str):
    text = (RUNBOOKS / f"{alert}.md").read_text()
    assert text.startswith(f"# {alert}\n")
    assert re.findall(r"^## (.*)$", text, re.M) == HEADINGS
    looking = text.partition("## How to look")[2].partition("## What to do")[0]
    assert "kubectl" in looking
    assert "```promql" in looking


def test_every_runbook_page_is_of_an_alert_and_in_the_list():
    pages = {page.stem for page in RUNBOOKS.glob("*.md")} - {"README"}
    assert pages == set(ALERTS)
    listed = (RUNBOOKS / "README.md").read_text()
    for alert, rule in ALERTS.items():
        assert f"| [{alert}]({alert}.md) | {rule['labels']['severity']} | {rule['for']} |" in listed


def test_every_query_of_a_runbook_is_promql_and_knows_its_metrics(promtool: Any, tmp_path: Path):
    known = set(re.findall(r"`(dataefficient_\w+)`", METRICS.read_text()))
    known |= {f"{name}_{end}" for name in known for end in ("bucket", "sum", "count")}
    rules = []
    for page in sorted(RUNBOOKS.glob("*.md")):
        for query in re.findall(r"```promql\n(.*?)```", page.read_text(), re.S):
            assert set(re.findall(r"dataefficient_\w+", query)) <= known, page.stem
            rules.append({"record": f"runbook:{len(rules)}", "expr": query})
    assert len(rules) >= len(ALERTS)
    (tmp_path / "queries.yaml").write_text(yaml.safe_dump({"groups": [{"name": "runbooks", "rules": rules}]}))
    done = promtool("check", "rules", str(tmp_path / "queries.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr
