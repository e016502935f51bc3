"""The operator, killed, stopped and cut off, on a real API server."""

import random
import signal
import threading
import time

import pytest

from cluster.relay import Relay
from cluster.running import RESUMING_TRAINER, Watched, eventually, operating, quick
from dataefficient.cycle.model import Step

KILLS = 4
"""A hundred are made by ``hack/bench_operator.py``."""


def launches(folder):
    path = folder / "launches"
    lines = path.read_text().splitlines() if path.exists() else []
    return [line.split()[1] for line in lines if line.startswith("start")]


@pytest.fixture
def watched(cluster, kind, node, namespace, tmp_path):
    cluster.apply(quick(namespace, tmp_path, cycles=3))
    return Watched(cluster, namespace)


def test_an_operator_killed_again_and_again_makes_no_run_twice(watched, cluster, namespace, tmp_path):
    rng = random.Random(7)
    for _ in range(KILLS):
        with operating(cluster, tmp_path, namespace, "--identity", "same") as operator:
            operator.ready()
            end = time.monotonic() + rng.uniform(1.0, 7.0)
            eventually(lambda end=end: time.monotonic() > end or watched.finished(), of=operator)
            operator.kill()
    with operating(cluster, tmp_path, namespace, "--identity", "same") as operator:
        memory = eventually(watched.finished, of=operator)
    assert memory.step is Step.FINISHED
    runs = launches(tmp_path)
    assert sorted(runs) == sorted(set(runs))
    assert sorted(e.run for e in memory.ledger.entries) == sorted(set(runs))


def test_the_server_goes_away_and_comes_back(watched, cluster, namespace, tmp_path):
    with operating(cluster, tmp_path, namespace) as operator:
        eventually(lambda: launches(tmp_path), of=operator)
        cluster.stop_api_server()
        time.sleep(3.0)
        cluster.start_api_server()
        memory = eventually(watched.finished, of=operator, seconds=180)
        assert memory.step is Step.FINISHED
        # Attempts and not processes: a Job's controller whose pod was made unanswered may make another.
        assert [e.attempt for e in memory.ledger.entries] == [1] * len(memory.ledger.entries)
        assert {e.run for e in memory.ledger.entries} == set(launches(tmp_path))


def test_a_watch_from_before_what_the_server_remembers_is_begun_anew(watched, cluster, namespace, tmp_path):
    with operating(cluster, tmp_path, namespace) as operator:
        eventually(watched.finished, of=operator)
        seen = watched.version()
        operator.process.send_signal(signal.SIGSTOP)
        cluster.stop_api_server()
        cluster.start_api_server()
        cluster.apply(quick(namespace, tmp_path, cycles=1, name="meanwhile"))
        cluster.compact()
        assert watched.watched_since(seen)["code"] == 410
        operator.process.send_signal(signal.SIGCONT)
        other = Watched(cluster, namespace, "meanwhile")
        assert eventually(other.finished, of=operator).step is Step.FINISHED


def test_a_connection_that_has_died_without_a_word_is_noticed(cluster, kind, node, namespace, tmp_path):
    with Relay(int(cluster.server.rpartition(":")[2])) as relay:

        class Behind:
            kubeconfig = tmp_path / "behind.kubeconfig"

        text = cluster.kubeconfig.read_text()
        Behind.kubeconfig.write_text(text.replace(cluster.server, f"https://127.0.0.1:{relay.port}"))
        with operating(Behind, tmp_path, namespace, "--resync-seconds", "4") as operator:
            operator.ready()
            relay.silence()
            cluster.apply(quick(namespace, tmp_path, cycles=1))
            watched = Watched(cluster, namespace)
            assert eventually(watched.finished, of=operator, seconds=180).step is Step.FINISHED


