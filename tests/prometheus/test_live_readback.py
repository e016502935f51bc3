"""What the operator exports, scraped by a real server and read back."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from cycle.playing import LONG_AFTER, Player, resource, success
from dataefficient.api.conditions import ConditionStatus
from dataefficient.contract import Role
from dataefficient.cycle.answers import Verdict
from dataefficient.prometheus.agreement import quality
from dataefficient.prometheus.costs import read_back
from dataefficient.prometheus.placeholders import Subject
from dataefficient.telemetry.collector import ResourceCollector
from dataefficient.telemetry.run_series import LOG_LOSS, MODEL, identity, log_loss
from dataefficient.telemetry.series import PREFIX
from dataefficient.telemetry.view import FinishedRun, ResourceView
from prometheus.live import eventually


@pytest.fixture(scope="module")
def lived():
    """A resource with the runs of its first cycles."""
    kept = []

    def answer(plan):
        kept.append(FinishedRun(plan, success(plan)))
        return kept[-1].outcome

    player = Player(resource(), answer=answer)
    player.play(until=lambda memory: memory.cycle == 2)
    return ResourceView("ads", "flights", player.spec, player.memory, finished=tuple(kept))


@pytest.fixture(scope="module")
def lines(lived):
    """The samples that a scrape of the operator gives."""
    registry = CollectorRegistry()
    ResourceCollector(views=lambda: [lived], leads=lambda: True, now=lambda: LONG_AFTER, registry=registry)
    return [line for line in generate_latest(registry).decode().splitlines() if line[0] != "#"]


@pytest.fixture
def scraped(lived, lines, exporter):
    """The view, exposed to the real server by two pods, as while the leader changes."""
    for pod in ("old", "new"):
        exporter.lines[pod] = "\n".join(line.replace("{", f'{{pod="{pod}",', 1) for line in lines)
    yield lived
    del exporter.lines["old"], exporter.lines["new"]


def ask_back(asked, run):
    name, digest = identity(run)
    question = read_back(PREFIX + LOG_LOSS, Subject("ads", "flights", 1, name, digest, 60), model=MODEL)
    return asked(question.query, freshness_query=question.freshness_query)


def test_what_a_run_reported_comes_back_to_the_last_digit(scraped, asked):
    run = next(r for r in reversed(scraped.finished) if r.plan.request.role is Role.CANDIDATE)
    answer = eventually(lambda: ask_back(asked, run), lambda a: a.verdict is Verdict.OK)
    reported = log_loss(run.outcome.report)
    assert answer.value == reported
    assert quality("run", reported, answer).status is ConditionStatus.TRUE
    assert quality("run", reported * 1.0001, answer).status is ConditionStatus.FALSE


def test_a_run_that_was_never_exported_is_empty(scraped, asked):
    run = scraped.finished[-1]
    name, _ = identity(run)
    question = read_back(PREFIX + LOG_LOSS, Subject("ads", "flights", 1, name, "another", 60), model=MODEL)
    assert asked(question.query, freshness_query=question.freshness_query).verdict is Verdict.EMPTY


def test_every_exported_series_is_taken_by_the_server(scraped, lines, asked):
    query = 'count({__name__=~"dataefficient_.+",pod="old"})'
    assert eventually(lambda: asked(query, assume_fresh=True), lambda a: a.value == len(lines))
