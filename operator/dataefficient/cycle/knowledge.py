"""What follows from the memory before anything is decided: beliefs, on top of costs and budget.

Derived anew at every decision and never stored, so that it cannot disagree with what was measured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import hypot, sqrt
from statistics import NormalDist, median

from dataefficient.api.spec import Mode
from dataefficient.contract import MIN_PAIRED_BLOCKS
from dataefficient.cycle.costing import Costing
from dataefficient.cycle.figures import Ask
from dataefficient.cycle.launch import BLOCKS, evaluation_share
from dataefficient.cycle.model import Branch
from dataefficient.cycle.serving import Ruling, rule
from dataefficient.planner import scatter, stratified
from dataefficient.planner.belief import Belief, Evidence, Life, Mixture, Wear
from dataefficient.planner.choice import Situation, Stake, spent_alpha
from dataefficient.planner.contrasts import Contrast, Past, Spell, after, before
from dataefficient.planner.explore import MIN_LOOKS, Terms
from dataefficient.planner.forecast import next_level
from dataefficient.planner.knobs import Knobs, Point

CERTIFIED_SHARE = 0.9
"""Share of the tolerance that new plans may use; the rest is for changes of the stream."""
AHEAD = 8.0
"""Cycles ahead for which a plan is certified. Until then another look or a control has told more."""
KEEP = 0.95
"""The plan in force stays while this bound lies inside the tolerance."""
DRIFT = 0.02
"""Random walk of a plan's distance per cycle, relative to it."""
RESOLVING_CYCLES = 8
"""Cycles over which paired comparisons are pooled before a distance is called resolvable."""
UNMEASURED_MARGIN = 6.0
"""Times that resolution up to which a stream is tried whose comparisons were never measured: what is assumed
of them is rough, and one trial tells."""
COLD_SPREAD = 2.5
"""Error of a comparison of two cold starts relative to that of branches of one champion, before any was made
(levers study: 0.04 to 0.08 % between models that differ, 0.015 to 0.03 % between similar ones)."""


@lru_cache(maxsize=8)
def _evidence(
    contrasts: tuple[Contrast, ...], knobs: Knobs, tolerance: float, cycle: int, wear: Wear
) -> Evidence:
    return Evidence(contrasts, knobs, tolerance=tolerance, cycle=cycle, wear=wear)


@dataclass(frozen=True)
class Prospect:
    """Where the lineage will be under one plan.

    Attributes:
        belief: of the distance.
        certified: probability that it is inside the part of the tolerance that new plans may use.
        inside: probability that it is inside the tolerance.
        bound: upper bound for a new plan; ``kept_bound`` for the one in force.
    """

    belief: Belief
    certified: float
    inside: float
    bound: float
    kept_bound: float


