"""The statement from what a cluster keeps of a life, against the one from all of its runs."""

import json
from dataclasses import replace

import pytest

from cluster import objects
from cycle.playing import Player, failing
from dataefficient.api.load import parse_object
from dataefficient.cluster import decisions, ledger
from dataefficient.cluster.kept import Kept
from dataefficient.contract import decode, encode
from dataefficient.cycle.hearing import hear
from dataefficient.cycle.model import CostEvidence, FailureKind, Observation
from dataefficient.report import Statement, build_from_cluster, build_statement
from dataefficient.report.past import UNITEMIZED
from dataefficient.report.text import render

RESOURCE = objects.resource(cycles=12)


class Recording(Player):
    """Keeps what a cluster keeps, and every run with its last outcome beside it."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.held, self.runs = {}, {}

    def ask(self, *outcomes):
        plans = {plan.request.run: plan for plan in self.memory.running}
        self.runs |= {o.run: (plans[o.run].request, o) for o in outcomes}
        decision = super().ask(*outcomes)
        before, observation = self.observations[-1]
        self.held = decisions.with_decision(self.held, RESOURCE, before, observation, decision)
        return decision


@pytest.fixture(scope="module")
def life():
    player = Recording(RESOURCE.spec, failing(("c003-candidate", FailureKind.CRASHED, 1)))
    player.play()
    return player


@pytest.fixture(scope="module")
def whole(life):
    return build_statement(RESOURCE, life.memory, life.runs.values(), [])


def on_cluster(life, *, memory=None, held=None, resource=RESOURCE):
    return build_from_cluster(Kept(resource, memory or life.memory, life.held if held is None else held))


def spend(statement):
    return {part.role: pytest.approx(part.seconds) for part in statement.by_role}


def test_spend_and_rows_are_those_of_all_runs_though_old_ones_are_kept_as_a_line(life, whole):
    found = on_cluster(life)
    assert spend(found) == spend(whole)
    assert found.spent == pytest.approx(life.memory.ledger.settled)
    for mine, all_runs in zip(found.cycles, whole.cycles, strict=True):
        assert {p.role: pytest.approx(p.seconds) for p in mine.by_role} == {
            p.role: p.seconds for p in all_runs.by_role
        }
    assert (found.stream.rows, found.stream.history_rows) == (whole.stream.rows, whole.stream.history_rows)
    assert whole.stream.rows > 1_000_000
    assert found.convergence == whole.convergence
    assert found.surface == whole.surface


def test_what_a_failed_attempt_cost_is_known_also_where_its_run_is_a_line(life):
    row = on_cluster(life).cycles[3]
    assert {p.role: p.seconds for p in row.by_role}["Failed attempts"] == pytest.approx(1.0)


def test_what_is_not_known_is_said_and_never_a_number(life):
    found = on_cluster(life)
    (told,) = found.unknown
    first = decisions.cycles(life.held)[0]
    assert f"cycles {first}–12 alone" in told
    assert told in " ".join(render(found, 400).split("\n"))
    bare = on_cluster(life, held={})
    assert bare.stream.positive_share is None
    assert bare.calibration is None
    assert "are not known" in bare.unknown[0]


def test_nothing_is_unknown_where_every_run_is_there(whole):
    assert whole.unknown == ()


def test_no_saving_is_stated_and_the_reason_is_not_one_for_this_machine(life):
    found = on_cluster(life)
    assert "no saving is stated" in found.headline
    assert {c.reason for c in found.comparisons} == {
        "not measured: controls that train on everything run in detctl run --control only"
    }


def test_forgotten_cycles_are_a_sum_and_rows_of_all_cycles_are_unknown(life):
    later = replace(life.memory, history=life.memory.history[4:])
    found = on_cluster(life, memory=later)
    earlier = sum(record.spent_seconds for record in life.memory.history[:4])
    assert spend(found)[UNITEMIZED] == earlier
    assert found.spent == pytest.approx(life.memory.ledger.settled)
    assert found.unknown[0].startswith("Cycles before 4 are remembered as a sum alone: ")
    assert found.headline.startswith("13 cycles took ")
    assert found.state == "Finished: every interval of the schedule was run, 13 in all"
    assert found.stream.rows is None
    assert found.stream.history_rows is None


def test_cost_that_was_seen_after_a_run_counts_as_that_runs(life):
    last = life.memory.ledger.entries[-1]
    evidence = CostEvidence(last.run, last.seconds + 50.0)
    memory, told = hear(RESOURCE.spec, life.memory, Observation(life.now, costs=(evidence,)))
    assert told
    found, before = on_cluster(life, memory=memory), on_cluster(life)
    role = last.role.value
    assert spend(found)[role] == {p.role: p.seconds for p in before.by_role}[role] + 50.0
    assert found.spent == pytest.approx(memory.ledger.settled)


def test_the_price_of_the_installation_is_the_statements(life):
    body = objects.body(cycles=12, accelerators=[{"name": "cpu", "resource": "cpu"}])
    unpriced = parse_object(body, "made-up")
    assert on_cluster(life, resource=unpriced).aim.price == 2.0
    assert on_cluster(life, resource=unpriced, held={}).aim.price is None


def test_damaged_decisions_are_left_out_and_said(life):
    damaged = {name: data[:-8] for name, data in life.held.items()}
    found = on_cluster(life, held=damaged)
    assert "cannot be read and are left out" in found.unknown[0]
    assert found.spent == pytest.approx(life.memory.ledger.settled)


def test_it_survives_json_and_the_ledger(life):
    book = ledger.Book(life.memory, objects.UID)
    again = ledger.read(ledger.config_map(RESOURCE, book, version=None)).memory
    found = on_cluster(life)
    assert on_cluster(life, memory=again) == found
    assert decode(Statement, json.loads(json.dumps(encode(found))), "statement") == found
