"""The examples of values in ci/, the descriptions of values, and the README that is made of both.

What is rendered is held against the server that the tests run on, by a strict dry run: its own schemas, and
its own admission, Pod Security among it. Kinds that it does not know are those of `test_monitoring`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.helm import CHART, Helm
from cluster.control_plane import ControlPlane, KubectlError

EXAMPLES = sorted((CHART / "ci").glob("*-values.yaml"))
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
FOREIGN = "monitoring.coreos.com/v1"

each_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: str(path.name))


def pods(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every pod that the objects are or make."""
    made = []
    for one in objects:
        template = one["spec"].get("template") if one["kind"] == "Deployment" else None
        if one["kind"] == "Pod":
            made.append(one)
        elif template is not None:
            about = {**template["metadata"], "name": one["metadata"]["name"], "namespace": "ops"}
            # The server refuses a pod whose account is not there yet; which account it is does not matter.
            spec = {**template["spec"], "serviceAccountName": "default"}
            made.append({"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": spec})
    return made


@each_example
def test_an_example_has_no_fault_that_helm_can_find(helm: Helm, example: Path):
    assert "0 chart(s) failed" in helm("lint", "--strict", str(CHART), f"--values={example}")


@each_example
def test_the_server_takes_all_that_an_example_renders(own: ControlPlane, helm: Helm, example: Path):
    objects = helm.rendered("--namespace=ops", f"--values={example}")
    known = [one for one in objects if one["apiVersion"] != FOREIGN]
    said = own.kubectl("apply", "--dry-run=server", "--validate=strict", "--filename=-", given=known)
    assert said.count("(server dry run)") == len(known)
    deployment = next(one for one in known if one["kind"] == "Deployment")
    wrong = {**deployment, "spec": {**deployment["spec"], "replica": 1}}
    with pytest.raises(KubectlError, match=r'unknown field "(spec\.)?replica"'):
        own.kubectl("apply", "--dry-run=server", "--validate=strict", "--filename=-", given=wrong)


@each_example
def test_every_pod_of_an_example_may_run_under_the_restricted_standard(
    own: ControlPlane, helm: Helm, example: Path
):
    made = pods(helm.rendered("--namespace=ops", f"--values={example}"))
    assert len(made) == 2, "the operator's, and the test of the release"
    assert (
        own.get("namespace", "ops")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
        == "restricted"
    )
    said = own.kubectl("create", "--dry-run=server", "--validate=strict", "--filename=-", given=made)
    assert said.count("created (server dry run)") == 2
    open_to_all = {**made[0], "spec": {**made[0]["spec"], "securityContext": {}}}
    with pytest.raises(KubectlError, match='violates PodSecurity "restricted'):
        own.kubectl("create", "--dry-run=server", "--filename=-", given=open_to_all)


def test_together_the_examples_render_every_template(helm: Helm):
    shown = "".join(helm("template", "det", str(CHART), f"--values={example}") for example in EXAMPLES)
    templates = {path.relative_to(CHART).as_posix() for path in (CHART / "templates").rglob("*.yaml")}
    missing = {one for one in templates if f"/{one}\n" not in shown}
    assert missing == set()


def parts(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every part of the schema with its path."""
    if path:
        yield path, schema
    for name, part in schema.get("properties", {}).items():
        yield from parts(part, f"{path}.{name}" if path else name)
    for name, sign in (("items", "[]"), ("additionalProperties", ".*")):
        if isinstance(schema.get(name), dict):
            yield from parts(schema[name], path + sign)


def test_every_value_is_described():
    without = [path for path, part in parts(SCHEMA) if not part.get("description", "").endswith((".", ")."))]
    assert without == []


def given(values: dict[str, Any], schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """Paths of the values, as deep as the schema names them."""
    for name, value in values.items():
        where = f"{path}.{name}" if path else name
        part = schema.get("properties", {}).get(name, {})
        yield where
        if isinstance(value, dict) and part.get("properties"):
            yield from given(value, part, where)


def test_the_schema_knows_the_values_that_have_a_default_and_no_others():
    named = {path for path, _ in parts(SCHEMA) if "[" not in path and "*" not in path} - {"global"}
    assert named == set(given(VALUES, SCHEMA))


def test_the_readme_is_what_values_schema_and_examples_say(tmp_path: Path):
    script = Path(__file__).parents[2] / "hack" / "chart_readme.py"
    made = tmp_path / "README.md"
    subprocess.run([sys.executable, str(script), f"--output={made}"], check=True)
    assert (CHART / "README.md").read_text() == made.read_text(), "run: python hack/chart_readme.py"
    for path in given(VALUES, SCHEMA):
        leaf = not any(other.startswith(f"{path}.") for other in given(VALUES, SCHEMA))
        assert (f"| `{path}` |" in made.read_text()) == leaf, path
