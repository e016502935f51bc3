"""A resource's whole life, with faults at every step that a real server cannot be made to show on demand."""

import pytest

from cluster import objects
from cluster.fake_api import Killed
from cluster.living import Life
from cycle.playing import Player, with_riders
from dataefficient.cluster import decisions, names
from dataefficient.cluster.api import CONFIG_MAPS, JOBS, PODS, TRAININGS, ApiError, ConflictError
from dataefficient.cluster.manifests import job_name
from dataefficient.cluster.policy import Policy
from dataefficient.contract import Policy as Sampling
from dataefficient.contract import Role
from dataefficient.cycle.machine import advance
from dataefficient.cycle.model import FailureKind, Step
from dataefficient.planner.knobs import Point

FULL = Point(Sampling.UNIFORM, 1.0, 32)


def lived(cycles=3, **changes):
    life = Life(objects.body(cycles=cycles, **changes))
    life.play()
    return life


@pytest.fixture(scope="module")
def steady():
    return lived()


def test_a_resource_runs_all_of_its_cycles(steady):
    memory = steady.memory()
    assert memory.step is Step.FINISHED
    assert [r.cycle for r in memory.history] == [0, 1, 2, 3]
    assert set(steady.launches().values()) == {1}


def test_runs_that_share_a_process_share_a_job_and_each_has_its_line_in_the_ledger():
    life = Life(objects.body(cycles=3, exploration={"share": "0.5"}), report_of=with_riders)
    life.play()
    memory = life.memory()
    assert memory.step is Step.FINISHED
    rode = [e for e in memory.ledger.entries if e.rode_in]
    assert Role.TRIAL in {e.role for e in rode}
    own = [e for e in memory.ledger.entries if not e.rode_in]
    assert {e.rode_in for e in rode} <= {e.run for e in own}
    assert len(life.launches()) == len(own)
    held = decisions.files(life.api.of(CONFIG_MAPS)[names.decisions("made-up", objects.UID)])
    told = {request.run: outcome for request, outcome in decisions.runs(held, memory)}
    for entry in rode:
        assert told[entry.run].device_seconds == pytest.approx(entry.seconds)


def test_the_first_visit_sets_every_condition_and_makes_what_always_exists():
    life = Life(objects.body())
    life.visit()
    assert len(life.api.status()["conditions"]) == 9
    assert life.api.condition("Accepted")["status"] == "True"
    assert life.api.condition("CostAgrees")["reason"] == "NotYetKnown"
    maps = life.api.of(CONFIG_MAPS)
    assert maps["made-up-champion"]["data"] == maps["made-up-candidate"]["data"] == {"state": "None"}
    assert "ownerReferences" not in maps["made-up-ledger"]["metadata"]


def test_the_champion_is_published_for_serving(steady):
    told = steady.api.of(CONFIG_MAPS)["made-up-champion"]["data"]
    champion = steady.memory().champion
    assert told["state"] == "Published"
    assert (told["uri"], told["digest"]) == (champion.checkpoint.uri, champion.checkpoint.digest)


PUBLISHED = ("made-up-champion", "made-up-candidate")


def owners(life):
    return [life.api.of(CONFIG_MAPS)[n]["metadata"].get("ownerReferences") for n in PUBLISHED]


def test_what_serving_reads_has_no_owner_unless_asked_and_either_way_can_be_taken_back():
    life = Life(objects.body(cycles=1))
    life.play()
    assert owners(life) == [None, None]
    life.api.apply(objects.body(cycles=1, generation=2, promotion={"onDelete": "Delete"}))
    life.visit()
    assert [[o["uid"] for o in found] for found in owners(life)] == [[objects.UID], [objects.UID]]
    assert life.api.of(CONFIG_MAPS)["made-up-champion"]["data"]["state"] == "Published"
    assert "ownerReferences" not in life.api.of(CONFIG_MAPS)["made-up-ledger"]["metadata"]
    life.api.apply(objects.body(cycles=1, generation=3))
    life.visit()
    assert owners(life) == [None, None]


