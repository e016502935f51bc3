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
from dataefficient.contract import MAX_SLICES, Slice
from dataefficient.cycle.figures import Ask, Proposal
from dataefficient.cycle.model import Ledger, Memory


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
    assert body["convergence"]["summary"] == "not measured"


@pytest.mark.parametrize(
    ("total", "told"),
    [
        ({"money": "0.05"}, "0.0400/0.05 USD"),
        ({"money": "5"}, "0.04/5 USD"),
        ({"deviceHours": "2"}, "0.02/2 h"),
    ],
)
def test_what_is_spent_is_told_as_finely_as_its_budget(total, told):
    parsed = objects.resource(budget={"currency": "USD", "total": total})
    memory = Memory("default/made-up", ledger=Ledger(settled=72.0))
    assert status(View(parsed, memory, LONG_AFTER))["spent"]["summary"] == told


def test_the_first_published_cycle_is_not_told_as_failed(explored):
    _, body = explored
    assert {c["outcome"] for c in body["history"]} == {"Published"}


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


@pytest.fixture(scope="module")
def explored():
    """A life that could pay for small runs on its history and went over to a cheaper plan."""
    life = Life(objects.body(cycles=12, exploration={"share": "1"}, kpi={"tolerance": "0.05"}))
    return life.play(), life.api.status()


def test_savings_are_what_was_spent_against_what_full_data_would_have_taken(explored):
    memory, body = explored
    (saving,) = body["savings"]["against"]
    assert (saving["against"], saving["fromCycle"], saving["toCycle"]) == ("FullData", 0, 12)
    spent, full = (float(saving[name]["deviceHours"]) for name in ("spent", "control"))
    assert spent == pytest.approx(memory.ledger.settled / 3600, abs=1e-6)
    assert float(saving["share"]["value"]) == pytest.approx(1 - spent / full, abs=1e-3)
    assert float(saving["share"]["low"]) <= float(saving["share"]["value"]) <= float(saving["share"]["high"])
    assert float(saving["kpiDifference"]["high"]) == pytest.approx(memory.distance_bound, abs=1e-6)
    assert body["savings"]["summary"] == f"{float(saving['share']['value']):.0%} vs full data"


def test_the_surface_tells_what_the_small_runs_identify_and_leaves_out_the_rest(explored):
    memory, body = explored
    surface = body["surface"]
    assert surface["runs"] == len(memory.cold_starts)
    shown = {name for name in ("e", "a", "b", "alpha", "beta") if name in surface}
    assert shown == {name.lower() if len(name) == 1 else name for name in memory.surface.terms}
    assert memory.surface.terms.keys() | memory.surface.missing.keys() == {"E", "A", "B", "alpha", "beta"}
    assert surface["summary"]


def test_what_was_not_measured_has_no_savings_and_no_surface():
    body = status(View(objects.resource(), Memory("default/made-up"), LONG_AFTER))
    assert "savings" not in body
    assert "surface" not in body


def test_values_of_the_newest_candidate_are_told_where_the_resource_asks_for_them(explored):
    memory, _ = explored
    parts = (Slice("country", "NZ", 1_000, 505.0, 500.0, 4.0), Slice("country", "FI", 900, 400.0))
    older, newer = (replace(memory.history[-1], slices=told) for told in (parts[:1], parts))
    told = replace(memory, history=(older, newer, replace(newer, slices=())))
    asking = objects.resource(kpi={"tolerance": "0.02", "slices": ["country"]})
    first, second = status(View(asking, told, LONG_AFTER, {}))["kpi"]["slices"]
    assert first == {
        "column": "country",
        "value": "NZ",
        "rows": 1_000,
        "logLoss": "0.505000",
        "difference": "0.010000",
        "standardError": "0.008000",
    }
    assert second.keys() == {"column", "value", "rows", "logLoss"}
    assert not status(View(objects.resource(), told, LONG_AFTER, {}))["kpi"].get("slices")


def test_the_largest_status_that_a_memory_can_lead_to_stays_below_its_bound(explored):
    memory, _ = explored
    record, champion = memory.history[-1], memory.champion
    long = "a sentence " * 200
    parts = (Slice("c" * 128, "v" * 64, 10**9, 123456789.0, 123456789.1, 12345.6),) * MAX_SLICES
    many = tuple(replace(record, cycle=cycle, notes=(long,), slices=parts) for cycle in range(64))
    wide = replace(champion, checkpoint=replace(champion.checkpoint, uri="s3://" + "x" * 3000))
    parsed = objects.resource(
        mode="Recommend",
        checkpoints={"uri": "s3://bucket/checkpoints", "keep": 32},
        kpi={"tolerance": "0.02", "slices": ["c" * 128]},
    )
    plan = objects.plan(parsed)
    crowded = replace(
        memory,
        history=many,
        champion=wide,
        previous_champions=(wide,) * 31,
        running=tuple(objects.plan(parsed, f"probe-{i}") for i in range(12)),
        approvals=("x" * 63,) * 16,
        plan=replace(record.plan, reason=long),
        proposal=Proposal("d" * 12, Ask.TRIAL, 3, plan.point, True, record.plan.cost, None, 0.3, long),
    )
    live = {p.request.run: Live(waiting=Waiting("RunFailed", long)) for p in crowded.running}
    body = status(View(parsed, crowded, LONG_AFTER, live, handled=("y" * 63,) * 32))
    Status.model_validate_json(json.dumps(body))
    assert 30 * 1024 < size(body) < 64 * 1024
