"""A report that would be too long says less, the least important first, and never becomes wrong."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from dataefficient.contract import (
    MAX_REPORT_BYTES,
    CheckpointRef,
    Evaluated,
    Rows,
    RunReport,
    Scored,
    Seconds,
    Slice,
    to_json,
)
from dataefficient_trainer.errors import UserError
from dataefficient_trainer.fitting import fit

FOLDER = "s3://bucket/default/late-flights/runs/"
EXTRA = ("missingCells", "malformedCells", "notFiniteCells", "steps", "batch", "trainLoss", "sparseRate")


def one(run, **changes):
    report = RunReport(
        run,
        Rows(1_234_567, 1_034_567, 1_234, 234_567, 224_567, 123_456, 123_456.789123),
        Seconds(0.0, 12.345678, 123.45678, 12.345678, 148.148136),
        CheckpointRef(f"{FOLDER}{run}/checkpoint.safetensors", "sha256:" + "a" * 64),
        datetime(2001, 1, 1, 0, 5, tzinfo=UTC),
        None,
        extra=dict.fromkeys(EXTRA, 123_456.789),
    )
    return replace(report, **changes)


def scored(seed, blocks):
    random = np.random.default_rng(seed)
    return Scored(
        tuple(random.uniform(1_000, 9_999, blocks).tolist()),
        tuple(random.uniform(1_000, 9_999, blocks).tolist()),
        0.612345678,
    )


def whole(models, riders, *, blocks=16, slices=8, kept=2):
    evaluated = Evaluated(
        (22_811,) * blocks,
        (4_512,) * blocks,
        "0" * 32,
        {name: scored(i, blocks) for i, name in enumerate(models)},
        (Slice("destination", "a name of 24 characters.", 10_000, 5432.1678123, 5432.1678123),) * slices,
    )
    return one(
        "c012-candidate",
        evaluated=evaluated,
        riders=tuple(one(name) for name in riders),
        takes_riders=True,
        kept_checkpoints=tuple(f"{FOLDER}c{i:03d}-candidate/checkpoint.safetensors" for i in range(kept)),
    )


RIDERS = ("c012-probe-1", "c012-probe-2", "c012-probe-3")


@pytest.mark.parametrize(
    ("models", "riders", "error"),
    [
        (("self", "start", "champion", "control"), RIDERS[:2], 5e-6),
        (("self", *RIDERS), RIDERS, 1e-4),
        (("self", "start", "a", "b", "c", "d"), (), 1e-6),
    ],
)
def test_the_largest_reports_fit_with_losses_that_can_be_compared(models, riders, error):
    report = whole(models, riders)
    fitted = fit(report)
    assert len(to_json(fitted).encode()) <= MAX_REPORT_BYTES
    assert [r.run for r in fitted.riders] == list(riders)
    for name in models:
        found, expected = fitted.evaluated.models[name], report.evaluated.models[name]
        assert sum(found.loss) == pytest.approx(sum(expected.loss), rel=error)
        assert sum(found.predicted) == pytest.approx(sum(expected.predicted), rel=1e-3)


def test_riders_say_nothing_for_people_before_a_slice_goes():
    report = whole(("self", "start", "c012-trial"), ("c012-trial",), blocks=8)
    fitted = fit(report)
    assert fitted.riders[0].extra == {}
    assert (len(fitted.evaluated.slices), len(fitted.extra)) == (8, len(EXTRA))
    assert fit(whole(("self",), ("c012-trial",), blocks=2, slices=0)).riders[0].extra != {}


def test_a_rider_that_has_no_room_is_left_out_and_the_run_that_leads_reports(capsys):
    report = whole(("self", "start", "a", "b", *RIDERS), RIDERS)
    fitted = fit(report)
    assert [r.run for r in fitted.riders] == list(RIDERS[: len(fitted.riders)])
    assert 0 < len(fitted.riders) < 3
    assert fitted.evaluated.models.keys() == {"self", "start", "a", "b", *RIDERS[: len(fitted.riders)]}
    assert "notice: c012-probe-3 is left out: the report has no room for it" in capsys.readouterr().err


def test_what_cannot_fit_is_refused():
    with pytest.raises(UserError, match="ask for fewer blocks or frozen checkpoints"):
        fit(whole([f"model{i}" for i in range(12)], ()))


def test_a_short_duration_never_becomes_none():
    report = one("r", seconds=Seconds(0.0, 1.23456789e-5, 1e-9, 0.0, 1e-4))
    assert fit(report).seconds == Seconds(0.0, 1.2346e-5, 1e-9, 0.0, 1e-4)
