"""A team's whole story on a real cluster, in order: install, apply, retrain, disturb, run dry, uninstall.

Each test goes on from the one before it. Pods, images, volumes, DNS and Prometheus are real; stream and
trainer are those of `examples/flights-cluster`.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml

from chart.helm import CHART, Helm
from cluster.control_plane import ControlPlane, KubectlError
from cluster.running import Watched
from e2e.conftest import Setting

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
TEAM = "ads"
NAME = "late-flights"
CYCLES = 4
OPERATOR = "deployment/det-data-efficient-training"
PROMETHEUS = "http://prometheus.monitoring.svc.cluster.local:9090"
CRD = "dataefficienttrainings.dataefficient.training"
Answer = TypeVar("Answer")


def say(text: str) -> None:
    """One line of progress past pytest's capture, for who waits."""
    sys.__stderr__.write(f"\n  {time.strftime('%H:%M:%S')} {text}")
    sys.__stderr__.flush()


def eventually(ask: Callable[[], Answer | None], *, minutes: float, what: str) -> Answer:
    """The first true answer."""
    end = time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        if answer := ask():
            return answer
        time.sleep(1)
    raise AssertionError(f"not within {minutes:g} minutes: {what}")


def example(setting: Setting, cluster: ControlPlane) -> list[dict[str, Any]]:
    """Volume claim and resource of the example, with the image that was built; costs are checked.

    A pod takes longer to start than to train here. Experiments are paid all the same, or none would be begun.
    """
    text = cluster.kubectl("kustomize", str(ROOT / "examples" / "flights-cluster"))
    text = text.replace("data-efficient-training/flights:0.2.0", setting.images["flights"])
    objects = sorted(yaml.safe_load_all(text), key=lambda one: str(one["kind"]), reverse=True)
    objects[1]["spec"] |= {"horizonCycles": 200, "exploration": {"share": "1"}}
    objects[1]["spec"]["prometheus"] = {"settleSeconds": 20, "cost": {"source": "KubeStateMetrics"}}
    return objects


def values(setting: Setting) -> dict[str, Any]:
    """What this cluster tells the chart."""
    repository, _, tag = setting.images["operator"].rpartition(":")
    return {"image": {"repository": repository, "tag": tag}, "prometheus": {"default": PROMETHEUS}}


