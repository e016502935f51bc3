"""The example resources are valid, with data that are there or are named in a README."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataefficient.api.load import load_resource
from dataefficient_trainer import config

EXAMPLES = Path(__file__).parents[2] / "examples"
RESOURCES = sorted(EXAMPLES.rglob("*.yaml"))


@pytest.mark.parametrize("path", RESOURCES, ids=lambda path: path.stem)
def test_it_is_accepted(path):
    spec = load_resource(path).spec
    assert spec.schedule.end_time is not None, "an example must come to an end"


@pytest.mark.parametrize("path", RESOURCES, ids=lambda path: path.stem)
def test_the_trainer_accepts_its_configuration(path):
    trainer = load_resource(path).spec.trainer
    command = trainer.template["spec"]["containers"][0]["command"]
    if command == ["python", "-m", "dataefficient_trainer"]:
        config.parse(trainer.config)
    else:
        assert (path.parent / command[1]).is_file()


@pytest.mark.parametrize("path", RESOURCES, ids=lambda path: path.stem)
def test_its_data_are_beside_it_or_the_readme_says_how_to_get_them(path):
    uri = load_resource(path).spec.data.uri
    assert not Path(uri).is_absolute()
    assert (path.parent / uri).is_file() or uri in (path.parent / "README.md").read_text()


@pytest.mark.parametrize("path", RESOURCES, ids=lambda path: path.stem)
def test_its_first_lines_say_how_to_run_it(path):
    where = path.relative_to(EXAMPLES.parent)
    assert f"detctl run -f {where} --workdir work/" in path.read_text().split("apiVersion")[0]


def test_the_two_flight_resources_differ_in_features_only():
    coarse, fine = (
        load_resource(EXAMPLES / "flights" / f"{name}.yaml").spec for name in ("late-flights", "flight-level")
    )
    assert coarse.trainer.config != fine.trainer.config
    changed = {"kpi": coarse.kpi, "trainer": coarse.trainer}
    assert fine.model_copy(update=changed) == coarse
