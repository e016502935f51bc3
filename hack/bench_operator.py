"""How fast, how quiet and how safe the operator is, on a real API server with played pods.

Prints the time from a Job's end to the decision that takes it in, requests for an idle resource, memory, and
duplicate launches after many kills at random moments. Needs what `make test` needs; takes minutes: a hundred
kills about five on two idle cores.

    python hack/bench_operator.py [--kills 100] [--only killing]
"""

from __future__ import annotations

import argparse
import json
import random
import secrets
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "operator")]

from kubernetes import client, watch  # noqa: E402

from cluster.control_plane import ControlPlane  # noqa: E402 - after the path
from cluster.node import TestNode  # noqa: E402
from cluster.running import Watched, eventually, operating, quick  # noqa: E402
from dataefficient.cluster import ledger  # noqa: E402

CRD = ROOT / "crds" / "dataefficienttraining.yaml"
IDLE_RESOURCES = 20
IDLE_SECONDS = 60
LANES = 2
"""Namespaces in which operators are killed at the same time: most of a kill is one process that starts."""
RESOURCES = 6
"""In each of them."""


def main() -> None:
    """Run all measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--only", choices=["delays", "idleness", "killing"])
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="bench-operator-") as name,
        ControlPlane.started(folder=Path(name)) as cluster,
        TestNode.started(cluster, folder=Path(name) / "node"),
    ):
        cluster.kubectl("apply", f"--filename={CRD}")
        cluster.kubectl("wait", "--for=condition=Established", f"--filename={CRD}", "--timeout=30s")
        if asked.only in (None, "delays"):
            delays(cluster, Path(name))
        if asked.only in (None, "idleness"):
            idleness(cluster, Path(name))
        if asked.only in (None, "killing"):
            killing(cluster, Path(name), asked.kills)


@contextmanager
def namespace_of(cluster: ControlPlane) -> Iterator[str]:
    """A namespace for one measurement."""
    name = f"bench-{secrets.token_hex(3)}"
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=30s", "--namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


class Arrivals:
    """When each Job's end, and the ledger that has its attempt, arrived at one and the same watcher."""

    def __init__(self, cluster: ControlPlane, namespace: str) -> None:
        self.ended: dict[tuple[str, str, int], float] = {}
        self.decided: dict[tuple[str, str, int], float] = {}
        api = cluster.api()
        self._threads = [
            threading.Thread(
                target=self._watch, args=(client.BatchV1Api(api).list_namespaced_job, namespace, self._job)
            ),
            threading.Thread(
                target=self._watch,
                args=(client.CoreV1Api(api).list_namespaced_config_map, namespace, self._map),
            ),
        ]
        self._over = threading.Event()
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    def stop(self) -> None:
        """Watch no longer."""
        self._over.set()

    def delays(self) -> list[float]:
        """Seconds from end to decision, ascending."""
        return sorted(self.decided[k] - self.ended[k] for k in self.decided.keys() & self.ended.keys())

    def _watch(self, listing: Any, namespace: str, take: Any) -> None:
        while not self._over.is_set():
            for event in watch.Watch().stream(listing, namespace, timeout_seconds=30):
                take(event["raw_object"], time.monotonic())

    def _job(self, job: dict[str, Any], now: float) -> None:
        conditions = {c["type"] for c in job.get("status", {}).get("conditions", []) if c["status"] == "True"}
        if conditions & {"Complete", "Failed"}:
            labels = job["metadata"]["labels"]
            key = (
                labels["dataefficient.training/resource"],
                labels["dataefficient.training/run"],
                int(labels["dataefficient.training/attempt"]),
            )
            self.ended.setdefault(key, now)

    def _map(self, body: dict[str, Any], now: float) -> None:
        name = body["metadata"]["name"]
        if name.endswith("-ledger"):
            for entry in ledger.read(body).memory.ledger.entries:
                key = (name.removesuffix("-ledger"), entry.run, entry.attempt)
                self.decided.setdefault(key, now)


def quantile(values: list[float], share: float) -> float:
    """The value below which ``share`` of the ascending ``values`` lie."""
    return values[min(len(values) - 1, round(share * (len(values) - 1)))]


def delays(cluster: ControlPlane, folder: Path) -> None:
    """Time from a Job's end to the next decision, without and with the fits of cycle 0 and of trials."""
    for title, more in (
        ("without fits", {}),
        ("with fits", {"exploration": {"share": "1"}, "knobs": {"modelSize": {"values": [4, 8]}}}),
    ):
        with namespace_of(cluster) as namespace, operating(cluster, folder, namespace) as operator:
            operator.ready()
            arrivals = Arrivals(cluster, namespace)
            place = folder / namespace
            place.mkdir()
            for i in range(4):
                cluster.apply(quick(namespace, place, cycles=3, name=f"quick-{i}", **more))
            for i in range(4):
                eventually(Watched(cluster, namespace, f"quick-{i}").finished, of=operator, seconds=300)
            time.sleep(1.0)
            arrivals.stop()
            found = arrivals.delays()
            print(
                f"Job's end to decision, {title}: n {len(found)}, p50 {quantile(found, 0.5):.3f} s, "
                f"p99 {quantile(found, 0.99):.3f} s, most {found[-1]:.3f} s (the first ones start the worker)"
            )
            print(f"  operator's memory then: {operator.memory_mib():.0f} MiB, its worker's apart")