def test_a_resource_that_is_made_again_owns_what_it_publishes_by_its_new_uid():
    life = Life(objects.body(cycles=1, promotion={"onDelete": "Delete"}))
    life.play()
    life.api.remove()
    life.api.apply(objects.body(cycles=1, uid="another-uid", promotion={"onDelete": "Delete"}))
    life.start()
    life.patient_visit()
    assert [[o["uid"] for o in found] for found in owners(life)] == [["another-uid"], ["another-uid"]]


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_another_has_put_under_these_names_is_never_taken_over(name):
    life = Life(objects.body(promotion={"onDelete": "Delete"}))
    theirs = {"metadata": {"name": name, "namespace": "default", "uid": "x", "resourceVersion": "1"}}
    life.api.objects[("configmaps", "default", name)] = {**theirs, "data": {"mine": "yes"}}
    life.visit()
    assert name in life.api.condition("Accepted")["message"]
    assert life.api.of(CONFIG_MAPS)[name]["data"] == {"mine": "yes"}
    assert "ownerReferences" not in life.api.of(CONFIG_MAPS)[name]["metadata"]


def test_only_the_last_cycles_jobs_stay(steady):
    cycles = {int(j["metadata"]["labels"][names.CYCLE_LABEL]) for j in steady.api.of(JOBS).values()}
    assert cycles == {3}


def test_a_visit_with_nothing_to_do_writes_nothing(steady):
    writes, reads = steady.api.writes, steady.api.reads
    steady.visit()
    assert steady.api.writes == writes
    assert steady.api.reads - reads == 2


def test_a_kill_after_any_write_creates_no_job_twice_and_changes_no_decision():
    whole = lived(cycles=1)
    expected = whole.memory()
    for kill_after in range(1, whole.api.writes):
        life = Life(objects.body(cycles=1))
        life.api.kill_after = kill_after
        memory = life.play()
        assert set(life.launches().values()) == {1}, kill_after
        assert memory == expected, kill_after


def test_a_conflict_is_read_anew_and_nothing_is_lost(steady):
    life = Life(objects.body(cycles=3))
    for turn in range(400):
        if turn % 3 == 0:
            life.api.refuse[("PUT", "configmaps")] = ConflictError(409, "Conflict", "changed")
        if turn % 5 == 0:
            life.api.refuse[("GET", "jobs")] = ApiError(410, "Expired", "too old")
        life.turn()
        if life.memory() and life.memory().step is Step.FINISHED:
            break
    assert set(life.launches().values()) == {1}
    assert len(life.memory().history) == 4


def test_two_operators_at_once_do_not_both_decide():
    life = Life(objects.body())
    life.visit()
    other = Life(objects.body())
    other.api, other.clock = life.api, life.clock
    other.start()
    life.node.run()
    held = life.api.of(CONFIG_MAPS)["made-up-ledger"]
    life.visit()

    # The other one acts on what it read before: its write names a version that is gone.
    async def stale(kind, namespace, name, get=life.api.get):
        return held if name == "made-up-ledger" else await get(kind, namespace, name)

    life.api.get = stale
    with pytest.raises(ConflictError):
        other.visit()


def test_deleting_and_making_it_again_goes_on_from_the_ledger():
    life = Life(objects.body(cycles=4))
    before = life.play(until=lambda m: m.cycle == 2)
    life.api.remove()
    life.visit()
    assert life.api.of(CONFIG_MAPS)["made-up-champion"]["data"]["state"] == "Published"
    life.api.apply(objects.body(cycles=4, uid="another-uid"))
    life.start()
    after = life.play()
    assert after.ledger.settled > before.ledger.settled
    assert [r.cycle for r in after.history] == [0, 1, 2, 3, 4]
    assert "Restored" in {reason for reason, _ in life.api.events()}


