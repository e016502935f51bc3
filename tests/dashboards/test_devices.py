"""The queries of device metrics, on series that are named as their exporters name them: no device is here."""

import shutil
import time

import pytest

from boards.files import boards
from dashboards.asking import Grafana, queries
from dashboards.exceptions import NO_DEVICE
from dataefficient.cluster import names
from prometheus.live import Exporter, eventually, prometheus

POD = f"{names.child('clicks', 'uid', 'c004-candidate', 1)}-x7k2p"
OTHER = f"{names.child('clicks-eu', 'uid', 'c004-candidate', 1)}-x7k2p"
GPU, TPU = "DCGM_FI_DEV_GPU_UTIL", "kubernetes_io:container_accelerator_duty_cycle"


@pytest.mark.parametrize(
    ("series", "panel"),
    [
        (GPU + '{{gpu="0",namespace="ads",pod="{pod}"}}', "GPU utilisation"),
        (GPU + '{{gpu="0",namespace="x",exported_namespace="ads",exported_pod="{pod}"}}', "GPU utilisation"),
        (TPU + '{{namespace_name="ads",pod_name="{pod}"}}', "TPU duty cycle"),
    ],
    ids=["gpu", "gpu, labels renamed", "tpu"],
)
def test_the_pods_of_the_resource_alone_are_shown(tmp_path, series, panel):
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("NO PROMETHEUS ON PATH: the queries of device metrics are NOT tried")
    (asked,) = [one for one in queries("trainer", boards()["trainer"]) if one.panel == panel]
    assert asked.where in NO_DEVICE
    exporter, began = Exporter().start(), time.time()
    exporter.set(series.format(pod=POD), 80)
    exporter.set(series.format(pod=OTHER), 7)
    try:
        with prometheus(program, tmp_path, {"devices": exporter.address}) as address:

            def shown():
                chosen = {"namespace": "ads", "resource": "clicks", "run": ".*"}
                return set(Grafana(address, began, time.time(), chosen).numbers(asked))

            assert eventually(shown, bool) == {80.0}
    finally:
        exporter.stop()
