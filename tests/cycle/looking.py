"""One look at a running trial, with the loss that its model is to show."""

from dataclasses import replace

from cycle.playing import success
from dataefficient.cycle.gate import Notes
from dataefficient.cycle.launch import plan_run
from dataefficient.cycle.looks import judge_trial
from dataefficient.cycle.planning import later_cycle


def look_at_trial(k, loses):
    """Memory after a look at the trial that shows it to lose so much against what serves, and the notes."""
    wanted = later_cycle(k, k.memory.champion).wanted[0]
    report = success(plan_run(k.spec, k.memory, wanted, 1e4)).report
    served = report.evaluated.models["start"]
    losing = replace(served, loss=tuple((1.0 + loses) * loss for loss in served.loss))
    models = {**report.evaluated.models, "trial": losing}
    notes = Notes()
    return judge_trial(k, replace(report, evaluated=replace(report.evaluated, models=models)), notes), notes