def test_a_run_cut_off_by_deleting_the_resource_is_paid_and_made_again():
    life = Life(objects.body(cycles=2))
    life.visit()
    (pilot,) = life.memory().running
    life.api.remove()
    life.api.apply(objects.body(cycles=2, uid="another-uid"))
    life.start()
    life.visit()
    memory = life.memory()
    assert memory.ledger.settled == pilot.reserved_seconds
    assert memory.running[0].attempt == 2
    assert memory.running[0].failures == 0


def test_a_wiped_status_is_written_again_and_says_so():
    life = Life(objects.body(cycles=3))
    before = life.play(until=lambda m: m.cycle == 2)
    del life.api.of(TRAININGS)["made-up"]["status"]
    life.start()
    life.visit()
    assert life.api.status()["cycle"] == before.cycle
    assert "Restored" in {reason for reason, _ in life.api.events()}


def test_deleting_the_ledger_starts_anew():
    life = Life(objects.body(cycles=3))
    life.play(until=lambda m: m.cycle == 2)
    life.patient_visit()
    before = life.launches()
    del life.api.objects[("configmaps", "default", "made-up-ledger")]
    life.start()
    assert life.visit() == 5.0
    assert not life.api.of(JOBS)
    for name in life.api.of(PODS):
        del life.api.objects[("pods", "default", name)]
    life.visit()
    assert life.memory().cycle == 0
    assert life.memory().ledger.settled == 0.0
    # The first run is made again: what its Job of the life before reported is not taken for its own.
    (name,) = life.api.of(JOBS)
    assert life.launches()[name] == before[name] + 1


def test_a_job_that_was_deleted_is_paid_and_made_again():
    life = Life(objects.body(cycles=2))
    life.visit()
    (name,) = life.api.of(JOBS)
    del life.api.objects[("jobs", "default", name)]
    life.visit()
    memory = life.memory()
    assert memory.ledger.settled > 0
    assert memory.running[0].attempt == 2


def test_a_job_of_another_owner_is_never_adopted():
    life = Life(objects.body(cycles=2))
    parsed = objects.resource(cycles=2)
    name = job_name(parsed, objects.plan(parsed))
    life.api.objects[("jobs", "default", name)] = {
        "metadata": {"name": name, "namespace": "default", "uid": "x", "ownerReferences": [{"uid": "other"}]},
        "spec": {},
    }
    life.visit()
    assert life.api.condition("Ready")["status"] == "False"
    assert name in life.api.condition("Ready")["message"]
    assert life.api.of(JOBS)[name]["metadata"]["uid"] == "x"
    assert life.memory().ledger.settled == 0.0


def test_a_foreign_config_map_is_never_overwritten():
    life = Life(objects.body())
    life.api.objects[("configmaps", "default", "made-up-ledger")] = {
        "metadata": {"name": "made-up-ledger", "namespace": "default", "uid": "x", "resourceVersion": "1"},
        "data": {"mine": "yes"},
    }
    life.visit()
    assert life.api.condition("Accepted")["reason"] == "Invalid"
    assert life.api.of(CONFIG_MAPS)["made-up-ledger"]["data"] == {"mine": "yes"}


@pytest.mark.parametrize("name", ["made-up-champion", "made-up-candidate"])
def test_where_a_name_for_serving_is_anothers_nothing_is_spent(name):
    life = Life(objects.body())
    about = {"name": name, "namespace": "default", "uid": "x", "resourceVersion": "1"}
    life.api.objects[("configmaps", "default", name)] = {"metadata": about, "data": {"mine": "yes"}}
    life.visit()
    life.visit()
    accepted = life.api.condition("Accepted")
    assert (accepted["status"], accepted["reason"]) == ("False", "Invalid")
    assert f"ConfigMap {name} is there and is not the operator's; remove it" in accepted["message"]
    assert not life.api.of(JOBS)
    del life.api.objects[("configmaps", "default", name)]
    life.visit()
    assert life.api.condition("Accepted")["status"] == "True"
    assert len(life.api.of(JOBS)) == 1


