"""Requests and reports with riders that break the contract are refused with the rider and its field."""

from __future__ import annotations

import json
import re

import pytest

from contract.test_refusals import ABSENT, MODEL, REPORT, REQUEST, SUMS, changed
from dataefficient.contract import ContractError, encode, parse_report, parse_request, to_json

TRIAL = {name: REQUEST[name] for name in REQUEST.keys() - {"version", "frozen"}}
TRIAL |= {"run": "c001-trial", "role": "Trial", "output": "/trial", "seed": 2, "size": 4}
FORK = {name: TRIAL[name] for name in TRIAL.keys() - {"start", "evaluation"}}
FORK |= {"run": "c001-control", "output": "/control", "size": 8, "fork": True}
WITH_RIDERS = REQUEST | {"riders": [TRIAL, FORK]}
RIDER = {name: REPORT[name] for name in ("rows", "checkpoint", "position")}
RIDER |= {
    "run": "c001-trial",
    "seconds": {"startup": 0, "read": 1, "train": 0.5, "evaluate": 0.25, "total": 1.75},
}
ANSWER = json.loads(
    json.dumps(REPORT | {"takesRiders": True, "riders": [RIDER, RIDER | {"run": "c001-control"}]})
)
ANSWER["evaluated"]["models"]["c001-trial"] = SUMS


