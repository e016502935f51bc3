from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dataefficient.api.load import parse_object
from dataefficient.contract import (
    CheckpointRef,
    Evaluated,
    Policy,
    Role,
    Rows,
    RunReport,
    Scored,
    Seconds,
    to_json,
)
from dataefficient.cycle.model import Failure, FailureKind, Memory, Observation, RunOutcome
from dataefficient.local.control import Kind, controls
from dataefficient.local.store import Store
from local.fake_machine import advance, begin
from local.fake_resource import resource_body

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def report_of(request, level=0.45, digest="d"):
    blocks = len(request.evaluation.boundaries)
    # What differs from block to block is common to all models, but for a little.
    loss = tuple(100 * level * (1 + 0.02 * i) for i in range(blocks))
    models = {"self": Scored(loss, (20.0,) * blocks)}
    if request.start:
        models["start"] = Scored(loss, (20.0,) * blocks)
    return RunReport(
        run=request.run,
        rows=Rows(1000, 1000, evaluated=1600),
        seconds=Seconds(0.1, 0.1, 1.0, 0.1, 1.3),
        checkpoint=CheckpointRef(request.output, f"sha256:{request.run}"),
        position=request.train.end,
        evaluated=Evaluated((100,) * blocks, (20,) * blocks, digest, models),
    )


class World:
    """A store in which runs end as told, without any process."""

    def __init__(self, folder, **changes):
        self.spec = parse_object(resource_body(folder, **changes), "test").spec
        self.store = Store.create(folder / "w")

    def end(self, request, report=None, failure=None, attempt=1):
        folder = self.store.run_folder(request.run)
        folder.mkdir(exist_ok=True)
        (folder / "request.json").write_text(to_json(request))
        report = None if failure else report or report_of(request)
        self.store.put_outcome(RunOutcome(request.run, attempt, 2.0, report, failure))

    def cycle(self, number, **ending):
        plan = advance(self.spec, replace(begin(), cycle=number), Observation(NOW)).start[0]
        self.end(plan.request, **ending)
        return plan.request

    def controls(self):
        return controls(self.spec, self.store)

    def select(self, levels):
        for request in self.controls().wanted:
            self.end(request, report_of(request, levels[request.size]))


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path, sizes=(4, 8, 16), cycles=4)
    made.cycle(0)
    return made


def test_nothing_is_wanted_before_the_first_run_sets_seed_and_data(tmp_path):
    assert World(tmp_path).controls() is None


def test_each_size_first_trains_cold_on_the_whole_history(world):
    wanted = world.controls().wanted
    schedule = world.spec.schedule
    assert [r.size for r in wanted] == [4, 8, 16]
    for request in wanted:
        assert request.start is None
        assert request.role is Role.CONTROL
        assert (request.train.start, request.train.end) == (schedule.history_from, schedule.start_time)
        assert (request.train.policy, request.train.rate) == (Policy.UNIFORM, 1.0)
        quarter = (schedule.start_time - schedule.history_from) / 4
        assert request.evaluation.start == schedule.start_time - quarter
        assert request.evaluation.boundaries[-1] == request.evaluation.end == schedule.start_time
    assert not world.controls().any


@pytest.mark.parametrize(
    ("levels", "size", "word"),
    [
        ({4: 0.4521, 8: 0.4510, 16: 0.45}, 4, "+0.467%"),  # a quarter of 2 % is 0.5 %
        ({4: 0.4545, 8: 0.4510, 16: 0.45}, 8, "+0.222%"),
        ({4: 0.4545, 8: 0.4530, 16: 0.45}, 16, "no smaller size comes within 0.500%"),
        ({4: 0.4400, 8: 0.4600, 16: 0.45}, 4, "-2.222%"),
    ],
)
def test_the_right_size_is_the_smallest_within_a_quarter_of_the_tolerance(world, levels, size, word):
    world.select(levels)
    largest, right = world.controls().lineages
    assert (largest.kind, largest.size) == (Kind.LARGEST, 16)
    assert (right.kind, right.size) == (Kind.RIGHT_SIZED, size)
    assert word in right.rule


def test_without_the_largest_size_nothing_is_right(world):
    for request in world.controls().wanted:
        failure = Failure(FailureKind.USER_ERROR, "no") if request.size == 16 else None
        world.end(request, failure=failure)
    largest, right = world.controls().lineages
    assert right.size is None
    assert largest.failure.kind is FailureKind.USER_ERROR
    assert world.controls().wanted == ()


def test_a_lineage_goes_on_from_its_own_checkpoint_on_the_candidates_evaluation_rows(world):
    world.select({4: 0.45, 8: 0.45, 16: 0.45})
    candidate = world.cycle(1)
    wanted = {r.size: r for r in world.controls().wanted}
    assert set(wanted) == {4, 16}
    for size, request in wanted.items():
        assert request.evaluation == candidate.evaluation
        assert request.seed == candidate.seed
        assert request.scales == candidate.scales
        assert request.start == CheckpointRef(
            f"controls/size-{size}/ctl-c000-size-{size}", f"sha256:ctl-c000-size-{size}"
        )
        assert request.keep == (request.start.uri,)
        assert request.output.startswith(f"controls/size-{size}/")
        assert (request.train.rate, request.train.end) == (1.0, candidate.train.end)


def test_the_rows_of_a_skipped_cycle_are_trained_in_the_next(world):
    world.select({4: 0.45, 8: 0.45, 16: 0.45})
    skipped = world.cycle(1, failure=Failure(FailureKind.EMPTY_INTERVAL, "no row"))
    assert world.controls().wanted == ()
    world.cycle(2)
    request = world.controls().wanted[0]
    assert request.cycle == 2
    assert request.train.start == skipped.train.start


def test_where_the_largest_size_is_the_right_one_it_runs_once(world):
    world.select({4: 0.46, 8: 0.46, 16: 0.45})
    world.cycle(1)
    assert [r.run for r in world.controls().wanted] == ["ctl-c001-size-16"]


def test_a_crash_is_tried_again_and_a_wrong_request_is_not(world):
    world.select({4: 0.46, 8: 0.46, 16: 0.45})
    world.cycle(1)
    request = world.controls().wanted[0]
    world.end(request, failure=Failure(FailureKind.CRASHED, "oom"), attempt=1)
    assert world.controls().wanted == (request,)
    world.end(request, failure=Failure(FailureKind.USER_ERROR, "no such size"), attempt=2)
    assert world.controls().wanted == ()
    assert world.controls().lineages[0].failure.message == "no such size"


def test_the_operators_own_runs_do_not_include_controls(world):
    world.select({4: 0.45, 8: 0.45, 16: 0.45})
    assert [request.run for request, _ in world.store.runs()] == ["c000-candidate"]
    assert isinstance(begin(), Memory)