def test_decisions_are_not_recorded_over_what_is_anothers():
    life = Life(objects.body(cycles=1))
    name = names.decisions("made-up", objects.UID)
    theirs = {"metadata": {"name": name, "namespace": "default", "uid": "x"}, "data": {"mine": "yes"}}
    life.api.objects[("configmaps", "default", name)] = theirs
    assert life.play().step is Step.FINISHED
    assert life.api.of(CONFIG_MAPS)[name] == theirs


def test_a_damaged_ledger_stops_with_a_way_out_and_is_not_overwritten():
    life = Life(objects.body())
    life.visit()
    held = life.api.of(CONFIG_MAPS)["made-up-ledger"]
    held["binaryData"] = {"memory.json.gz": "AAAA"}
    life.start()
    life.visit()
    assert "delete it to start anew" in life.api.condition("Accepted")["message"]
    assert life.api.of(CONFIG_MAPS)["made-up-ledger"]["binaryData"] == {"memory.json.gz": "AAAA"}


def test_a_suspended_resource_starts_nothing_and_stops_what_runs():
    life = Life(objects.body())
    life.visit()
    (name,) = life.api.of(JOBS)
    life.api.apply(objects.body(suspend=True, generation=2))
    life.visit()
    job = life.api.of(JOBS)[name]
    assert job["spec"]["suspend"] is True
    assert life.api.condition("Progressing")["reason"] == "Suspended"
    job["status"] = {"conditions": [{"type": "Suspended", "status": "True"}]}
    life.clock.pass_(60)
    life.visit()
    life.visit()
    assert len(life.api.of(JOBS)) == 1
    life.api.apply(objects.body(generation=3))
    life.clock.pass_(60)
    life.visit()
    assert sorted(n[-1] for n in life.api.of(JOBS)) == ["1", "2"]
    assert life.memory().running[0].failures == 0


def test_a_preempted_run_goes_on_in_another_attempt_that_is_not_counted():
    life = Life(
        objects.body(cycles=1, limits={"maxAttempts": 1}),
        disrupt=lambda run, attempt: run == "c001-candidate" and attempt <= 3,
    )
    memory = life.play()
    assert memory.step is Step.FINISHED
    entries = [e for e in memory.ledger.entries if e.run == "c001-candidate"]
    assert [e.attempt for e in entries] == [1, 2, 3, 4]
    assert [e.seconds for e in entries[:3]] == [7.0, 7.0, 7.0]


def test_an_exhausted_budget_stops_and_a_raised_one_goes_on():
    body = {"budget": {"total": {"deviceHours": "0.05"}}}
    life = Life(objects.body(cycles=3, **body))
    memory = life.play()
    assert memory.stopped.code == "BudgetExhausted"
    assert life.api.condition("WithinBudget")["status"] == "False"
    assert life.api.condition("Ready")["reason"] == "BudgetExhausted"
    assert memory.ledger.settled <= 0.05 * 3600
    life.api.apply(objects.body(cycles=3, generation=2, budget={"total": {"deviceHours": "5"}}))
    assert life.play().step is Step.FINISHED


def test_a_retry_that_a_lowered_budget_does_not_cover_is_launched_with_what_is_left():
    life = Life(objects.body(cycles=1), fault=lambda run, attempt: (1, "boom") if attempt == 1 else None)
    life.visit()
    life.node.run()
    life.visit()
    (retry,) = life.memory().running
    assert retry.attempt == 2
    left = 600.0
    hours = f"{(life.memory().ledger.settled + left) / 3600:.6f}"
    life.api.apply(objects.body(cycles=1, generation=2, budget={"total": {"deviceHours": hours}}))
    life.visit()
    (planned,) = life.memory().running
    assert left < retry.reserved_seconds
    assert planned.reserved_seconds == pytest.approx(left, abs=1.0)
    assert (planned.attempt, planned.failures) == (3, 1)
    life.clock.pass_(60)
    life.visit()
    (launched,) = [j for n, j in life.api.of(JOBS).items() if n.endswith("-3")]
    assert launched["spec"]["template"]["spec"]["activeDeadlineSeconds"] == pytest.approx(left, abs=1.0)


