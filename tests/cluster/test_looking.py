"""``detctl why``, ``replay`` and ``report`` against a live cluster, as people with and without rights."""

import json
import os
import subprocess

import pytest

from cluster import objects
from cluster.running import DETCTL
from cycle.playing import Player
from dataefficient.api.load import parse_object
from dataefficient.cluster import decisions, ledger
from dataefficient.contract import decode
from dataefficient.cycle.machine import begin
from dataefficient.report import Statement

CYCLES = 7
READS = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "Role",
    "metadata": {"name": "looks"},
    "rules": [
        {"apiGroups": ["dataefficient.training"], "resources": ["dataefficienttrainings"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]},
    ],
}


@pytest.fixture
def detctl(cluster, tmp_path):
    """Runs ``detctl`` as a user; gives exit code, standard output and standard error."""

    def run(*arguments, user="admin", **environment):
        given = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig_of(user)), **environment}
        done = subprocess.run(
            [DETCTL, *map(str, arguments)],
            env=given,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture
def finished(cluster, kind, namespace):
    """A resource with what an operator has left of its life."""
    body = objects.body(cycles=CYCLES)
    body["metadata"] = {"name": "made-up", "namespace": namespace}
    cluster.apply(body)
    resource = parse_object(cluster.get("det", "made-up", "--namespace", namespace), "made-up")
    player = Player(resource.spec, memory=begin(f"{namespace}/made-up"))
    player.play()
    held = {}
    for (before, observation), decision in zip(player.observations, player.decisions, strict=True):
        held = decisions.with_decision(held, resource, before, observation, decision)
    book = ledger.Book(player.memory, resource.metadata.uid)
    cluster.apply(
        ledger.config_map(resource, book, version=None),
        decisions.config_map(resource, held, version=None),
    )
    return player.memory


def test_a_life_on_the_cluster_is_told_replayed_and_reported_by_who_may_only_read(
    cluster, finished, namespace, detctl, tmp_path
):
    cluster.kubectl("apply", "--namespace", namespace, "--filename=-", given=[READS])
    cluster.kubectl("create", "rolebinding", "a", "--role=looks", "--user=alice", "--namespace", namespace)
    here = ("--name", "made-up", "-n", namespace)

    code, out, err = detctl("why", *here, "--cycle", 2, user="alice")
    assert code == 0, err
    for words in ("Cycle 2, 2001-03-05 00:00 to 2001-03-12 00:00 UTC.", "Chosen: ", "Options weighed"):
        assert words in out
    code, out, _ = detctl("why", *here, "--json", user="alice")
    told = json.loads(out)
    assert (told["cycle"], told["finished"]) == (CYCLES, True)
    assert all(option["verdict"] for option in told["plan"]["options"])

    for cycle in range(CYCLES - 4, CYCLES + 1):
        code, out, err = detctl("replay", *here, "--cycle", cycle, user="alice")
        assert (code, out.endswith("made again, identical\n")) == (0, True), err
    code, out, _ = detctl("replay", *here, "--json", user="alice")
    assert (json.loads(out)["cycle"], json.loads(out)["identical"]) == (CYCLES, True)
    code, _, err = detctl("replay", *here, "--cycle", 0, user="alice")
    assert code == 64
    assert "the decisions of cycle 0 are gone: the last 5 are kept at most; kept are cycles 3 to 7" in err

    code, out, err = detctl("report", *here, user="alice")
    assert code == 0, err
    assert "The whole report: made-up-report.html" in out
    assert "known for cycles 3–7 alone" in " ".join(out.split())
    assert "<html" in (tmp_path / "made-up-report.html").read_text()
    code, out, _ = detctl("report", *here, "--json", "--output", "other.html", user="alice")
    statement = decode(Statement, json.loads(out), "statement")
    assert statement.spent == pytest.approx(finished.ledger.settled)
    assert [row.cycle for row in statement.cycles] == list(range(CYCLES + 1))
    assert (tmp_path / "other.html").exists()
    code, _, err = detctl("report", *here, "--output", "/no/such/folder/x.html")
    assert code == 74
    assert "/no/such/folder/x.html: cannot be written (No such file or directory)" in err

    for command in ("why", "replay", "report"):
        code, _, err = detctl(command, *here, user="bob")
        assert code == 77
        assert 'User "bob" cannot get resource "dataefficienttrainings"' in err
        assert "the verb get on dataefficienttrainings and configmaps" in err
    code, _, err = detctl("why", *here, "--cycle", 99)
    assert code == 64
    assert "cycle 99 is unknown; known are 0 to 7" in err
    code, _, err = detctl("why", "--name", "slow", "-n", namespace)
    assert code == 64
    assert err == f"detctl: namespace {namespace} has no DataEfficientTraining slow; there are made-up\n"


def test_what_was_not_decided_yet_says_why(cluster, kind, namespace, detctl):
    body = objects.body()
    body["metadata"] = {"name": "made-up", "namespace": namespace}
    cluster.apply(body)
    code, _, err = detctl("report", "--name", "made-up", "-n", namespace)
    assert code == 64
    assert f"nothing was decided yet for {namespace}/made-up: no operator has seen it" in err


def test_credentials_that_are_not_accepted_are_told(cluster, kind, detctl):
    cluster.kubeconfig_of("mallory", token="wrong")
    code, _, err = detctl("why", "--name", "quick", user="mallory")
    assert code == 77
    assert "does not accept the credentials (Unauthorized); log in again" in err


def test_a_cluster_that_does_not_answer_is_told(detctl, tmp_path, cluster):
    path = tmp_path / "down.yaml"
    path.write_text(cluster.kubeconfig.read_text().replace(cluster.server, "https://127.0.0.1:1"))
    code, _, err = detctl("why", "--name", "quick", KUBECONFIG=str(path))
    assert code == 75
    assert "the cluster at https://127.0.0.1:1 does not answer" in err


def test_a_context_that_is_not_there_is_told(detctl):
    code, _, err = detctl("why", "--name", "quick", "--context", "elsewhere")
    assert code == 64
    assert "elsewhere" in err
    assert len(err.splitlines()) == 1
