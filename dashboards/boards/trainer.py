"""Runs while they train: how fast, on what they wait, and whether they learn."""

from __future__ import annotations

from typing import Any

from boards.build import PLAIN, SHARE, bars, board, lines
from boards.promql import ONE, selector

UID = "det-trainer"
RUNS = f'{ONE},run=~"$run"'
RUN = "{{run}}"
POD = "$resource-[0-9a-f]{5}-c[0-9]+-.*"
"""Exporters of device metrics name the pod; a run's pod is named after resource, hash of its UID, and run."""
GPU = f'DCGM_FI_DEV_GPU_UTIL{{namespace="$namespace",pod=~"{POD}"}}'
# Scraped without honorLabels, the exporter's own labels are renamed.
RENAMED_GPU = f'DCGM_FI_DEV_GPU_UTIL{{exported_namespace="$namespace",exported_pod=~"{POD}"}}'
GPUS = f'avg by (pod) ({GPU} or label_replace({RENAMED_GPU}, "pod", "$1", "exported_pod", "(.*)"))'
TPU = f'kubernetes_io:container_accelerator_duty_cycle{{namespace_name="$namespace",pod_name=~"{POD}"}}'
PHASES = selector("trainer_phase_seconds", RUNS)
READING = selector("trainer_phase_seconds", RUNS, 'phase="read"')
NOT_TOTAL = 'phase!="total"'
SHOWN_ROWS = 'kind=~"read|kept|evaluated"'


def gauge(name: str) -> str:
    """A gauge of each run."""
    return f"max by (run) ({selector(f'trainer_{name}', RUNS)})"


def speed() -> list[Any]:
    """How fast it goes, and what holds it up."""
    phases = f"max by (run, phase) (deriv({PHASES}[$__rate_interval]))"
    reading = f"max by (run, phase) (deriv({READING}[$__rate_interval]))"
    return [
        lines(
            "Rows per second",
            "Rows read a second since the run's first row. Far below earlier runs of the same size: another "
            "machine, or slower storage.",
            "suffix: rows/s",
            (gauge("rows_per_second"), RUN),
            least=0,
        ),
        lines(
            "Waiting for data",
            "Share of the time in which the run reads, samples and extracts features while the device waits. "
            "Near 1 the device is idle: give the pod more cores, or faster storage.",
            SHARE,
            (
                f"sum by (run) (clamp_min({reading}, 0)) / sum by (run) (clamp_min({phases}, 0))",
                RUN,
            ),
            least=0,
        ),
        lines(
            "GPU utilisation",
            "Share of the time in which a kernel runs on the GPU of the resource's pods, from the DCGM "
            "exporter. No data: no NVIDIA GPU, or no exporter.",
            "percent",
            (GPUS, "{{pod}}"),
            least=0,
        ),
        lines(
            "TPU duty cycle",
            "Share of the time in which the TPU of the resource's pods is busy, from GKE's system metrics. "
            "No data: no TPU, or those metrics are not in this Prometheus.",
            "percent",
            (f"avg by (pod_name) ({TPU})", "{{pod_name}}"),
            least=0,
        ),
    ]


def learning() -> list[Any]:
    """Whether it learns."""
    return [
        lines(
            "Training loss",
            "Mean log loss of the run's training batches so far, on sampled rows: to be compared within a "
            "run and not with the KPI. It should fall; a rise that lasts: a learning rate that is too high, "
            "or broken data.",
            "none",
            (gauge("train_loss"), RUN),
        ),
        lines(
            "Gradient norm",
            "Euclidean norm of the newest batch's mean gradient by bias and dense part. A jump of more than "
            "tenfold comes before a loss that is not finite: lower trainer.config.learningRate.",
            "none",
            (gauge("gradient_norm"), RUN),
            least=0,
        ),
        lines(
            "Rows",
            "Rows read so far, and of them those that were trained on and those that were scored.",
            PLAIN,
            (gauge("rows"), f"{RUN} read"),
            (gauge("kept_rows"), f"{RUN} trained on"),
            (gauge("evaluated_rows"), f"{RUN} scored"),
            least=0,
        ),
        lines(
            "Rows refused",
            "Rows without a usable label or with a damaged value. Above a hundredth of the rows read: "
            "something upstream has changed.",
            PLAIN,
            (gauge("bad_rows"), RUN),
            least=0,
        ),
    ]


def finished() -> list[Any]:
    """Runs that ended, as the operator tells of them."""
    return [
        bars(
            "Seconds of finished runs, by phase",
            "Wall-clock seconds of the newest finished runs: what is read is waited for, startup is "
            "overhead. From the reports, so that it is there without a trainer's own metrics.",
            "s",
            f"max by (run, phase) ({selector('run_seconds', RUNS, NOT_TOTAL)})",
            legend="{{run}} {{phase}}",
            width=12,
        ),
        bars(
            "Rows of finished runs",
            "Rows that the newest finished runs read, trained on and scored.",
            PLAIN,
            f"max by (run, kind) ({selector('run_rows', RUNS, SHOWN_ROWS)})",
            legend="{{run}} {{kind}}",
            width=12,
        ),
    ]


def trainer() -> dict[str, Any]:
    """The dashboard."""
    named = 'dataefficient_info{resource_namespace="$namespace"}'
    here = f"{{{ONE}}}"
    return board(
        UID,
        "Data-efficient training / Trainer",
        "Runs while they train: speed, waiting for data, device utilisation, loss and gradient norm.",
        variables=[
            ("namespace", "Namespace", "label_values(dataefficient_info, resource_namespace)"),
            ("resource", "Resource", f"label_values({named}, resource)"),
            ("run", "Run", f"label_values(dataefficient_run_cycle{here}, run)"),
        ],
        rows={"Speed": speed(), "Learning": learning(), "Finished runs": finished()},
        many=False,
        all_of=("run",),
        since="now-6h",
    )