def test_what_stopped_goes_on_when_asked_by_annotation_and_only_once():
    faulty = {"on": True}
    life = Life(
        objects.body(cycles=1),
        fault=lambda run, attempt: (64, "config.rate: found 7") if faulty["on"] else None,
    )
    memory = life.play()
    assert memory.stopped.code == FailureKind.USER_ERROR.value
    assert "config.rate: found 7" in life.api.condition("Ready")["message"]
    attempts = len(life.launches())
    life.api.apply(objects.body(cycles=1, annotations={names.RESUME_ANNOTATION: "once"}))
    life.play()
    assert len(life.launches()) == attempts + 1
    life.patient_visit()
    life.patient_visit()
    assert len(life.launches()) == attempts + 1
    assert life.api.status()["handledRequests"] == ["once"]
    faulty["on"] = False
    life.api.apply(objects.body(cycles=1, annotations={names.RESUME_ANNOTATION: "twice"}))
    assert life.play().step is Step.FINISHED


def test_an_invalid_resource_is_told_with_the_field_and_left_alone():
    life = Life(
        objects.body(budget={"total": {"money": "5"}}, accelerators=[{"name": "a", "resource": "cpu"}])
    )
    assert life.visit() is None
    accepted = life.api.condition("Accepted")
    assert accepted["reason"] == "Invalid"
    assert "spec.accelerators[0].pricePerDeviceHour" in accepted["message"]
    assert life.api.condition("Ready")["status"] == "False"
    assert not life.api.of(JOBS)
    writes = life.api.writes
    life.visit()
    assert life.api.writes == writes


@pytest.mark.parametrize(
    ("changes", "policy", "reason"),
    [
        ({"checkpoints": {"keep": 5}}, Policy(), "CheckpointsNeedUri"),
        ({"prometheus": {"address": "http://evil:1"}}, Policy(), "AddressNotAllowed"),
        ({}, Policy(max_hours=1), "BudgetAboveCap"),
    ],
)
def test_what_the_installation_does_not_allow_is_refused(changes, policy, reason):
    life = Life(objects.body(**changes), policy=policy)
    life.visit()
    assert life.api.condition("Accepted")["reason"] == reason


def test_a_price_that_is_missing_comes_from_the_installation():
    body = objects.body(budget={"total": {"money": "5"}}, accelerators=[{"name": "a", "resource": "cpu"}])
    life = Life(body, policy=Policy(prices={"a": "2"}))
    life.visit()
    assert life.api.condition("Accepted")["status"] == "True"
    assert life.api.status()["spent"]["settled"]["money"]


def test_a_template_that_the_server_refuses_is_told_before_anything_is_spent():
    life = Life(objects.body())
    life.api.refuse[("DRYRUN", "jobs")] = ApiError(422, "Invalid", "Job is invalid: spec.template: nope")
    life.visit()
    accepted = life.api.condition("Accepted")
    assert accepted["reason"] == "TemplateRejected"
    assert "nope" in accepted["message"]
    assert life.memory() is None
    life.visit()
    assert life.api.condition("Accepted")["status"] == "True"


def test_a_pod_security_warning_refuses_the_template():
    life = Life(objects.body())
    life.api.warnings = ('would violate PodSecurity "restricted:latest": runAsNonRoot != true',)
    life.visit()
    assert life.api.condition("Accepted")["reason"] == "TemplateRejected"


def test_a_job_that_a_quota_refuses_waits_and_says_why():
    life = Life(objects.body())
    life.api.refuse[("POST", "jobs")] = ApiError(403, "Forbidden", "exceeded quota: jobs")
    after = life.visit()
    assert after is not None
    assert "exceeded quota" in life.api.condition("Ready")["message"]
    life.visit()
    assert len(life.api.of(JOBS)) == 1