def bound(user: str, rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A Role of the team's namespace and who has it."""
    group = "rbac.authorization.k8s.io"
    head = {"apiVersion": f"{group}/v1", "metadata": {"name": user, "namespace": TEAM}}
    return [
        {**head, "kind": "Role", "rules": rules},
        {
            **head,
            "kind": "RoleBinding",
            "roleRef": {"apiGroup": group, "kind": "Role", "name": user},
            "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
        },
    ]


def queried(cluster: ControlPlane, query: str) -> list[dict[str, Any]]:
    """What the Prometheus in the cluster answers; nothing where it cannot be reached."""
    address = cluster.get("service/prometheus", "-n", "monitoring")["spec"]["clusterIP"]
    url = f"http://{address}:9090/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    except OSError:  # the Service has no way to its pod yet
        return []
    return result


@pytest.fixture(scope="module")
def watched(cluster: ControlPlane) -> Watched:
    """The resource, as one looks at it."""
    return Watched(cluster, TEAM, NAME)


def look(watched: Watched) -> str:
    """Where the resource stands, in a line."""
    status = watched.status()
    runs = ", ".join(r["name"] for r in status.get("runs", []) if r["state"] == "Running")
    return f"cycle {status.get('cycle')} {status.get('step')}: {runs or 'nothing'} under way"


def followed(watched: Watched, until: Callable[[], Answer | None], *, minutes: float, what: str) -> Answer:
    """The first true answer, with a line for every change on the way."""
    seen = ""

    def ask() -> Answer | None:
        nonlocal seen
        now = look(watched)
        if now != seen:
            seen = now
            say(now)
        return until()

    return eventually(ask, minutes=minutes, what=what)


def test_the_chart_installs_and_passes_its_own_test(
    cluster: ControlPlane, helm: Helm, setting: Setting, pod_times: str
):
    for name in ("det", TEAM):
        cluster.kubectl("create", "namespace", name)
        cluster.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    helm("install", "det", str(CHART), "--namespace=det", "--wait", "--timeout=5m", values=values(setting))
    assert "Succeeded" in helm("test", "det", "--namespace=det", "--timeout=3m")
    monitoring = (Path(__file__).parent / "monitoring.yaml").read_text()
    monitoring = monitoring.replace("IMAGE", setting.images["prometheus"]).replace("POD_TIMES", pod_times)
    cluster.kubectl("apply", "-f", "-", given=monitoring)
    cluster.kubectl("rollout", "status", "deployment/prometheus", "-n", "monitoring", "--timeout=3m")
    eventually(lambda: len(queried(cluster, "up == 1")) == 2, minutes=1, what="both are scraped")


@pytest.mark.parametrize(
    ("image", "module"),
    [("operator", "dataefficient.cluster.process"), ("flights", "dataefficient_trainer.preload")],
)
def test_no_pod_compiles_what_it_loads(cluster: ControlPlane, setting: Setting, image: str, module: str):
    program = (
        "import os, sys\n"
        f"import {module}\n"
        "specs = [getattr(module, '__spec__', None) for module in sys.modules.values()]\n"
        "files = [spec.cached for spec in specs if spec and spec.cached]\n"
        "own = [file for file in files if file.startswith('/opt/app')]\n"
        "assert own and all(map(os.path.exists, own)), [f for f in own if not os.path.exists(f)]\n"
    )
    pod, command = f"compiled-{image}", ("--command", "--", "python3", "-c", program)
    cluster.kubectl("run", pod, f"--image={setting.images[image]}", "--restart=Never", *command)

    def ended() -> str | None:
        phase: str = cluster.get(f"pod/{pod}", "-n", "default")["status"]["phase"]
        return phase if phase in ("Succeeded", "Failed") else None

    phase = eventually(ended, minutes=2, what=f"{pod} has ended")
    assert phase == "Succeeded", cluster.kubectl("logs", pod)
    cluster.kubectl("delete", "pod", pod)


def test_a_tenant_gets_nothing_through_a_resource_that_is_not_theirs(cluster: ControlPlane, setting: Setting):
    kind = {"apiGroups": ["dataefficient.training"], "resources": ["dataefficienttrainings"], "verbs": ["*"]}
    claims = {"apiGroups": [""], "resources": ["persistentvolumeclaims"], "verbs": ["*"]}
    jobs = {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create"]}
    cluster.apply(*bound("alice", [kind, claims, jobs]), *bound("bob", [kind]))
    claim, resource = example(setting, cluster)

    def refusal(user: str, body: dict[str, Any], namespace: str = TEAM) -> str:
        with pytest.raises(KubectlError) as refused:
            cluster.kubectl("apply", "--dry-run=server", "-n", namespace, "-f", "-", given=body, user=user)
        return str(refused.value)

    assert "bob may not create jobs in the namespace ads" in refusal("bob", resource)
    assert "forbidden" in refusal("alice", resource, "det")
    assert "forbidden" in refusal("carol", resource)
    rich = json.loads(json.dumps(resource))
    rich["spec"]["trainer"]["template"]["spec"]["serviceAccountName"] = "rich"
    assert "may not use the service account rich" in refusal("alice", rich)
    with pytest.raises(KubectlError):
        cluster.kubectl("auth", "can-i", "update", CRD, "--subresource=status", "-n", TEAM, user="alice")
    elsewhere = json.loads(json.dumps(resource))
    elsewhere["metadata"]["name"] = "elsewhere"
    elsewhere["spec"]["prometheus"] = {"address": "http://collector.evil.example:9090"}
    cluster.kubectl("apply", "-n", TEAM, "-f", "-", given=[claim, elsewhere], user="alice")
    stranger = Watched(cluster, TEAM, "elsewhere")
    told = eventually(
        lambda: (c := stranger.condition("Accepted"))["status"] == "False" and c,
        minutes=1,
        what="the address is refused",
    )
    assert told["reason"] == "AddressNotAllowed"
    assert not stranger.jobs()
    cluster.kubectl("delete", "det", "elsewhere", "-n", TEAM, "--timeout=30s", user="alice")


def test_cycles_train_on_real_pods_though_the_operator_is_deleted_in_the_midst(
    cluster: ControlPlane, setting: Setting, watched: Watched
):
    volume = setting.folder / "volume"
    volume.mkdir()
    volume.chmod(0o777)  # as a volume's driver would give it to the pod's user
    setting.folder.chmod(0o755)
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": "checkpoints"},
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain",
                "hostPath": {"path": str(volume)},
            },
        }
    )
    cluster.kubectl("apply", "-n", TEAM, "-f", "-", given=example(setting, cluster), user="alice")

    def training() -> bool:
        running = [p for p in watched.pods() if p["status"]["phase"] == "Running"]
        return (watched.status().get("cycle") or 0) >= 1 and bool(running)

    followed(watched, training, minutes=12, what="a pod trains in cycle 1")
    pod = cluster.get("pods", "-n", "det", "-l", "app.kubernetes.io/instance=det")["items"][0]["metadata"][
        "name"
    ]
    say(f"the operator's pod {pod} is deleted")
    cluster.kubectl("delete", "pod", pod, "-n", "det", "--wait=true", "--timeout=60s")
    cluster.kubectl("rollout", "status", OPERATOR, "-n", "det", "--timeout=2m")
    followed(
        watched,
        lambda: (watched.status().get("cycle") or 0) >= CYCLES,
        minutes=20,
        what=f"{CYCLES} cycles are over",
    )
    memory = watched.memory()
    attempts = [(entry.run, entry.attempt) for entry in memory.ledger.entries]
    assert len(attempts) == len(set(attempts)), "no attempt was paid twice"
    assert max(attempt for _, attempt in attempts) == 1, "no attempt was lost with the operator's pod"
    judged = {record.cycle for record in memory.history if record.gate is not None}
    assert judged >= set(range(1, CYCLES)), "each candidate after the first was held against the one before"
    assert memory.champion is not None
    say(f"published: cycle {memory.champion.cycle}, {watched.status()['spent']['summary']}")


