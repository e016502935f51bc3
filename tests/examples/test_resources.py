"""The example resources are valid, with data that are there or are named in a README."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataefficient.api.load import load_resource
from dataefficient_trainer import config

EXAMPLES = Path(__file__).parents[2] / "examples"
RESOURCES = sorted(p for p in EXAMPLES.rglob("*.yaml") if "\nkind: DataEfficientTraining" in p.read_text())


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


def test_the_two_flight_resources_differ_only_in_features_and_their_tuning():
    coarse, fine = (
        load_resource(EXAMPLES / "flights" / f"{name}.yaml").spec for name in ("late-flights", "flight-level")
    )
    assert coarse.trainer.config != fine.trainer.config
    tuned = ("kpi", "trainer", "knobs", "exploration")
    changed = {name: getattr(coarse, name) for name in tuned}
    assert fine.model_copy(update=changed) == coarse


def test_what_is_known_only_after_a_flight_is_no_feature_of_the_new_york_flights():
    settings = config.parse(load_resource(EXAMPLES / "nycflights" / "late15.yaml").spec.trainer.config)
    after = {
        "dep_time", "dep_delay", "arr_time", "arr_delay", "air_time", "hour", "minute",
        "cancelled", "arr_missing",
    }  # fmt: skip
    assert settings.features is not None
    assert after.isdisjoint({*settings.features.categorical, *settings.features.numeric})
    assert after.isdisjoint(settings.time.parts.values())