def test_conflicts_are_read_anew(watched, cluster, namespace, tmp_path):
    stop = threading.Event()

    def meddle():
        while not stop.wait(0.3):
            if watched.config_map("quick-ledger"):
                stamp = f"meddled={time.monotonic_ns()}"
                cluster.kubectl(
                    "annotate", "configmap", "quick-ledger", stamp, "--overwrite", "--namespace", namespace
                )

    meddler = threading.Thread(target=meddle)
    with operating(cluster, tmp_path, namespace) as operator:
        meddler.start()
        try:
            assert eventually(watched.finished, of=operator).step is Step.FINISHED
        finally:
            stop.set()
            meddler.join()
        runs = launches(tmp_path)
        assert len(runs) == len(set(runs))


def test_sigterm_ends_it_cleanly_and_the_next_one_takes_over_at_once(watched, cluster, namespace, tmp_path):
    with operating(cluster, tmp_path, namespace, "--lease-seconds", "60") as first:
        eventually(lambda: launches(tmp_path), of=first)
        assert first.terminate() == 0
    with operating(cluster, tmp_path, namespace, "--lease-seconds", "60") as second:
        assert eventually(watched.finished, of=second, seconds=50).step is Step.FINISHED


def test_a_standby_is_ready_does_nothing_and_takes_over(watched, cluster, namespace, tmp_path):
    with operating(cluster, tmp_path, namespace) as leader:
        eventually(lambda: leader.metric("dataefficient_operator_leader") == 1.0, of=leader)
        with operating(cluster, tmp_path, namespace) as standby:
            standby.ready()
            assert standby.metric("dataefficient_operator_leader") == 0.0
            assert standby.metric("dataefficient_operator_visits_total") == 0.0
            leader.kill()
            assert eventually(watched.finished, of=standby).step is Step.FINISHED


def test_a_leader_that_was_stopped_past_its_lease_writes_nothing_when_it_wakes(
    watched, cluster, namespace, tmp_path
):
    with operating(cluster, tmp_path, namespace) as sleeper:
        eventually(lambda: launches(tmp_path), of=sleeper)
        sleeper.process.send_signal(signal.SIGSTOP)
        with operating(cluster, tmp_path, namespace) as other:
            assert eventually(watched.finished, of=other).step is Step.FINISHED
            eventually(lambda: watched.status().get("step") == "Finished", of=other)
            time.sleep(1.0)
            versions = [
                watched.config_map("quick-ledger")["metadata"]["resourceVersion"],
                watched.body()["metadata"]["resourceVersion"],
            ]
            sleeper.process.send_signal(signal.SIGCONT)
            eventually(lambda: sleeper.metric("dataefficient_operator_leader") == 0.0, of=sleeper)
            time.sleep(1.0)
            assert versions == [
                watched.config_map("quick-ledger")["metadata"]["resourceVersion"],
                watched.body()["metadata"]["resourceVersion"],
            ]


def test_deleting_without_an_operator_does_not_hang_either(cluster, kind, node, namespace, tmp_path):
    slow = {"program": RESUMING_TRAINER, "env": {"SLOW_RUN": "c000-pilot"}}
    cluster.apply(quick(namespace, tmp_path, **slow))
    watched = Watched(cluster, namespace)
    with operating(cluster, tmp_path, namespace) as operator:
        eventually((tmp_path / "launches").exists, of=operator)
        operator.kill()
    cluster.kubectl("delete", "det", "quick", "--namespace", namespace, "--timeout=20s")
    eventually(lambda: not watched.jobs())
    assert watched.config_map("quick-ledger") is not None


def test_a_cluster_that_cannot_be_reached_ends_it_with_a_message(cluster, tmp_path, namespace):
    body = cluster.kubeconfig.read_text().replace(cluster.server, "https://127.0.0.1:9")
    (tmp_path / "nowhere").write_text(body)

    class Nowhere:
        kubeconfig = tmp_path / "nowhere"

    with operating(Nowhere, tmp_path, namespace) as operator:
        assert operator.process.wait(timeout=90) != 0
        assert "Traceback" not in operator.log.read_text()
