"""The prose version of the trainer contract says what the code says."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest

from dataefficient import contract

DOCUMENT = (Path(__file__).parents[2] / "docs" / "trainer-contract.md").read_text()


def block(name: str) -> str:
    (found,) = re.findall(rf"```json {name}\n(.*?)```", DOCUMENT, re.DOTALL)
    return found


def compact(text: str) -> str:
    return re.sub(r"\s*\n\s*", "", text)


def test_its_request_is_one():
    request = contract.parse_request(block("request"))
    assert (request.run, request.train.policy) == ("c003-candidate", contract.Policy.NEGATIVES)


def test_its_report_answers_its_request():
    report = contract.parse_report(compact(block("report")), contract.parse_request(block("request")))
    assert report.position == contract.parse_request(block("request")).train.end


def test_its_riders_belong_to_its_request_and_report():
    body = json.loads(block("request")) | {"riders": json.loads(block("riders"))}
    request = contract.parse_request(json.dumps(body))
    assert [rider.fork for rider in request.riders] == [True]
    answer = json.loads(block("report")) | {"takesRiders": True, "riders": json.loads(block("riders-report"))}
    report = contract.parse_report(json.dumps(answer, separators=(",", ":")), request)
    assert [rider.run for rider in report.riders] == ["c003-trial"]


KINDS = [
    *(contract.RunRequest, contract.Data, contract.Train, contract.Evaluation, contract.Scales),
    *(
        contract.RunReport,
        contract.Rows,
        contract.Seconds,
        contract.Evaluated,
        contract.Scored,
        contract.Slice,
    ),
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_named(kind):
    for name in (field.name for field in dataclasses.fields(kind)):
        head, *rest = name.split("_")
        camel = head + "".join(part.capitalize() for part in rest)
        assert re.search(rf"\b{camel}\b", DOCUMENT), camel


@pytest.mark.parametrize("code", contract.ExitCode)
def test_every_exit_code_is_explained(code):
    assert f"\n| {code.value} | " in DOCUMENT


@pytest.mark.parametrize("name", [*contract.Policy, *contract.Role])
def test_every_policy_and_role_is_explained(name):
    assert f"`{name}`" in DOCUMENT


@pytest.mark.parametrize(
    "name",
    [
        contract.REQUEST_VARIABLE,
        contract.REPORT_VARIABLE,
        contract.PROGRESS_VARIABLE,
        contract.METRICS_PORT_VARIABLE,
    ],
)
def test_every_variable_is_explained(name):
    assert f"| `{name}` |" in DOCUMENT


def test_its_limits_are_the_codes_limits():
    assert f"at most {contract.MAX_REPORT_BYTES:,} bytes" in DOCUMENT
    assert f"at most\n{contract.MAX_BLOCKS}," in DOCUMENT
    assert f"up to {contract.MAX_FROZEN} more" in DOCUMENT
    assert f"at most {contract.MAX_SLICES} values" in DOCUMENT
    assert f"up to {contract.MAX_RIDERS} runs" in DOCUMENT
