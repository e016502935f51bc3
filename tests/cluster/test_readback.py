"""Reading back beside the visits. API server, node and Prometheus are fakes here, to make each of them fail;
the verdicts themselves are shown on a real Prometheus in ``tests/prometheus``."""

import asyncio
import base64
import contextlib

import pytest

from cluster import objects
from cluster.fake_api import FakeApi, FakeNode
from cluster.living import KEY, Clock
from dataefficient.api.conditions import ConditionType
from dataefficient.cluster import brain, decisions
from dataefficient.cluster.api import CONFIG_MAPS, TRAININGS, ApiError, ConflictError
from dataefficient.cluster.board import Board
from dataefficient.cluster.events import Events
from dataefficient.cluster.evidence import Evidence
from dataefficient.cluster.policy import Policy
from dataefficient.cluster.reaching import Reach
from dataefficient.cluster.readback import PrometheusReadback
from dataefficient.cluster.reconcile import Reconciler
from dataefficient.cluster.runs import Runs
from dataefficient.cluster.secrets import LABEL, SECRETS
from dataefficient.cluster.store import Store
from dataefficient.cycle.answers import Cause, Verdict
from dataefficient.cycle.machine import advance
from dataefficient.prometheus.response import Refused, Sample, Samples
from dataefficient.telemetry.run_series import log_loss

ADDRESS = "http://prometheus:9090"
AT = 1_700_000_000.0
KPI = {"tolerance": "0.02", "query": "ctr", "target": "0.1", "direction": "Maximize", "overCycles": 2}
PROMETHEUS = {"settleSeconds": 0, "cost": {"source": "KubeStateMetrics"}}


def number(value):
    return Samples((Sample({}, AT, value),))


class FakePrometheus:
    """Answers by the part of a query that it knows; otherwise nothing matches."""

    def __init__(self):
        self.replies = {"timestamp(": number(AT)}
        self.asked, self.access, self.headers, self.hold = [], [], [], None

    @contextlib.asynccontextmanager
    async def __call__(self, address, *, access, timeout_seconds):
        self.access.append((address, access.authorization, timeout_seconds))
        self.headers.append(access.headers)
        yield self

    async def instant(self, query, *, at=None):
        self.asked.append(query)
        if self.hold is not None:
            await self.hold.wait()
        return next((reply for part, reply in self.replies.items() if part in query), Samples(()))


class Stage:
    """An operator on fakes that reads back, in one event loop."""

    def __init__(self, *, policy=None, **spec):
        self.runner = asyncio.Runner()
        self.api, self.clock, self.server = FakeApi(), Clock(), FakePrometheus()
        self.node = FakeNode(self.api, self.clock)
        self.keys, self.marked, self.noted = {KEY}, [], []
        self.policy = policy or Policy(prometheus_default=ADDRESS)
        self.api.apply(objects.body(**{"kpi": KPI, "prometheus": PROMETHEUS, **spec}))
        self.start()

    def start(self):
        """An operator that remembers nothing."""

        async def decide(*arguments):
            return brain.decide(*arguments)

        self.board = Board(there=lambda: self.keys)
        self.readback = PrometheusReadback(
            reach=Reach(api=self.api, policy=self.policy, connect=self.server),
            board=self.board,
            mark=self.marked.append,
            now=self.clock.now,
            answered=lambda answer, seconds: self.noted.append((answer.verdict, seconds)),
        )
        self.reconciler = Reconciler(
            api=self.api,
            store=Store(api=self.api),
            runs=Runs(api=self.api, evidence=Evidence()),
            events=Events(api=self.api, now=self.clock.now),
            decide=self.board.watching(decide),
            policy=self.policy,
            now=self.clock.now,
            readback=self.readback,
            decided=lambda seconds: None,
        )

    def visit(self):
        return self.runner.run(self.reconciler.reconcile(KEY))

    def until(self, cycle):
        """Visits, until the cycle has a plan and its runs are under way."""
        for _ in range(100):
            after = self.visit()
            found = self.board.views()
            if found and found[0].memory.cycle == cycle and found[0].memory.running:
                return found[0]
            if not self.node.run() and after is not None:
                self.clock.pass_(max(after, 0.0))
        raise AssertionError("it never gets there")

    def reply(self):
        """Lets what is asked be answered."""
        state = self.readback._states[KEY]
        if state.task is not None:
            self.runner.run(asyncio.wait_for(asyncio.shield(state.task), 10.0))

    def answered(self):
        """Lets what is asked be answered, and visits once more."""
        self.reply()
        self.visit()

    def condition(self, kind):
        found = self.api.condition(kind)
        return found["status"], found["reason"], found["message"]

    def close(self):
        self.runner.run(self.readback.close())
        self.runner.close()