@dataclass(frozen=True)
class Knowledge(Costing):
    """Everything that decisions read, derived from spec and memory at one time."""

    @cached_property
    def ruling(self) -> Ruling:
        """What follows from the answers of Prometheus, and from a roll-back."""
        found = rule(
            self.spec.kpi,
            self.spec.serving_guardrails,
            reference=self.reference,
            heard=self.memory.heard,
            guarded=self.memory.guarded,
        )
        held = self.memory.held_until
        if held is not None and self.memory.cycle < held:
            found += Ruling(hold=(f"rolled back by a person, until cycle {held}",))
        return found

    @cached_property
    def tolerance(self) -> float:
        """Relative distance allowed for life; without one, what the target leaves below the reference."""
        if self.spec.kpi.tolerance is not None:
            return float(self.spec.kpi.tolerance)
        if self.target is None or self.level is None:
            return 1e-9
        return max(self.target / (self.level / (1.0 + self.memory.distance)) - 1.0, 1e-9)

    @property
    def certified_tolerance(self) -> float:
        """What a plan's bound must stay inside: a part of the tolerance is kept for what no one measured."""
        return CERTIFIED_SHARE * self.tolerance

    @property
    def target(self) -> float | None:
        """Level that must not be exceeded, where the planner's own metric is what it speaks of."""
        if self.spec.kpi.target is None or self.spec.kpi.query:
            return None
        return float(self.spec.kpi.target)

    @cached_property
    def level_forecast(self) -> tuple[float, float, float] | None:
        """Mean and 80 % interval of the next level."""
        return next_level(self.memory.levels, self.memory.level_spread)

    @property
    def level(self) -> float | None:
        """Expected next level."""
        return self.level_forecast[0] if self.level_forecast else None

    @cached_property
    def carry_over(self) -> float:
        """Share of a distance that is left after one cycle: the median of what the branches showed."""
        return self.evidence.carry_over(0.5)

    @cached_property
    def evidence(self) -> Evidence:
        """What the contrasts say of every plan."""
        known = set(self.points)
        contrasts = tuple(c for c in self.memory.contrasts if c.points <= known)
        wear = Wear(DRIFT, self.memory.seed_noise, scatter.of_cycles(contrasts, self.tolerance))
        return _evidence(contrasts, self.knobs, self.tolerance, self.memory.cycle + 1, wear)

    @property
    def life(self) -> Life:
        """The lineage that the next candidate goes on with."""
        origin = self.origin
        return Life(()) if origin is None else Life(origin.past, origin.cold, origin.cold_age)

    @cached_property
    def prospects(self) -> dict[Point, Prospect]:
        """Where the lineage will be some cycles ahead under each plan. Before its birth: in the end."""
        ahead = float("inf") if self.origin is None else AHEAD
        mixture = self.evidence.ahead(self.life, self.points, ahead)
        found = zip(
            self.points,
            mixture.beliefs(),
            mixture.below(self.certified_tolerance),
            mixture.below(self.tolerance),
            mixture.quantiles(self.assurance),
            mixture.quantiles(KEEP),
            strict=True,
        )
        return {p: Prospect(b, float(c), float(t), float(q), float(s)) for p, b, c, t, q, s in found}

    @cached_property
    def ultimate(self) -> dict[Point, Belief]:
        """What each plan costs a lineage that runs it for ever."""
        mixture = self.evidence.ahead(Life(()), self.points, float("inf"))
        return dict(zip(self.points, mixture.beliefs(), strict=True))

    @cached_property
    def stakes(self) -> dict[Point, Stake]:
        """Expected distance and bound of every point.

        The bound of a new plan holds at the confidence that alpha spending leaves, and asks for a
        measurement of that plan or of a harsher one. The plan in force passed that once and needs less.
        """
        return {p: self._stake(p) for p in self.points}

    @property
    def in_force(self) -> Point | None:
        """The plan that a trial certified last, or the one that ran last."""
        return self.memory.adopted or (self.memory.plan.point if self.memory.plan else None)

    def _stake(self, point: Point) -> Stake:
        if point == self.reference:
            return Stake(0.0, 0.0)
        if not self.measured(point):
            return Stake(None, None)
        found, bound = self.prospects[point], self.prospects[point].bound
        if self._no_step_down(point):
            # It may use what is kept back from new plans.
            bound = min(bound, found.kept_bound * CERTIFIED_SHARE)
        return Stake(found.belief.mean, max(bound, 0.0))

    def _no_step_down(self, point: Point) -> bool:
        """Whether a plan is the one in force, or takes more rows at its size or no fewer at a larger one."""
        now = self.in_force
        if now is None or point.size < now.size:
            return False
        more = point.rate >= now.rate if point.size > now.size else point.rate > now.rate
        return point == now or (more and point.policy == now.policy)

    def branches_off(self, point: Point, lineage: Point) -> bool:
        """Whether a branch under ``point`` can leave from a model that was trained under ``lineage``."""
        return point.size == lineage.size or self.memory.converts_sizes

    def open_to(self, point: Point, lineage: Point) -> bool:
        """Whether the lineage can switch to ``point`` at once: a model grows without changing, and what it
        loses by shrinking a trial must show first."""
        return point.size == lineage.size or (self.memory.converts_sizes and point.size > lineage.size)

    def is_certified(self, point: Point) -> bool:
        """Whether the bound of a plan lies inside what new plans may use."""
        bound = self.stakes[point].bound
        return bound is not None and bound <= self.certified_tolerance

    def measured(self, point: Point) -> bool:
        """Whether contrasts speak often enough of so small a size and of so low a rate of its policy."""
        sized = point.size == self.reference.size
        sampled = point.rate == self.reference.rate
        looks = self.looked_at(earlier=self._no_step_down(point))
        return (sized or sum(n for p, n in looks.items() if p.size <= point.size) >= MIN_LOOKS) and (
            sampled
            or sum(n for p, n in looks.items() if p.policy == point.policy and p.rate <= point.rate)
            >= MIN_LOOKS
        )

    def looked_at(self, *, earlier: bool) -> Counter[Point]:
        """How often each plan was compared; a probe of the history stands alone and counts as enough.

        Args:
            earlier: whether comparisons of an earlier trainer count. They do for the plan in force, which
                they have certified, and not for a step down.
        """
        found = Counter[Point]()
        for c in self.memory.contrasts:
            if c.earlier and not earlier:
                continue
            for point in c.points:
                found[point] += MIN_LOOKS if c.age is None and not c.cold else 1
        return found

    @cached_property
    def measured_points(self) -> frozenset[Point]:
        """Plans that a contrast of the present trainer speaks of."""
        return frozenset(p for c in self.memory.contrasts if not c.earlier for p in c.points)

    @cached_property
    def assurance(self) -> float:
        """Probability that a new plan's bound holds with, under alpha spending over the adoptions so far."""
        return 1.0 - spent_alpha(float(self.spec.kpi.confidence), 1 + self.memory.looks)

    def wavers(self, share: float) -> bool:
        """Whether the plan in force may leave that share of the tolerance, or rests on cold starts alone: no
        branch has shown yet what a lineage loses."""
        now = self.in_force
        if now is None or now == self.reference or now not in self.prospects:
            return False
        seen = any(c.age is not None for c in self.memory.contrasts)
        return not seen or self.prospects[now].kept_bound > share * self.tolerance

    @property
    def distance(self) -> tuple[float, float]:
        """Expected distance of the lineage as it is, and its bound at ``kpi.confidence``; none below 0."""
        bound = float(self.lineage.quantiles(float(self.spec.kpi.confidence))[0])
        return max(self.lineage.beliefs()[0].mean, 0.0), max(bound, 0.0)

    @property
    def told_distance(self) -> str:
        """The lineage's distance in words."""
        bound = max(float(self.lineage.quantiles(KEEP)[0]), 0.0)
        return (
            f"the lineage is about {self.lineage.beliefs()[0].mean:.2%} from full data, at most {bound:.2%}"
        )

    def chances_of(self, trial: Branch) -> tuple[float, float]:
        """Chances that what a trial is for is certified and that it is inside the tolerance, if it took over.

        With another size its model takes over too, so that its luck counts, from the next cycle on.
        """
        lives = [(self.life, AHEAD)]
        if trial.cold:
            life = self.life_of(trial)
            lives = [(life, 1.0), (life, AHEAD)]
        found = [self.evidence.ahead(life, (trial.target or trial.point,), cycles) for life, cycles in lives]
        certified = min(float(m.below(self.certified_tolerance)[0]) for m in found)
        return certified, float(found[-1].below(self.tolerance)[0])

    def life_of(self, trial: Branch) -> Life:
        """What the model of a trial that would take over trained under."""
        past: Past = (Spell(trial.point, 1.0),)
        if trial.converted:
            past = after(before(self.life.past, trial.age), trial.point, float(max(trial.age, 1)))
        return Life(past, trial.cold, trial.cold_age + trial.age)

    @cached_property
    def lineage(self) -> Mixture:
        """Distance of the lineage as it is."""
        return self.evidence.ahead(self.life, (self.reference,), 0.0)

    @cached_property
    def se_cycle(self) -> float:
        """Expected error of one cycle's paired comparison of plans that hardly differ: measured, with the
        cycle's own effect, or from its row count."""
        # Cold starts differ far more from each other than branches of one champion do.
        told = self._errors([c for c in self.memory.contrasts if c.age is not None and not c.cold])
        positives, part = self.memory.positives, self.memory.evaluation_negatives
        rows = self.cycle_rows * evaluation_share(self.memory, compared=True)
        spread = scatter.of_rows(positives, scatter.DIFFERENT) * sqrt(stratified.variance(positives, part))
        return told or spread / sqrt(max(rows, 1.0))

    @cached_property
    def se_cold(self) -> float:
        """The same of a cold start against the lineage: measured, or some times that of branches."""
        return self._errors([c for c in self.memory.contrasts if c.cold]) or COLD_SPREAD * self.se_cycle

    def _errors(self, contrasts: Sequence[Contrast]) -> float | None:
        """Typical error of these, as if the plans hardly differed; None: there are none.

        The error of a comparison grows with what it compares, as a cycle's own effect does.
        """
        recent = [c.standard_error / scatter.weight(c.gap, self.tolerance) for c in contrasts][-12:]
        if not recent:
            return None
        return hypot(median(recent), scatter.of_cycles(self.memory.contrasts, self.tolerance))

    @property
    def resolution(self) -> float:
        """Standard error of a distance pooled over a few cycles."""
        measured = self.se_cycle / sqrt(RESOLVING_CYCLES)
        if not self.memory.tells_divergence:
            return measured
        each, common = self.evidence.apart(self.tolerance / 2.0)
        return min(measured, hypot(each / sqrt(RESOLVING_CYCLES), common))

    @property
    def unresolved(self) -> str | None:
        """Why a distance of the tolerance cannot be told on this stream; None: it seems that it can."""
        blocks = self.memory.time_blocks
        if blocks is not None and blocks < MIN_PAIRED_BLOCKS:
            return (
                f"only {blocks} of the {2 * BLOCKS} time blocks of a cycle have rows, and models are "
                f"compared on {MIN_PAIRED_BLOCKS} at least. If times are whole days or hours, name a finer "
                "column in data.time, or raise schedule.everySeconds"
            )
        measured = any(c.age is not None and not c.cold for c in self.memory.contrasts)
        # What was never measured has a chance.
        margin = 1.0 if measured else UNMEASURED_MARGIN
        if self.resolution <= margin * self.tolerance / 3.0:
            return None
        return f"a distance of {self.tolerance:.2%} cannot be told on this stream"

    @property
    def resolvable(self) -> bool:
        """Whether the stream can tell a distance of the tolerance."""
        return self.unresolved is None

    def situation(self, affordable: float | None) -> Situation:
        """The choice's terms for the cycle being planned."""
        return Situation(
            tolerance=self.tolerance,
            limit=self.certified_tolerance,
            target=self.target,
            level=self.level,
            distance=self.memory.distance,
            affordable=affordable,
            unresolved=self.unresolved,
        )

    def terms(self, se: float) -> Terms:
        """The terms of an experiment whose comparison has the standard error ``se``."""
        return Terms(
            tolerance=self.certified_tolerance,
            se_cycle=se,
            z=NormalDist().inv_cdf(self.assurance),
            carry_over=self.carry_over,
            ahead=AHEAD,
            horizon=self.spec.horizon_cycles,
            wrong=1.0 - float(self.spec.kpi.confidence),
            rollback=self.spec.control.lookback_cycles * self.cycle_cost(self.reference),
            apart=self.evidence.apart if self.memory.tells_divergence else None,
        )

    @property
    def enforce(self) -> bool:
        """Whether changes are acted on."""
        return self.spec.mode is Mode.ENFORCE

    @property
    def may_measure(self) -> bool:
        """Whether small runs on the history are allowed."""
        granted = self.memory.granted
        return self.enforce or (granted is not None and granted.ask is Ask.MEASUREMENT)
