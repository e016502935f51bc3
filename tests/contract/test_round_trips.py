"""What is written can be read back, whatever it holds, and stays within its limits."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataefficient import contract
from dataefficient.contract import (
    CheckpointRef,
    ContractError,
    Data,
    Evaluated,
    Evaluation,
    Policy,
    Role,
    Rows,
    RunReport,
    RunRequest,
    Scales,
    Scored,
    Seconds,
    Slice,
    Train,
)

EPOCH = datetime(2001, 1, 1, tzinfo=UTC)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
times = st.integers(0, 10**15).map(lambda micros: EPOCH + timedelta(microseconds=micros))
shares = st.floats(1e-9, 1.0)
refs = st.builds(CheckpointRef, text, text)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def spans(draw):
    start, end = sorted(draw(st.lists(times, min_size=2, max_size=2, unique=True)))
    return start, end


@st.composite
def requests(draw):
    train_span, evaluation_span = draw(spans()), draw(spans())
    inner = st.integers(1, 10**15).map(lambda micros: evaluation_span[0] + timedelta(microseconds=micros))
    ends = sorted(
        {t for t in draw(st.lists(inner, max_size=15)) if t < evaluation_span[1]} | {evaluation_span[1]}
    )
    return RunRequest(
        resource=draw(text),
        cycle=draw(st.integers(0, 10**6)),
        run=draw(text),
        role=draw(st.sampled_from(Role)),
        data=Data(*draw(st.tuples(text, text, text)), tuple(draw(st.lists(text, min_size=1, max_size=3)))),
        train=Train(*train_span, draw(st.sampled_from(Policy)), draw(shares), draw(text)),
        evaluation=draw(
            st.none()
            | st.just(Evaluation(*evaluation_span, draw(shares), draw(text), tuple(ends), draw(shares)))
        ),
        size=draw(st.integers(1, 2**40)),
        seed=draw(st.integers(-(2**63) + 1, 2**63 - 1)),
        output=draw(text),
        start=draw(st.none() | refs),
        frozen=draw(
            st.dictionaries(text.filter(lambda name: name not in contract.RESERVED_NAMES), refs, max_size=4)
        ),
        keep=tuple(draw(st.lists(text, max_size=3))),
        scales=draw(st.builds(Scales, st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))),
        config=draw(st.dictionaries(text, json_values, max_size=3)),
        device=draw(st.sampled_from(["cpu", "cuda", "tpu"])),
        threads=draw(st.integers(1, 64)),
        deadline_seconds=draw(st.none() | st.floats(1e-3, 1e6)),
    )


@st.composite
def reports(draw, request):
    blocks = len(request.evaluation.boundaries) if request.evaluation else 0
    n = tuple(draw(st.lists(st.integers(0, 10**6), min_size=blocks, max_size=blocks)))
    names = ["self", *request.frozen, *(["start"] if request.start else [])]
    share = draw(st.floats(0.0, 1.0))
    scored = Scored(
        tuple(round(rows * share, 3) for rows in n),
        tuple(round(rows * share, 3) for rows in n),
        draw(st.none() | shares),
    )
    evaluated = Evaluated(n, tuple(int(rows * share) for rows in n), "d", dict.fromkeys(names, scored))
    read = draw(st.integers(0, 10**9))
    return RunReport(
        run=request.run,
        rows=Rows(read=read, kept=read // 2, bad=3, positives=read // 3, kept_positives=read // 4),
        seconds=Seconds(0.5, 1.0, 1.25, 2.25, draw(st.floats(1e-3, 1e6))),
        checkpoint=draw(refs),
        position=request.train.end,
        evaluated=evaluated if request.evaluation else None,
    )


@given(requests())
def test_a_request_is_read_back_as_it_was_written(request):
    assert contract.parse_request(contract.to_json(request)) == request


@given(st.data())
def test_a_report_is_read_back_as_it_was_written(data):
    request = data.draw(requests())
    report = data.draw(reports(request))
    assert contract.parse_report(contract.to_json(report), request) == report


@given(requests())
def test_bytes_and_text_mean_the_same(request):
    written = contract.to_json(request)
    assert contract.parse_request(written.encode()) == contract.parse_request(written)


@given(times)
def test_a_time_is_read_back_to_the_microsecond(instant):
    written = contract.format_time(instant)
    assert written.endswith("Z")
    assert contract.parse_time(written) == instant


def test_a_time_with_another_offset_is_the_same_instant():
    assert contract.parse_time("2001-01-01T02:00:00+02:00") == EPOCH


def test_what_has_its_default_is_not_written():
    request = RunRequest(
        "a/b", 0, "r", Role.PROBE, Data("u", "t", "y", ("k",)),
        Train(EPOCH, EPOCH + timedelta(1), Policy.UNIFORM, 1.0, "s"), None, 4, 1, "o",
    )  # fmt: skip
    assert {"start", "scales", "keep", "device", "threads"}.isdisjoint(json.loads(contract.to_json(request)))


def test_names_are_camel_case():
    body = contract.encode(Seconds(1, 1, 1, 1, 1)) | contract.encode(Rows(1, 1, kept_positives=1))
    assert {"keptPositives", "startup", "total"} <= body.keys()


@pytest.mark.parametrize(("models", "slices"), [(6, 0), (3, 8)])
def test_a_full_report_fits(models, slices):
    sums = tuple(54321.678 + i for i in range(contract.MAX_BLOCKS))
    names = ["self", "start", "control", "trial", "older", "other"][:models]
    report = RunReport(
        "c0123-candidate",
        Rows(10**9, 10**9, 10**6, 10**8, 10**8, 10**7, 123456789.5),
        Seconds(12.25, 1234.5, 1234.5, 123.25, 2468.5),
        CheckpointRef(
            "s3://bucket/late-flights/c0123-candidate/checkpoint.safetensors", "sha256:" + "a" * 64
        ),
        EPOCH,
        Evaluated(
            (100_000,) * contract.MAX_BLOCKS,
            (50_000,) * contract.MAX_BLOCKS,
            "0" * 32,
            dict.fromkeys(names, Scored(sums, sums, 0.6731)),
            (Slice("destination", "a name of 24 characters.", 10_000, 5432.1678, 5432.1678),) * slices,
        ),
    )
    assert len(contract.to_json(report).encode()) <= contract.MAX_REPORT_BYTES


def test_a_report_that_is_too_long_is_not_written():
    report = RunReport("r", Rows(1, 1), Seconds(0, 0, 1, 0, 1), None, None, None, extra={"x" * 3100: 1.0})
    with pytest.raises(ContractError, match="at most 3072"):
        contract.to_json(report)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_not_finite_is_not_written(value):
    with pytest.raises(ContractError, match="not a finite number"):
        contract.to_json(
            RunReport("r", Rows(1, 1), Seconds(0, 0, 1, 0, 1), None, None, None, extra={"x": value})
        )