@pytest.fixture
def stage():
    made = []

    def make(**how):
        made.append(Stage(**how))
        return made[-1]

    yield make
    for one in made:
        one.close()


def reported(view):
    runs = [r for r in view.finished if r.outcome.run.endswith("candidate")]
    return runs[-1], log_loss(runs[-1].outcome.report)


def test_what_the_installation_sends_goes_with_every_question(stage):
    tenant = {"X-Scope-OrgID": "ads"}
    on = stage(policy=Policy(prometheus_default=ADDRESS, prometheus_headers=tenant))
    on.until(1)
    on.answered()
    assert on.server.headers
    assert all(sent == tenant for sent in on.server.headers)


def test_what_comes_back_is_compared_and_shown(stage):
    on = stage()
    on.until(1)
    on.answered()
    run, loss = reported(on.until(2))
    on.server.replies["max(dataefficient_run_log_loss"] = number(loss)
    on.server.replies["kube_pod_completion_time"] = number(run.outcome.device_seconds)
    on.server.replies["ctr"] = number(0.12)
    on.answered()
    assert on.condition("PrometheusAgrees")[:2] == ("True", "Agrees")
    assert on.condition("CostAgrees")[:2] == ("True", "Agrees")
    assert on.condition("KPIAvailable")[:2] == ("True", "Reported")
    assert set(on.server.access) == {(ADDRESS, None, 10.0)}
    (shown,) = on.board.views()
    assert {answer.verdict for answer in shown.answers} == {Verdict.OK}


def test_what_differs_is_told(stage):
    on = stage()
    run, loss = reported(on.until(1))
    on.server.replies["max(dataefficient_run_log_loss"] = number(loss * 1.01)
    on.server.replies["kube_pod_completion_time"] = number(run.outcome.device_seconds * 2)
    on.answered()
    assert on.condition("PrometheusAgrees")[:2] == ("False", "Differs")
    assert on.condition("CostAgrees")[:2] == ("False", "Differs")


def test_what_does_not_come_back_is_unknown_with_its_verdict(stage):
    on = stage()
    on.until(1)
    on.server.replies["ctr"] = Refused(Cause.TIMEOUT, "no answer within 10 s")
    on.answered()
    assert on.condition("PrometheusAgrees")[:2] == ("Unknown", "Empty")
    assert on.condition("CostAgrees")[:2] == ("Unknown", "Empty")
    status, reason, message = on.condition("KPIAvailable")
    assert (status, reason) == ("False", "Failed")
    assert "no answer within 10 s" in message


def test_each_occasion_is_asked_once(stage):
    on = stage()
    on.until(1)
    on.answered()
    asked = len(on.server.asked)
    assert asked
    for _ in range(3):
        on.answered()
    assert len(on.server.asked) == asked
    assert on.marked == [KEY]
    on.until(2)
    on.answered()
    assert len(on.server.asked) > asked


def test_no_visit_waits_for_a_server_that_is_slow(stage):
    on = stage()
    on.server.hold = asyncio.Event()
    view = on.until(3)
    assert view.memory.champion.cycle == 2
    assert on.condition("PrometheusAgrees")[:2] == ("Unknown", "NotYetKnown")
    on.server.hold.set()
    on.answered()
    assert on.condition("PrometheusAgrees")[1] == "Empty"


def test_nothing_is_asked_before_it_has_settled(stage):
    on = stage(prometheus={**PROMETHEUS, "settleSeconds": 3600})
    on.until(2)
    assert on.server.asked == []


def test_a_reading_is_in_the_next_decision_and_in_no_other(stage):
    on = stage()
    run, _ = reported(on.until(1))
    more = run.outcome.device_seconds + 30.0
    on.server.replies["ctr"] = number(0.12)
    on.server.replies["kube_pod_completion_time"] = number(more)
    before = on.board.views()[0].memory
    on.answered()
    (after,) = on.board.views()
    (heard,) = after.memory.heard
    assert (heard.cycle, heard.value) == (1, 0.12)
    added = min(more, run.plan.reserved_seconds) - run.outcome.device_seconds
    assert added > 0.0
    assert after.memory.ledger.settled == pytest.approx(before.ledger.settled + added)
    assert on.condition("TargetMet")[:2] == ("True", "Met")
    writes = on.api.writes
    on.visit()
    assert on.api.writes == writes
    assert {verdict for verdict, _ in on.noted} == {Verdict.OK, Verdict.EMPTY}


