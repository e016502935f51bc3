"""Which runs may be compared: those of one comparability key, by default the trainer's config and image.

With another key the trainer is another one. The champion and the ledger go on, since serving and money do
not depend on it; what was measured goes on as a prior, in which a harm is doubted by a part of itself that no
number of old contrasts makes smaller. Branches that the old trainer began are dropped: a comparison with them
would measure the trainer.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from math import sqrt

from dataefficient.api.spec import Spec
from dataefficient.cycle.knowledge import Knowledge
from dataefficient.cycle.model import Convergence, Memory
from dataefficient.planner.belief import growth
from dataefficient.planner.contrasts import Contrast

DOUBT = 0.25
"""Standard deviation of a harm under another trainer, relative to the harm, and to the tolerance at least:
about what the random walk of harms comes to in 150 cycles."""
WIDER = 2.0
"""Factor by which the interval of an old convergence point is wider at either end."""
TOLD = "The trainer has changed: what was measured before counts with wider intervals"
BEGUN_ANEW = "The trainer has changed: the first runs are made again"


def key_of(spec: Spec) -> str:
    """The comparability key that runs of this spec have."""
    if spec.trainer.comparability_key:
        return spec.trainer.comparability_key
    (container,) = spec.trainer.template["spec"]["containers"]
    same = [spec.trainer.config, container.get("image")]
    return hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()[:12]


def renewed(k: Knowledge) -> tuple[Memory, tuple[str, ...]]:
    """Memory under the spec's key, with no run under way, and what is to be told of it."""
    memory, key = k.memory, key_of(k.spec)
    if memory.key == key:
        return memory, ()
    memory = replace(
        memory,
        key=key,
        takes_riders=False,
        converts_sizes=False,
        tells_divergence=False,
        crashed_with_riders=False,
        scores_all=False,
    )
    if k.memory.key is None:
        return memory, ()
    if memory.cycle == 0:
        # Nothing rests on it yet: the first runs are made again.
        begun = bool(memory.done)
        memory = replace(memory, done=(), launched=(), contrasts=(), cold_starts=(), convergence=None)
        return memory, (BEGUN_ANEW,) if begun else ()
    # Told with the plan, which the history keeps.
    return replace(
        memory,
        renewed=memory.cycle,
        contrasts=tuple(_doubted(k, c) for c in memory.contrasts),
        convergence=None if memory.convergence is None else _widened(memory.convergence),
        cold_starts=(),
        refusals=(),
        refused_in_row=0,
        no_trial_before=0,
        trial=None,
        control=None,
    ), ()


def _doubted(k: Knowledge, contrast: Contrast) -> Contrast:
    """The contrast as a part of the prior: all of them together leave the doubt of one."""
    shown = growth(k.carry_over, contrast.age) * k.tolerance
    doubt = DOUBT * max(shown, abs(contrast.gap))
    error = sqrt(contrast.standard_error**2 + len(k.memory.contrasts) * doubt**2)
    return replace(contrast, standard_error=error, earlier=True, divergence=None)


def _widened(found: Convergence) -> Convergence:
    return replace(
        found,
        examples=None if found.examples is None else min(WIDER * found.examples, found.longest),
        low=None if found.low is None else found.low / WIDER,
        high=None if found.high is None else found.high * WIDER,
        reason=f"{found.reason.rstrip('.')}; measured with an earlier trainer, so its interval is wider",
        earlier=True,
    )