def test_a_request_with_riders_and_its_report_are_accepted():
    request = parse_request(json.dumps(WITH_RIDERS))
    assert [(rider.run, rider.fork) for rider in request.riders] == [
        ("c001-trial", False),
        ("c001-control", True),
    ]
    assert parse_request(to_json(request)) == request
    report = parse_report(json.dumps(ANSWER), request)
    assert [rider.run for rider in report.riders] == ["c001-trial", "c001-control"]
    assert parse_report(to_json(report), request) == report


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("riders", [TRIAL] * 4, "riders: 4 riders; at most 3"),
        ("fork", True, "fork: true, but only a rider can be a fork of the run that leads"),
        ("riders.0.run", "c001-candidate", "riders[0].run: 'c001-candidate' is the name of another"),
        ("riders.1.run", "c001-trial", "riders[1].run: 'c001-trial' is the name of another run"),
        ("riders.0.run", "start", "riders[0].run: 'start' is the name of another"),
        ("riders.0.run", "control", "riders[0].run: 'control' is the name of another"),
        ("riders.0.output", "/out", "riders[0].output: '/out' belongs to another run"),
        ("riders.1.output", "/trial", "riders[1].output: '/trial' belongs to another run"),
        ("riders.0.resource", "default/other", "riders[0].resource: not that of the run that leads"),
        ("riders.0.cycle", 2, "riders[0].cycle: not that of the run that leads"),
        ("riders.0.data.uri", "/e.parquet", "riders[0].data: not that of the run that leads"),
        ("riders.0.config", {"a": 1}, "riders[0].config: not that of the run that leads"),
        ("riders.0.device", "cuda", "riders[0].device: not that of the run that leads"),
        ("riders.0.threads", 2, "riders[0].threads: not that of the run that leads"),
        ("riders.0.riders", [FORK], "riders[0].riders: a rider cannot have riders"),
        ("riders.0.train", ABSENT, "riders[0].train: missing; a rider is a run that trains"),
        ("riders.0.evaluation.share", 0.2, "riders[0].evaluation: not that of the run that leads"),
        ("evaluation", ABSENT, "riders[0].evaluation: not that of the run that leads"),
        ("riders.0.frozen", {"a": MODEL}, "riders[0].frozen: only the run that leads scores"),
        ("riders.1.start", MODEL, "riders[1].start: given, but a fork starts as a copy"),
        ("riders.1.size", 4, "riders[1].size: 4, but a fork is a copy of the model"),
        ("train", ABSENT, "riders[1].fork: true, but the run that leads trains no model to copy"),
        ("riders.1.train.start", "2000-12-31T00:00:00Z", "riders[1].train.start: 2000-12-31T00:"),
        (
            "riders.1.train",
            TRIAL["train"] | {"start": "2001-01-02T00:00:00Z", "end": "2001-01-03T00:00:00Z"},
            "riders[1].train.start: 2001-01-02T00:00:00Z is outside the training of the run that leads, [",
        ),
        ("riders.0.size", 0, "riders[0].size: 0 is not positive"),
        ("riders.0.size", "8", "riders[0].size: expected an integer, found '8'"),
        ("riders.0.train.rate", 2, "riders[0].train.rate: 2.0 is outside (0, 1]"),
        ("riders.0.train.end", "2001-01-01T00:00:00Z", "riders[0].train.end: 2001-01-01T00:00:00Z is not"),
        ("riders.0.colour", "red", "riders[0].colour: unknown field"),
        ("riders", {}, "riders: expected a list, found {}"),
    ],
)  # fmt: skip
def test_a_rider_of_a_request_is_refused_with_its_field(path, value, message):
    with pytest.raises(ContractError, match=f"^request.{re.escape(message)}"):
        parse_request(changed(WITH_RIDERS, path, value))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("riders.0.run", "c001-probe", "riders[0].run: 'c001-probe' is not a rider of"),
        ("riders.1.run", "c001-trial", "riders[0].run: 'c001-trial' is there twice"),
        ("riders.0.riders", [RIDER], "riders[0].riders: a rider cannot have riders"),
        (
            "riders.0.evaluated",
            REPORT["evaluated"],
            "riders[0].evaluated: given; what a rider scored belongs in report.eval",
        ),
        ("riders.0.checkpoint", ABSENT, "riders[0].checkpoint: missing, though"),
        ("riders.0.position", ABSENT, "riders[0].position: missing, though"),
        ("riders.0.position", "2001-01-03T00:00:00Z", "riders[0].position: 2001-01-03T00:00:00Z is after"),
        ("riders.0.rows.kept", 101, "riders[0].rows.kept: 101 is more than read, 100"),
        ("riders.0.rows.bad", -1, "riders[0].rows: a count is negative"),
        ("riders.0.seconds.train", 0, "riders[0].seconds.train: 0, though rows.kept is not"),
        ("riders.0.seconds.total", 0, "riders[0].seconds: a duration is"),
        (
            "riders.0.seconds.total",
            2.3,
            "riders: their seconds.total add up to 4.05, more than report.seconds.total, 4",
        ),
        ("evaluated.models.c001-trial", ABSENT, "evaluated.models.c001-trial: missing"),
        ("evaluated.models.c001-trial.loss", [1.0], "evaluated.models.c001-trial.loss: 1 blocks"),
        ("takesRiders", 1, "takesRiders: expected true or false, found 1"),
    ],
)  # fmt: skip
def test_a_rider_of_a_report_is_refused_with_its_field(path, value, message):
    with pytest.raises(ContractError, match=f"^report.{re.escape(message)}"):
        parse_report(changed(ANSWER, path, value), parse_request(json.dumps(WITH_RIDERS)))


def test_a_report_of_riders_that_nobody_asked_for_is_refused():
    with pytest.raises(ContractError, match="is not a rider of the request: none"):
        parse_report(json.dumps(ANSWER), parse_request(json.dumps(REQUEST)))


def test_a_rider_that_failed_is_absent_and_the_others_count():
    body = json.loads(json.dumps(ANSWER))
    del body["riders"][0], body["evaluated"]["models"]["c001-trial"]
    report = parse_report(json.dumps(body), parse_request(json.dumps(WITH_RIDERS)))
    assert [rider.run for rider in report.riders] == ["c001-control"]


def test_a_trainer_that_knows_no_riders_says_nothing_of_them():
    assert not parse_report(json.dumps(REPORT), parse_request(json.dumps(REQUEST))).takes_riders
    assert {"riders", "fork"}.isdisjoint(encode(parse_request(json.dumps(REQUEST))))