def test_a_reading_is_kept_until_a_decision_with_it_is_remembered(stage):
    on = stage()
    on.until(1)
    on.server.replies["ctr"] = number(0.12)
    on.reply()
    on.api.refuse[("PUT", "configmaps")] = ConflictError(409, "Conflict", "changed")
    with pytest.raises(ConflictError):
        on.visit()
    assert on.readback.news(KEY)
    on.visit()
    assert not on.readback.news(KEY)
    assert on.board.views()[0].memory.heard[-1].value == 0.12


def test_a_decision_with_a_reading_can_be_made_again_from_its_record(stage):
    on = stage()
    on.until(1)
    on.server.replies["ctr"] = number(0.12)
    on.answered()
    maps = on.api.of(CONFIG_MAPS)
    held = decisions.files(next(body for name, body in maps.items() if name.endswith("-decisions")))
    assert decisions.recorded(held, 1)[-1].observation.kpi.query == "ctr"
    count, difference = decisions.replay(held, 1, advance)
    assert count
    assert difference is None


GUARDED = {
    "kpi": {"tolerance": "0.02"},
    "servingGuardrails": [{"name": "p99", "query": 'p99{run="${run}"}', "max": "1", "assumeFresh": True}],
}


def held(on):
    """Visits until the end of a candidate is held back; the memory then."""
    for _ in range(100):
        after = on.visit()
        if on.readback._guarding._held.get(KEY):
            return on.board.views()[0].memory
        if not on.node.run() and after is not None:
            on.clock.pass_(max(after, 0.0))
    raise AssertionError("no candidate has ended")


def guard(on):
    on.runner.run(asyncio.wait_for(asyncio.shield(on.readback._guarding._held[KEY].task), 10.0))
    on.visit()
    return on.board.views()[0].memory


def test_a_candidate_is_judged_only_with_the_answers_about_it(stage):
    on = stage(**GUARDED)
    on.server.replies["p99"] = number(0.5)
    before = held(on)
    created = list(on.api.created)
    on.visit()
    assert on.board.views()[0].memory == before
    assert on.api.created == created, "a run that has ended is not launched again"
    after = guard(on)
    assert after.cycle == before.cycle + 1
    assert after.guarded["p99"].value == 0.5
    assert 'p99{run="c000-candidate"}' in on.server.asked


def test_a_server_that_is_away_ends_the_wait_for_a_candidate(stage):
    on = stage(**GUARDED, policy=Policy())
    before = held(on)
    after = guard(on)
    assert after.cycle == before.cycle + 1
    assert after.guarded["p99"].verdict is Verdict.FAILED
    assert "no default" in after.guarded["p99"].message


def test_after_a_restart_a_candidate_that_waited_is_asked_about_again(stage):
    on = stage(**GUARDED)
    on.server.replies["p99"] = number(0.5)
    held(on)
    on.runner.run(on.readback.close())
    on.start()
    before = held(on)
    assert guard(on).cycle == before.cycle + 1


def test_a_candidate_that_failed_waits_for_nothing(stage):
    on = stage(**GUARDED)
    on.node.fault = lambda run, attempt: (64, "wrong") if run.endswith("candidate") else None
    for _ in range(100):
        after = on.visit()
        if on.board.views() and on.board.views()[0].memory.stopped:
            break
        if not on.node.run() and after is not None:
            on.clock.pass_(max(after, 0.0))
    assert on.board.views()[0].memory.stopped
    assert on.readback._guarding._held == {}


def test_after_a_restart_what_serves_is_asked_again_and_no_run_is_invented(stage):
    on = stage()
    on.until(1)
    on.answered()
    on.runner.run(on.readback.close())
    on.start()
    on.server.asked.clear()
    on.visit()
    on.answered()
    assert any("ctr" in query for query in on.server.asked)
    assert not any("run_log_loss" in query for query in on.server.asked)
    # What was found before the restart stays, until there is something new to compare.
    assert on.condition("PrometheusAgrees")[1] == "Empty"


def test_without_an_address_nothing_is_compared(stage):
    on = stage(policy=Policy(), kpi={"tolerance": "0.02"})
    on.until(1)
    on.answered()
    assert on.server.asked == []
    assert on.condition("PrometheusAgrees")[:2] == ("Unknown", "NotCompared")
    assert on.condition("CostAgrees")[:2] == ("Unknown", "NotCompared")
    assert on.condition("KPIAvailable")[1] != "Failed"


def secret(**data):
    encoded = {key.replace("_", "."): base64.b64encode(value).decode() for key, value in data.items()}
    return {"metadata": {"name": "access", "labels": {LABEL: "true"}}, "data": encoded}


