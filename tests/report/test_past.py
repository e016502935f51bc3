"""The statement from what a cluster keeps of a life, against the one from all of its runs."""

import json
import re
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
from dataefficient.report import Statement, build_from_cluster, build_statement, html
from dataefficient.report.past import UNITEMIZED
from dataefficient.report.statement import Basis
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


def test_without_a_control_the_saving_is_extrapolated_and_says_so(life):
    found = on_cluster(life)
    saved = life.memory.saved
    assert re.match(r"An estimated [\d.]+ % (less|more) compute than training the largest", found.headline)
    assert re.search(r"log loss at most 0\.\d+ % worse", found.headline)
    assert "inside the 2 % allowed" in found.headline
    assert "No control was run beside it: compute is extrapolated" in found.detail
    assert "over cycles 0–12" in found.detail
    largest, right = found.comparisons
    assert not largest.measured
    assert largest.whole is None
    assert largest.expected.compute.value == pytest.approx(1.0 - saved.spent / saved.full.mean)
    wider = replace(saved, full=replace(saved.full, low=0.9 * saved.full.mean, high=1.1 * saved.full.mean))
    spread = on_cluster(life, memory=replace(life.memory, saved=wider)).comparisons[0].expected.compute
    assert spread.low < spread.value < spread.high
    assert largest.expected.cycles == (0, 12)
    assert right.expected.size == life.memory.champion.point.size
    bases = {claim.what: claim.basis for claim in found.claims}
    assert bases["Compute against all rows, largest size"] is Basis.EXTRAPOLATED
    assert (found.distance.value, found.distance.bound) == (
        life.memory.distance,
        life.memory.distance_bound,
    )
    why = "controls that train on everything run in detctl run --control only"
    for shown in (render(found, 100), html.render(found)):
        assert "xtrapolated" in shown
        assert why in " ".join(shown.split())
    assert "Against all rows, largest size, extrapolated over cycles 0–12" in html.render(found)


def test_a_right_sized_control_costs_what_the_size_in_force_does(life):
    smaller = replace(life.memory.champion, point=replace(life.memory.champion.point, size=8))
    found = on_cluster(life, memory=replace(life.memory, champion=smaller))
    largest, right = (c.expected for c in found.comparisons)
    assert (largest.size, right.size) == (32, 8)
    assert right.theirs < largest.theirs
    assert right.compute.value < largest.compute.value
    assert "Against all rows at size 8, now in force, it is" in found.detail


def test_where_no_cost_was_added_up_no_saving_is_stated(life):
    found = on_cluster(life, memory=replace(life.memory, saved=None))
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
    assert found.headline.startswith("An estimated ")
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