def idleness(cluster: ControlPlane, folder: Path) -> None:
    """Requests and memory with resources that wait for their next interval."""
    with namespace_of(cluster) as namespace, operating(cluster, folder, namespace) as operator:
        operator.ready()
        for i in range(IDLE_RESOURCES):
            body = quick(namespace, folder, name=f"idle-{i}")
            body["spec"]["schedule"] = {
                "historyFrom": "2090-01-01T00:00:00Z",
                "startTime": "2090-02-01T00:00:00Z",
                "everySeconds": 604800,
            }
            cluster.apply(body)
        last = Watched(cluster, namespace, f"idle-{IDLE_RESOURCES - 1}")
        eventually(lambda: last.condition("Progressing")["reason"] == "WaitingForInterval", of=operator)
        time.sleep(5.0)
        before = operator.metric("dataefficient_operator_api_requests")
        time.sleep(IDLE_SECONDS)
        asked = operator.metric("dataefficient_operator_api_requests") - before
        rate = asked / IDLE_RESOURCES / (IDLE_SECONDS / 60)
        print(
            f"requests for an idle resource: {rate:.2f} a minute over {IDLE_SECONDS} s with {IDLE_RESOURCES} "
            "resources; 2 more at each resync, every 600 s"
        )
        print(f"operator's memory with {IDLE_RESOURCES} idle resources: {operator.memory_mib():.0f} MiB")


def killing(cluster: ControlPlane, folder: Path, kills: int) -> None:
    """Kill operators at random moments of several resources' cycles; count what ran twice."""
    began = time.monotonic()
    shares = [kills // LANES + (lane < kills % LANES) for lane in range(LANES)]
    with ThreadPoolExecutor(LANES) as lanes:
        found = list(lanes.map(lambda one: lane(cluster, folder, *one), enumerate(shares)))
    total: Counter[str] = sum(found, Counter())
    moments = ", ".join(f"{total[m]} {m}" for m in MOMENTS)
    print(
        f"{kills} kills in {time.monotonic() - began:.0f} s: {total['launches']} launches, "
        f"{total['cycles']} cycles ended, {total['duplicates']} duplicates"
    )
    print(f"  runs in hand at the kills: {moments}")


MOMENTS = ("planned without a Job", "running", "ended and not taken in")


def lane(cluster: ControlPlane, folder: Path, number: int, kills: int) -> Counter[str]:
    """One namespace's share of the kills: what was launched, what twice, and where the kills fell."""
    rng, found = random.Random(11 + number), Counter[str]()
    with namespace_of(cluster) as namespace:
        place = folder / namespace
        place.mkdir()
        names = [f"quick-{i}" for i in range(RESOURCES)]
        for name in names:
            # Each run has its resource's own file of launches.
            home = place / name
            home.mkdir()
            body = quick(namespace, home, cycles=200, name=name)
            body["spec"]["schedule"] |= {"everySeconds": 86400, "endTime": "2004-12-31T00:00:00Z"}
            cluster.apply(body)
        watched = [Watched(cluster, namespace, name) for name in names]

        def settled() -> list[float]:
            memories = [one.memory() for one in watched]
            return [m.ledger.settled if m else -1.0 for m in memories]

        for _ in range(kills):
            with operating(cluster, place, namespace, "--identity", "same") as operator:
                before = settled()
                operator.ready()
                if rng.random() < 0.8:
                    # Else it might be killed for ever before its first decision, and nothing would be shown.
                    eventually(lambda before=before: settled() != before, of=operator)
                time.sleep(rng.uniform(0.0, 2.0))
                operator.kill()
            found += moments(watched)
        for name in names:
            cluster.kubectl(
                "patch", "det", name, "--namespace", namespace, "--type=merge", "--patch",
                json.dumps({"spec": {"suspend": True}}),
            )  # fmt: skip
        time.sleep(5.0)
        for name in names:
            lines = (place / name / "launches").read_text().splitlines()
            started = [line for line in lines if line.startswith("start")]
            memory = Watched(cluster, namespace, name).memory()
            entries = [(e.run, e.attempt) for e in memory.ledger.entries]
            found["launches"] += len(started)
            found["duplicates"] += len(started) - len(set(started)) + len(entries) - len(set(entries))
            found["cycles"] += memory.cycle
    return found


def moments(watched: list[Watched]) -> Counter[str]:
    """How the runs stand that are in hand, as the resources' memories have it."""
    found: Counter[str] = Counter()
    jobs = watched[0].jobs()
    for one in watched:
        memory = one.memory()
        for plan in memory.running if memory else ():
            tail = f"-{plan.request.run}-{plan.attempt}"
            mine = [
                job for name, job in jobs.items() if name.startswith(f"{one.name}-") and name.endswith(tail)
            ]
            if not mine:
                found[MOMENTS[0]] += 1
            elif mine[0].get("status", {}).get("conditions"):
                found[MOMENTS[2]] += 1
            else:
                found[MOMENTS[1]] += 1
    return found


if __name__ == "__main__":
    main()