def test_a_lost_answer_to_a_create_does_not_create_twice():
    life = Life(objects.body())
    life.api.kill_after = 4
    with pytest.raises(Killed):
        life.visit()
    life.api.kill_after = None
    life.start()
    life.visit()
    assert set(life.launches().values()) == {1}


def test_decisions_recorded_on_the_cluster_are_made_again_the_same(steady):
    (name,) = [n for n in steady.api.of(CONFIG_MAPS) if n.endswith("-decisions")]
    held = decisions.files(steady.api.of(CONFIG_MAPS)[name])
    for cycle in range(4):
        count, difference = decisions.replay(held, cycle, advance)
        assert count > 0
        assert difference is None


def test_both_drivers_decide_the_same_from_the_same_reports(steady):
    spec = objects.resource(cycles=3).spec
    player = Player(spec)
    player.play()
    plans = [(r.plan.point, r.plan.code) for r in player.memory.history]
    assert plans == [(r.plan.point, r.plan.code) for r in steady.memory().history]


def test_the_delay_from_a_runs_end_to_its_decision_is_measured(steady):
    assert len(steady.delays) == len(steady.memory().ledger.entries)
    assert all(delay >= 0 for delay in steady.delays)


RECOMMEND = {
    "cycles": 8,
    "mode": "Recommend",
    "exploration": {"share": "1"},
    "kpi": {"tolerance": "0.05"},
}


def approve(life, word, **changes):
    given = {**RECOMMEND, **changes, "annotations": {names.APPROVE_ANNOTATION: word}}
    life.api.apply(objects.body(**given))


def recommending(asked, **changes):
    """A life until this is asked for, everything before it approved."""
    life = Life(objects.body(**{**RECOMMEND, **changes}))
    for _ in range(400):
        life.turn()
        waits = life.memory().proposal
        if waits is not None and waits.ask.value == asked:
            life.patient_visit()
            return life
        if waits is not None:
            approve(life, waits.digest, **changes)
    raise AssertionError("it is never asked for")


def test_in_mode_recommend_what_waits_is_shown_with_forecast_saving_and_the_word_that_approves_it():
    life = recommending("Plan")
    told = life.api.status()["recommendation"]
    assert told["digest"] == life.memory().proposal.digest
    assert float(told["rate"]) < 1.0
    assert 0.0 < float(told["saving"]["value"]) < 1.0
    assert float(told["forecast"]["cost"]["money"]) > 0.0
    assert float(told["forecast"]["kpi"]["low"]) < float(told["forecast"]["kpi"]["high"])
    event = next(e for kind, e in life.api.events() if kind == "Recommended" and told["digest"] in e)
    assert event.endswith(f"{told['digest']}: write it into the annotation {names.APPROVE_ANNOTATION}")


def test_an_approved_plan_is_in_force_from_the_next_cycle_and_the_word_is_recorded_as_handled():
    life = recommending("Plan")
    asked, cycle = life.memory().proposal, life.memory().cycle
    approve(life, asked.digest)
    life.visit()
    assert life.api.status()["handledRequests"][-1] == asked.digest
    assert "recommendation" not in life.api.status()
    assert any(reason == "Approved" and asked.digest in told for reason, told in life.api.events())
    # Restarts with the annotation still there: it is not handled again.
    for _ in range(3):
        life.start()
        life.patient_visit()
    approvals = life.memory().approvals
    memory = life.play(until=lambda m: m.cycle == cycle + 2)
    assert [r.plan.point for r in memory.history][cycle:] == [FULL, asked.point]
    assert memory.approvals == approvals
    assert "NotApproved" not in {reason for reason, _ in life.api.events()}
    (name,) = [n for n in life.api.of(CONFIG_MAPS) if n.endswith("-decisions")]
    held = decisions.files(life.api.of(CONFIG_MAPS)[name])
    for number in (cycle, cycle + 1):
        count, difference = decisions.replay(held, number, advance)
        assert count
        assert difference is None