def test_rate_and_size_move(watched: Watched):
    memory = watched.memory()
    points = [run.point for record in memory.history for run in record.runs]
    rates, sizes = {point.rate for point in points}, {point.size for point in points}
    plans = [(r.plan.point.policy, r.plan.point.rate, r.plan.point.size) for r in memory.history if r.plan]
    say(f"rates {sorted(rates)}, sizes {sorted(sizes)}; plans in force {plans}")
    assert len(rates) > 1
    assert len(sizes) > 1


def test_prometheus_knows_each_run_and_agrees_with_reports_and_ledger(
    cluster: ControlPlane, watched: Watched
):
    selector = f'{{resource_namespace="{TEAM}",resource="{NAME}"}}'
    told = eventually(
        lambda: queried(cluster, f"max by (run) (dataefficient_run_device_seconds{selector})"),
        minutes=1,
        what="the runs' cost is in Prometheus",
    )
    spent = {entry.run: entry.seconds for entry in watched.memory().ledger.entries}
    for series in told:
        run = series["metric"]["run"]
        assert float(series["value"][1]) == pytest.approx(spent[run], abs=1e-6)
    for kind in ("PrometheusAgrees", "CostAgrees"):
        told = followed(
            watched,
            lambda kind=kind: (c := watched.condition(kind))["status"] in ("True", "False") and c,
            minutes=5,
            what=f"{kind} is known",
        )
        say(f"{kind}: {told['message']}")
        assert told["reason"] == "Agrees"


def test_a_budget_that_is_used_up_stops_the_runs_and_nothing_else(cluster: ControlPlane, watched: Watched):
    settled = watched.memory().ledger.settled / 3600
    lowered = {"initial": None, "perCycle": None, "total": {"money": None, "deviceHours": f"{settled:.4f}"}}
    watched.patch({"spec": {"budget": lowered}})
    told = followed(
        watched,
        lambda: (c := watched.condition("WithinBudget"))["status"] == "False" and c,
        minutes=3,
        what="the budget is used up",
    )
    say(f"{told['reason']}: {told['message']}")
    quiet = followed(
        watched,
        lambda: (
            not [p for p in watched.pods() if p["status"]["phase"] in ("Pending", "Running")]
            and watched.jobs()
        ),
        minutes=3,
        what="nothing runs any more",
    )
    time.sleep(20)  # in which a run would have been launched
    assert watched.jobs().keys() == quiet.keys()
    assert watched.config_map(f"{NAME}-champion")["data"]["state"] == "Published"


def test_uninstalling_loses_nothing_and_the_next_release_goes_on(
    cluster: ControlPlane, helm: Helm, setting: Setting, watched: Watched
):
    before = watched.memory()
    helm("uninstall", "det", "--namespace=det", "--wait", "--timeout=2m")
    left = ("get", "all,configmaps,roles,rolebindings,leases", "-n", "det", "-o", "name")
    eventually(
        lambda: not cluster.kubectl(*left, "-l", "app.kubernetes.io/instance=det"),
        minutes=1,
        what="nothing is left of the release",
    )
    assert watched.body()["spec"]["mode"] == "Enforce"
    assert watched.memory() == before
    helm(
        "install",
        "again",
        str(CHART),
        "--namespace=det",
        "--take-ownership",
        "--wait",
        values=values(setting),
    )
    watched.patch({"spec": {"budget": {"total": {"deviceHours": "10"}}}})
    followed(
        watched,
        lambda: (watched.status().get("cycle") or 0) > before.cycle,
        minutes=4,
        what="the next cycle is over",
    )
    assert watched.memory().history[: len(before.history)] == before.history


def test_deleting_never_hangs_and_leaves_serving_its_model(
    cluster: ControlPlane, helm: Helm, watched: Watched
):
    helm("uninstall", "again", "--namespace=det", "--wait", "--timeout=2m")
    champion, memory = watched.config_map(f"{NAME}-champion")["data"], watched.memory()
    cluster.kubectl("delete", "det", NAME, "-n", TEAM, "--timeout=30s", user="alice")
    assert champion["state"] == "Published"
    assert watched.config_map(f"{NAME}-champion")["data"] == champion
    assert watched.memory() == memory
    eventually(lambda: not watched.jobs() and not watched.pods(), minutes=2, what="its Jobs are collected")
    cluster.kubectl("delete", "crd", CRD, "--timeout=30s")