def with_secret(stage, held):
    on = stage(prometheus={**PROMETHEUS, "secretName": "access"})
    if held is not None:
        on.runner.run(on.api.create(SECRETS, "default", held))
    return on


def test_a_labelled_secret_is_used(stage):
    on = with_secret(stage, secret(token=b"right"))
    on.until(1)
    on.answered()
    assert set(on.server.access) == {(ADDRESS, "Bearer right", 10.0)}


@pytest.mark.parametrize(
    ("held", "told"),
    [
        (None, "no such Secret"),
        ({**secret(token=b"x"), "metadata": {"name": "access"}}, "is not labelled"),
        ({**secret(token=b"x"), "metadata": {"name": "access", "labels": {LABEL: "yes"}}}, "is not labelled"),
        (secret(username=b"x"), "only one of username and password"),
        ({**secret(), "data": {"token": "%%%"}}, "not base64"),
    ],
)
def test_a_secret_that_cannot_be_used_is_a_condition_that_names_the_field(stage, held, told):
    on = with_secret(stage, held)
    on.until(1)
    on.answered()
    assert on.server.asked == []
    status, reason, message = on.condition("Accepted")
    assert (status, reason) == ("False", "SecretNotUsable")
    assert message.startswith("spec.prometheus.secretName: ")
    assert told in message
    assert on.condition("KPIAvailable")[:2] == ("False", "Failed")


def test_a_secret_that_cannot_be_used_is_told_before_anything_is_spent_and_when_it_is_mended(stage):
    on = with_secret(stage, None)
    on.visit()
    on.answered()
    assert on.board.views()[0].memory.ledger.settled == 0.0
    assert on.condition("Accepted")[:2] == ("False", "SecretNotUsable")
    assert on.condition("Ready")[:2] == ("False", "NotAccepted")
    assert on.condition("Progressing")[0] == "True"
    marked = len(on.marked)
    on.answered()
    assert len(on.marked) == marked, "what stays as it is brings no visit"
    on.runner.run(on.api.create(SECRETS, "default", secret(token=b"x")))
    on.answered()
    on.answered()
    assert on.condition("Accepted")[:2] == ("True", "Valid")
    assert on.condition("Ready")[0] == "True"


def test_a_secret_that_may_not_be_read_names_the_binding(stage):
    on = with_secret(stage, secret(token=b"x"))
    on.until(1)
    on.api.refuse[("GET", "secrets")] = ApiError(403, "Forbidden", "no")
    on.answered()
    _, reason, message = on.condition("Accepted")
    assert reason == "SecretNotUsable"
    assert "secretNamespaces" in message


def test_a_server_that_cannot_be_asked_for_the_secret_is_asked_at_a_later_visit(stage):
    on = with_secret(stage, secret(token=b"x"))
    on.api.refuse[("GET", "secrets")] = ApiError(0, "Unreachable", "away")
    on.visit()
    on.answered()
    assert on.condition("PrometheusAgrees")[:2] == ("Unknown", "Failed")
    assert on.condition("Accepted")[0] == "True"
    assert on.marked == []
    on.answered()
    assert on.marked
    on.until(1)
    on.answered()
    assert on.server.asked


def test_a_resource_that_is_gone_leaves_nothing_behind(stage):
    on = stage()
    on.until(1)
    assert on.board.views()
    on.api.objects = {k: v for k, v in on.api.objects.items() if k[0] != TRAININGS.plural}
    on.keys.clear()
    on.visit()
    assert on.board.views() == ()
    assert on.readback._states == {}


def test_a_resource_that_is_refused_is_told_and_its_champion_still_shown(stage):
    on = stage()
    seen = on.until(1)
    assert list(on.board.accepted()) == [("default", "made-up", True)]
    on.api.apply(objects.body(generation=2, prometheus={"address": "http://elsewhere:9090"}))
    on.visit()
    assert list(on.board.accepted()) == [("default", "made-up", False)]
    (view,) = on.board.views()
    assert view.memory.champion == seen.memory.champion
    (accepted,) = [c for c in view.conditions if c.type is ConditionType.ACCEPTED]
    assert (accepted.status, accepted.reason) == ("False", "AddressNotAllowed")
    on.keys.clear()
    assert (list(on.board.accepted()), on.board.views()) == ([], ())


def test_a_resource_that_was_never_accepted_is_told_too(stage):
    on = stage(prometheus={"address": "http://elsewhere:9090"})
    on.visit()
    assert list(on.board.accepted()) == [("default", "made-up", False)]
    assert on.board.views() == ()
