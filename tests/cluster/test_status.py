"""The status: what the memory knows, in few bytes, valid by its own schema."""

import json
from dataclasses import replace
from datetime import timedelta
from statistics import median

import pytest

from cluster import objects
from cluster.living import Life
from cycle.playing import LONG_AFTER
from dataefficient.api.conditions import ConditionStatus, ConditionType, Reason
from dataefficient.api.status import Status
from dataefficient.cluster.outcome import Live
from dataefficient.cluster.status import previous, status
from dataefficient.cluster.view import Answer, View
from dataefficient.cluster.waiting import Waiting
from dataefficient.cycle.model import Memory


def size(body):
    return len(json.dumps(body, separators=(",", ":")))


@pytest.fixture(scope="module")
def statuses():
    """A status after every visit of a life of 24 cycles."""
    life = Life(objects.body(cycles=24, kpi={"target": "0.47", "tolerance": "0.02", "maxRegression": "0.02"}))
    seen = []

    def note(memory):
        seen.append((life.api.status(), memory))
        return False

    life.play(until=note)
    return seen


def test_it_keeps_its_own_schema_and_is_small(statuses):
    for body, _ in statuses:
        Status.model_validate_json(json.dumps(body))
    sizes = [size(body) for body, _ in statuses]
    assert max(sizes) < 64 * 1024
    assert median(sizes) <= 8 * 1024


def test_it_tells_what_the_memory_knows(statuses):
    body, memory = statuses[-1]
    assert body["cycle"] == memory.cycle
    assert body["champion"]["digest"] == memory.champion.checkpoint.digest
    assert len(body["history"]) == 20
    assert body["history"][-1]["cycle"] == memory.history[-1].cycle
    assert float(body["spent"]["settled"]["deviceHours"]) == pytest.approx(
        memory.ledger.settled / 3600, abs=1e-6
    )
    assert float(body["spent"]["settled"]["money"]) == pytest.approx(memory.ledger.settled / 1800, abs=1e-3)
    assert float(body["kpi"]["gapBound"]) == pytest.approx(memory.distance_bound, abs=1e-6)
    assert body["convergence"]["summary"]


def conditions(body):
    return {c["type"]: (c["status"], c["reason"]) for c in body["conditions"]}


def test_the_target_is_answered_from_the_pooled_level(statuses):
    body, memory = statuses[-1]
    recent = [r.kpi for r in memory.history[-3:]]
    assert float(body["kpi"]["value"]) == pytest.approx(sum(recent) / 3, abs=1e-6)
    assert conditions(body)["TargetMet"] == ("True", "Met")
    assert conditions(body)["KPIAvailable"] == ("True", "Reported")


def test_no_kpi_is_no_number():
    parsed = objects.resource(kpi={"target": "0.47"})
    body = status(View(parsed, Memory("default/made-up"), LONG_AFTER))
    assert "value" not in body["kpi"]
    assert "gap" not in body["kpi"]
    assert conditions(body)["TargetMet"] == ("Unknown", "NotYetKnown")


def test_a_condition_keeps_its_time_while_its_status_stays():
    view = View(objects.resource(), Memory("default/made-up"), LONG_AFTER)
    first = status(view)
    later = replace(view, now=LONG_AFTER + timedelta(hours=1), before=previous(first))
    assert status(later)["conditions"] == first["conditions"]


@pytest.mark.parametrize("kind", ["Unschedulable", "ImageNotPulled", "RunFailed"])
def test_a_run_that_waits_for_a_person_makes_it_unready_with_the_cause(kind):
    parsed = objects.resource()
    memory = Memory("default/made-up", running=(objects.plan(parsed),))
    live = {"c000-pilot": Live(waiting=Waiting(kind, "the image trainer:1 cannot be pulled"))}
    body = status(View(parsed, memory, LONG_AFTER, live))
    assert conditions(body)["Ready"] == ("False", kind)
    assert conditions(body)["Progressing"] == ("False", kind)
    assert body["runs"][0]["reason"] == "the image trainer:1 cannot be pulled"


def test_an_address_that_is_too_long_is_cut_instead_of_failing_the_status(statuses):
    _, memory = statuses[-1]
    long = replace(memory.champion, checkpoint=replace(memory.champion.checkpoint, uri="s3://" + "x" * 3000))
    body = status(View(objects.resource(), replace(memory, champion=long), LONG_AFTER))
    Status.model_validate_json(json.dumps(body))


def test_what_was_read_back_has_the_last_word():
    answer = Answer(ConditionType.COST_AGREES, ConditionStatus.FALSE, Reason.DIFFERS, "Prometheus says more.")
    view = View(objects.resource(), Memory("default/made-up"), LONG_AFTER, answers=(answer,))
    assert conditions(status(view))["CostAgrees"] == ("False", "Differs")


def test_in_mode_recommend_the_change_is_shown_and_not_made():
    life = Life(objects.body(cycles=3, mode="Recommend"))
    memory = life.play()
    assert {r.plan.point.rate for r in memory.history} == {1.0}
