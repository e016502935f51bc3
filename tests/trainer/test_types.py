"""Columns of every type in every role: used, or refused with the field, the type and what is needed."""

import dataclasses

import pytest

from dataefficient.contract import Policy
from dataefficient_trainer.errors import TrainerError
from trainer.motley import COLUMNS, ROWS, write
from trainer.synthetic import launch, make_request, training

USER = {"features": {"categorical": ["user"]}}
NOT_NOW = "rows were found from"
"""A column that is read as a time, and another one than the stream's."""
SCORED = training(0, 9, policy=Policy.SCORED_NEGATIVES, rate=0.5)


def data(request, **changes):
    return {"data": dataclasses.replace(request.data, **changes)}


def featured(**kinds):
    return {"config": {"features": {"categorical": ["user"], **kinds}}}


ROLES = {
    "label": lambda r, c: data(r, label=c),
    "any of several labels": lambda r, c: {"config": {**USER, "label": {"anyOf": ["click", c]}}},
    "key": lambda r, c: data(r, key=(c,)),
    "group": lambda r, c: data(r, group=c),
    "time": lambda r, c: data(r, time=c),
    "time in seconds": lambda r, c: data(r, time=c) | {"config": {**USER, "time": {"unit": "s"}}},
    "part of the time": lambda r, c: {"config": {**USER, "time": {"parts": {"year": c}}}},
    "served": lambda r, c: data(r, served_prediction=c) | {"train": SCORED},
    "teacher": lambda r, c: {"config": {**USER, "distillation": {"teacher": c}}},
    "slices": lambda r, c: {"config": {**USER, "slices": [c]}},
    "kpi.slices": lambda r, c: {"evaluation": dataclasses.replace(r.evaluation, slices=(c,))},
    "numeric": lambda r, c: {"config": {"features": {"numeric": [c]}}},
    "categorical": lambda r, c: {"config": {"features": {"categorical": [c]}}},
    "vocabulary": lambda r, c: featured(categorical=[c], vocabulary={c: ["1", "b"]}),
    "list": lambda r, c: featured(lists={c: {}}),
    "separated": lambda r, c: featured(lists={c: {"separator": "|"}}),
    "derived": lambda r, c: featured(derived={"h": {"from": c, "part": "hour"}}),
}


@pytest.fixture(scope="module")
def motley(tmp_path_factory):
    """The stream with a column of each type."""
    return write(tmp_path_factory.mktemp("motley") / "motley.parquet")


@pytest.mark.parametrize("role", ROLES)
def test_a_column_is_used_or_refused_with_its_name(motley, tmp_path, role):
    used = []
    for column in COLUMNS:
        request = make_request(motley, tmp_path / column, train=training(0, 9), config=USER)
        try:
            launch(dataclasses.replace(request, **ROLES[role](request, column)))
        except TrainerError as refused:
            told = str(refused)
            assert column in told or NOT_NOW in told, told
        else:
            used.append(column)
    assert used != [] or role == "part of the time"


def test_a_model_of_numbers_alone_is_trained(motley, tmp_path):
    config = {"features": {"numeric": ["price", "half"]}}
    sizes = [launch(make_request(motley, tmp_path / str(s), size=s, config=config)) for s in (1, 4)]
    assert all(report.rows.kept == ROWS for report in sizes)
