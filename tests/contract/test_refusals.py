"""Every request and report that breaks the contract is refused with the field that breaks it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataefficient import contract
from dataefficient.contract import ContractError, parse_report, parse_request

REQUEST = {
    "version": contract.VERSION,
    "resource": "default/clicks",
    "cycle": 1,
    "run": "c001-candidate",
    "role": "Candidate",
    "data": {"uri": "/d.parquet", "time": "t", "label": "y", "key": ["k"]},
    "train": {
        "start": "2001-01-01T00:00:00Z",
        "end": "2001-01-02T00:00:00Z",
        "policy": "Uniform",
        "rate": 0.5,
        "salt": "s",
    },
    "evaluation": {
        "start": "2001-01-01T00:00:00Z",
        "end": "2001-01-02T00:00:00Z",
        "share": 0.1,
        "salt": "e",
        "boundaries": ["2001-01-01T12:00:00Z", "2001-01-02T00:00:00Z"],
    },
    "size": 8,
    "seed": 1,
    "output": "/out",
    "start": {"uri": "/start", "digest": "d"},
    "frozen": {"control": {"uri": "/control", "digest": "d"}},
}
SUMS = {"loss": [1.5, 0.0], "predicted": [2.0, 0.0], "auc": 0.7}
REPORT = {
    "version": contract.VERSION,
    "run": "c001-candidate",
    "rows": {
        "read": 100,
        "kept": 50,
        "positives": 20,
        "keptPositives": 10,
        "evaluated": 10,
        "effective": 50.0,
    },
    "seconds": {"startup": 1, "read": 1, "train": 1, "evaluate": 1, "total": 4},
    "checkpoint": {"uri": "/out/model", "digest": "d"},
    "position": "2001-01-02T00:00:00Z",
    "evaluated": {
        "n": [10, 0],
        "positives": [3, 0],
        "digest": "d",
        "models": {"self": SUMS, "start": SUMS, "control": SUMS},
        "slices": [{"column": "c", "value": "v", "n": 3, "loss": 1.0}],
    },
}
MODEL = {"uri": "/model", "digest": "d"}
ABSENT = object()


def changed(body: dict, path: str, value: object) -> str:
    """``body`` as JSON with the value at a dotted path replaced, or removed if ABSENT."""
    body = json.loads(json.dumps(body))
    *outer, last = path.split(".")
    place = body
    for name in outer:
        place = place[int(name) if isinstance(place, list) else name]
    if value is ABSENT:
        del place[last]
    else:
        place[int(last) if isinstance(place, list) else last] = value
    return json.dumps(body)


def test_the_unchanged_request_and_report_are_accepted():
    request = parse_request(json.dumps(REQUEST))
    assert parse_report(json.dumps(REPORT), request).run == "c001-candidate"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("version", "v0", "request.version: 'v0' is not 'dataefficient.training/trainer-v1'"),
        ("version", ABSENT, "request.version: None"),
        ("run", ABSENT, "request.run: missing"),
        ("run", 7, "request.run: expected a string, found 7"),
        ("cycle", 1.5, "request.cycle: expected an integer, found 1.5"),
        ("cycle", True, "request.cycle: expected an integer, found True"),
        ("seed", 2**63, "request.seed: an integer of more than 64 bits"),
        ("colour", "red", "request.colour: unknown field; allowed are resource, cycle"),
        ("role", "Winner", "request.role: 'Winner' is not one of Candidate, Probe, Trial, Control"),
        ("role", [], r"request.role: \[\] is not one of"),
        ("data", "d.parquet", "request.data: expected an object, found 'd.parquet'"),
        ("data.key", [], "request.data.key: at least one column"),
        ("data.key", "k", "request.data.key: expected a list, found 'k'"),
        ("data.key", ["k", 2], r"request.data.key\[1\]: expected a string, found 2"),
        ("train.policy", "All", "request.train.policy: 'All' is not one of Uniform, Negatives"),
        ("train.rate", 0, r"request.train.rate: 0.0 is outside \(0, 1\]"),
        ("train.rate", 1.01, r"request.train.rate: 1.01 is outside \(0, 1\]"),
        ("train.rate", "0.5", "request.train.rate: expected a finite number, found '0.5'"),
        ("train.rate", True, "request.train.rate: expected a finite number, found True"),
        ("train.rate", 10**400, "request.train.rate: expected a finite number, found 1000"),
        ("train.start", "yesterday", "request.train.start: 'yesterday' is not an RFC 3339 time"),
        ("train.start", 978307200, "request.train.start: 978307200 is not an RFC 3339 time"),
        ("train.start", "2001-01-01T00:00:00", "request.train.start: .* has no time zone"),
        ("train.start", "0001-01-01T00:00:00+14:00", "request.train.start: .* is not an RFC 3339 time"),
        ("train.end", "2001-01-01T00:00:00Z", "request.train.end: .* is not after the start"),
        ("evaluation.end", "2000-01-01T00:00:00Z", "request.evaluation.end: .* is not after the start"),
        ("evaluation.share", 0, r"request.evaluation.share: 0.0 is outside \(0, 1\]"),
        ("evaluation.share", 1.5, r"request.evaluation.share: 1.5 is outside \(0, 1\]"),
        ("evaluation.negatives", 0, r"request.evaluation.negatives: 0.0 is outside \(0, 1\]"),
        ("evaluation.negatives", 1.1, r"request.evaluation.negatives: 1.1 is outside \(0, 1\]"),
        ("evaluation.slices", list("abcdefghi"), "request.evaluation.slices: 9; at most 8 are allowed"),
        ("evaluation.boundaries", [], "request.evaluation.boundaries: 1 to 16 ascending times"),
        (
            "evaluation.boundaries",
            [f"2001-01-01T{hour:02}:00:00Z" for hour in range(1, 18)],
            "request.evaluation.boundaries: 1 to 16 ascending times",
        ),
        (
            "evaluation.boundaries",
            ["2001-01-02T00:00:00Z", "2001-01-01T12:00:00Z"],
            "request.evaluation.boundaries: 1 to 16 ascending times",
        ),
        ("evaluation.boundaries", ["2001-01-01T12:00:00Z"], "request.evaluation.boundaries: .* be the end"),
        (
            "evaluation.boundaries",
            ["2001-01-01T00:00:00Z", "2001-01-02T00:00:00Z"],
            "request.evaluation.boundaries: the first must follow the start",
        ),
        ("size", 0, "request.size: 0 is not positive"),
        ("threads", 0, "request.threads: 0 is not positive"),
        ("deadlineSeconds", -1, "request.deadlineSeconds: -1.0 is not positive"),
        ("scales", {"learningRate": 0}, "request.scales.learningRate: 0.0 is not positive"),
        ("scales", {"batch": -1}, "request.scales.batch: -1.0 is not positive"),
        ("frozen", dict.fromkeys("abcde", MODEL), "request.frozen: 5 checkpoints; at most 4"),
        ("frozen", [MODEL], r"request.frozen: expected an object, found \[{"),
        ("config", "fast", "request.config: expected an object, found 'fast'"),
        ("frozen", {"self": MODEL}, "request.frozen.self: the name is reserved"),
        ("frozen", {"start": MODEL}, "request.frozen.start: the name is reserved"),
        ("frozen", {"a": {"uri": "u"}}, "request.frozen.a.digest: missing"),
    ],
)  # fmt: skip
def test_a_request_is_refused_with_its_field(path, value, message):
    with pytest.raises(ContractError, match=f"^{message}"):
        parse_request(changed(REQUEST, path, value))


def test_a_request_without_anything_to_do_is_refused():
    body = {name: value for name, value in REQUEST.items() if name not in ("train", "evaluation")}
    with pytest.raises(ContractError, match="there is nothing to do"):
        parse_request(json.dumps(body))


def test_a_request_to_score_no_model_is_refused():
    body = {name: value for name, value in REQUEST.items() if name not in ("train", "start", "frozen")}
    with pytest.raises(ContractError, match="there is no model to score"):
        parse_request(json.dumps(body))


def test_null_means_left_out():
    request = parse_request(json.dumps(REQUEST | {"start": None, "deadlineSeconds": None}))
    assert (request.start, request.deadline_seconds) == (None, None)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("version", 2, "report.version: 2 is not"),
        ("run", "c002-candidate", "report.run: 'c002-candidate' is not 'c001-candidate'"),
        ("verdict", "good", "report.verdict: unknown field"),
        ("checkpoint", ABSENT, "report.checkpoint: missing, though the run was asked to train"),
        ("position", None, "report.position: missing, though the run was asked to train"),
        ("position", "2001-01-02T00:00:01Z", "report.position: .* is after train.end"),
        ("rows.read", -1, "report.rows: a count is negative"),
        ("rows.bad", -1, "report.rows: a count is negative"),
        ("rows.kept", 101, "report.rows.kept: 101 is more than read, 100"),
        ("rows.positives", 101, "report.rows.positives: 101 is more than read, 100"),
        ("rows.keptPositives", 51, "report.rows.keptPositives: 51 is more than kept, 50"),
        ("rows.effective", 50.1, "report.rows.effective: 50.1 is more than kept, 50"),
        ("rows.kept", None, "report.rows.kept: expected an integer, found None"),
        ("seconds.total", 0, "report.seconds: a duration is negative or the total is zero"),
        ("seconds.train", -0.1, "report.seconds: a duration is negative or the total is zero"),
        ("seconds.read", 0, "report.seconds.read: 0, though rows.read is not"),
        ("seconds.train", 0, "report.seconds.train: 0, though rows.kept is not"),
        ("seconds.evaluate", 0, "report.seconds.evaluate: 0, though rows.evaluated is not"),
        ("evaluated", ABSENT, "report.evaluated: missing, though the run was asked to score"),
        ("evaluated.models.self", ABSENT, "report.evaluated.models.self: missing"),
        ("evaluated.models.start", ABSENT, "report.evaluated.models.start: missing"),
        ("evaluated.models.control", ABSENT, "report.evaluated.models.control: missing"),
        ("evaluated.n", [10], "report.evaluated.n: 1 blocks, expected 2"),
        ("evaluated.positives", [3, 0, 0], "report.evaluated.positives: 3 blocks, expected 2"),
        ("evaluated.positives", [11, 0], "report.evaluated.positives: not between 0 and n in some block"),
        ("evaluated.models.self.loss", [1.0], "report.evaluated.models.self.loss: 1 blocks, expected 2"),
        ("evaluated.models.self.loss", [-0.1, 0], "report.evaluated.models.self.loss: a summed log"),
        ("evaluated.models.self.loss", [1.0, 0.1], "report.evaluated.models.self.loss: a block without"),
        ("evaluated.models.start.predicted", [1.0], "report.evaluated.models.start.predicted: 1"),
        ("evaluated.models.start.predicted", [10.5, 0], "report.evaluated.models.start.predicted: not "),
        (
            "evaluated.models.start.divergence",
            -0.1,
            r"report.evaluated.models.start.divergence: -0.1 is negative",
        ),
        ("evaluated.models.start.auc", 1.2, r"report.evaluated.models.start.auc: 1.2 is outside \[0, 1\]"),
        ("evaluated.slices", REPORT["evaluated"]["slices"] * 9, "report.evaluated.slices: 9; at most 8"),
        ("evaluated.slices.0.loss", -1, r"report.evaluated.slices\[0\]: a count, a summed log loss or"),
        ("evaluated.slices.0.error", -1, r"report.evaluated.slices\[0\]: a count, a summed log loss or"),
        ("extra", {"speed": "fast"}, "report.extra.speed: expected a finite number, found 'fast'"),
    ],
)  # fmt: skip
def test_a_report_is_refused_with_its_field(path, value, message):
    with pytest.raises(ContractError, match=f"^{message}"):
        parse_report(changed(REPORT, path, value), parse_request(json.dumps(REQUEST)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "report: not JSON"),
        ("loss: 0.4", "report: not JSON"),
        ("[1, 2]", "report: expected an object, found list"),
        (b"\xff\xfe{}", "report: not JSON"),
        ("[" * 3000, "report: not JSON: nested too deeply"),
        ("\udcff", "report: not JSON"),
        (json.dumps(REPORT)[:-5], "report: not JSON"),
        (json.dumps(REPORT).replace("1.5", "NaN"), r"report.evaluated.models.self.loss\[0\]: .* found nan"),
        (
            json.dumps(REPORT).replace("1.5", "-Infinity"),
            r"report.evaluated.models.self.loss\[0\]: .* found -inf",
        ),
        (json.dumps(REPORT) + " " * 3072, r"report: \d+ bytes; at most 3072 are allowed"),
    ],
)
def test_garbage_is_refused_in_a_sentence(text, message):
    with pytest.raises(ContractError, match=f"^{message}"):
        parse_report(text, parse_request(json.dumps(REQUEST)))


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_no_garbage_gets_through_or_raises_anything_else(text):
    with pytest.raises(ContractError):
        parse_report(text, parse_request(json.dumps(REQUEST)))


def test_a_long_value_is_shortened_in_the_message():
    with pytest.raises(ContractError) as caught:
        parse_request(json.dumps(REQUEST | {"run": ["x" * 10_000]}))
    assert len(str(caught.value)) < 200


def test_an_untrained_run_needs_no_checkpoint_and_no_model_of_its_own():
    request = parse_request(json.dumps({name: value for name, value in REQUEST.items() if name != "train"}))
    body = {name: value for name, value in REPORT.items() if name not in ("checkpoint", "position")}
    body["evaluated"] = REPORT["evaluated"] | {"models": {"start": SUMS, "control": SUMS}}
    assert parse_report(json.dumps(body), request).checkpoint is None