@pytest.mark.parametrize("word", ["0123456789ab", "yes", "x" * 300])
def test_a_word_that_approves_nothing_is_told_with_the_one_that_would(word):
    life = recommending("Plan")
    before = life.memory()
    approve(life, word)
    life.visit()
    assert life.memory() == before
    ((_, event),) = [e for e in life.api.events() if e[0] == "NotApproved"]
    assert word[:63] in event
    assert before.proposal.digest in event


def test_a_word_that_is_out_of_date_is_told_so():
    life = recommending("Plan")
    old = life.memory().proposal.digest
    life.api.apply(objects.body(**{**RECOMMEND, "knobs": {"modelSize": {"values": [32]}}}, generation=2))
    life.play(until=lambda m: m.proposal is not None and m.proposal.digest != old)
    approve(life, old, knobs={"modelSize": {"values": [32]}}, generation=2)
    life.visit()
    ((_, event),) = [e for e in life.api.events() if e[0] == "NotApproved"]
    assert f"{old} is not, or no longer, what waits for approval" in event
    assert life.memory().proposal.digest in event


def test_a_cycle_that_is_too_dear_says_that_it_waits_and_goes_on_once_approved():
    dear = {"approval": {"aboveMoney": "0.0001"}, "exploration": {"share": "0"}}
    life = recommending("Run", **dear)
    launched = len(life.launches())
    assert life.visit() is None
    assert len(life.launches()) == launched
    progressing, ready = life.api.condition("Progressing"), life.api.condition("Ready")
    assert (progressing["status"], progressing["reason"]) == ("False", "AwaitingApproval")
    assert (ready["status"], ready["reason"]) == ("True", "AwaitingApproval")
    digest = life.memory().proposal.digest
    assert digest in progressing["message"]
    assert any(reason == "AwaitingApproval" and digest in told for reason, told in life.api.events())
    approve(life, digest, **dear)
    life.visit()
    assert "c000-candidate" in str(life.launches())
    assert life.api.condition("Progressing")["reason"] == "Running"


def test_in_mode_enforce_nothing_is_recommended():
    life = Life(objects.body(cycles=2, approval={"aboveMoney": "0.0001"}))
    memory = life.play()
    assert memory.step is Step.FINISHED
    assert memory.proposal is None
    assert "recommendation" not in life.api.status()


def test_another_image_keeps_champion_and_ledger_and_is_told_in_an_event():
    given = {"cycles": 12, "exploration": {"share": "1"}, "kpi": {"tolerance": "0.05"}}
    life = Life(objects.body(**given))
    before = life.play(until=lambda m: m.cycle == 3)
    first = life.api.status()["surface"]["comparabilityKey"]
    template = {"spec": {"containers": [{"name": "trainer", "image": "trainer:2", "command": ["train"]}]}}
    life.api.apply(objects.body(**given, template=template, generation=2))
    memory = life.play()
    assert memory.history[:3] == before.history
    assert memory.ledger.settled > before.ledger.settled
    assert any("The trainer has changed" in told for _, told in life.api.events())
    assert life.api.status()["surface"]["comparabilityKey"] not in ("", first)


def test_the_time_of_the_last_decision_moves_with_the_cycle_alone_and_outlives_a_restart():
    life = Life(objects.body(cycles=2))
    first = life.clock.now()
    life.play(until=lambda memory: memory.cycle == 0 and memory.running)
    life.clock.pass_(3600)
    life.start()
    life.visit()
    assert life.book().decided_at == first
    life.play(until=lambda memory: memory.cycle == 1)
    then = life.book().decided_at
    assert then > first
    life.start()
    life.clock.pass_(60)
    life.visit()
    assert life.book().decided_at == then


def test_a_ledger_that_does_not_know_its_last_decision_counts_from_the_next_visit():
    life = Life(objects.body(cycles=1))
    life.visit()
    del life.api.of(CONFIG_MAPS)["made-up-ledger"]["data"]["decidedAt"]
    life.clock.pass_(60)
    life.start()
    life.visit()
    assert life.book().decided_at == life.clock.now()
