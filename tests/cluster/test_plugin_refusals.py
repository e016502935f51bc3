"""What ``kubectl det`` says to who lacks a right, a cluster or the kind; each verb with its stated rights."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import yaml

from cluster import objects
from cluster.plugin import Plugin
from cycle.playing import Player
from dataefficient.api.load import parse_object
from dataefficient.cluster import decisions, ledger
from dataefficient.cycle.machine import begin

TRAININGS = {"apiGroups": ["dataefficient.training"], "resources": ["dataefficienttrainings"]}
CONFIG_MAPS = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}
RIGHTS = {
    "alice": [{**TRAININGS, "verbs": ["get", "list"]}],
    "bob": [{**TRAININGS, "verbs": ["get"]}, CONFIG_MAPS],
    "carol": [{**TRAININGS, "verbs": ["get", "patch"]}, CONFIG_MAPS],
}
DIGEST = "7a7277f25116"
ASKED = {
    "digest": DIGEST,
    "asked": "Plan",
    "holds": False,
    "sinceCycle": 6,
    "policy": "Negatives",
    "rate": "0.5",
    "size": 32,
    "reason": "Recommended: half of the rows",
}


@pytest.fixture
def det(cluster, kind, namespace, tmp_path):
    return Plugin(cluster, tmp_path, namespace)


@pytest.fixture
def finished(cluster, kind, namespace):
    """A resource with what an operator has left of its life, and something that waits for approval."""
    body = objects.body(mode="Recommend")
    body["metadata"] = {"name": "made-up", "namespace": namespace}
    cluster.apply(body)
    resource = parse_object(cluster.get("det", "made-up", "-n", namespace), "made-up")
    player = Player(objects.resource().spec, memory=begin(f"{namespace}/made-up"))
    player.play()
    held = {}
    for (before, observation), decision in zip(player.observations, player.decisions, strict=True):
        held = decisions.with_decision(held, resource, before, observation, decision)
    book = ledger.Book(player.memory, resource.metadata.uid)
    cluster.apply(
        ledger.config_map(resource, book, version=None), decisions.config_map(resource, held, version=None)
    )
    status = {"status": {"observedGeneration": 1, "cycle": 7, "step": "Finished", "recommendation": ASKED}}
    cluster.kubectl(
        *("patch", "det", "made-up", "-n", namespace, "--subresource=status", "--type=merge"),
        *("--patch", json.dumps(status)),
    )
    for user, rules in RIGHTS.items():
        role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": user}}
        cluster.kubectl("apply", "-n", namespace, "--filename=-", given=[{**role, "rules": rules}])
        cluster.kubectl("create", "rolebinding", user, f"--role={user}", f"--user={user}", "-n", namespace)
    return player.memory


def test_each_verb_takes_the_rights_that_it_names_and_no_more(det, finished, namespace):
    for verb in (("status",), ("status", "made-up"), ("plan", "made-up"), ("history", "made-up")):
        det.good(*verb, user="alice")
    for verb in ("why", "report", "rollback", "run-now"):
        code, out, err = det(verb, "made-up", user="alice")
        assert (code, out) == (77, ""), err
        assert 'User "alice" cannot get resource "configmaps"' in err
        assert "get on configmaps" in err or "and configmaps there" in err
    code, _, err = det("suspend", "made-up", user="alice")
    assert code == 77
    assert 'User "alice" cannot patch resource "dataefficienttrainings"' in err
    assert "It takes the verbs get and patch on dataefficienttrainings there; the role edit has them" in err

    for verb in ("why", "replay", "report"):
        det.good(verb, "made-up", user="bob")
    code, _, err = det("status", user="bob")
    assert (code, 'cannot list resource "dataefficienttrainings"' in err) == (77, True)
    assert "It takes the verb list on dataefficienttrainings" in err

    assert "is in force from the next cycle on" in det.good("approve", "made-up", DIGEST, user="carol")
    assert "No run is started any more." in det.good("suspend", "made-up", user="carol")
    assert "Runs are started again" in det.good("resume", "made-up", user="carol")
    assert "serves again" in det.good("rollback", "made-up", user="carol")
    code, _, err = det("run-now", "made-up", user="carol")
    assert (code, "every interval up to schedule.endTime was run" in err) == (4, True)
    code, _, err = det("approve", "made-up", DIGEST, "--wait", "--timeout", 1, user="carol")
    assert code == 75
    assert f"one runs that watches namespace {namespace}" in err


def test_what_is_not_there_is_told_with_what_is(det, finished, namespace):
    code, _, err = det("plan", "slow")
    assert code == 64
    assert err == f"kubectl det: namespace {namespace} has no DataEfficientTraining slow; there are made-up\n"
    code, _, err = det("status", "No_Name")
    assert (code, "NAME: found 'No_Name'; allowed: up to 63 of a-z" in err) == (64, True)
    code, _, err = det("status", "made-up", "--context", "elsewhere")
    assert (code, "elsewhere" in err, len(err.splitlines())) == (64, True, 1)
    code, _, err = det("status", "--kubeconfig", "/no/such/file")
    assert (code, "--kubeconfig names /no/such/file, and there is no such file" in err) == (64, True)
    code, _, err = det("status", "made-up", "-A")
    assert (code, "Found NAME and --all-namespaces: give one of them." in err) == (64, True)


def test_a_cluster_that_does_not_answer_and_credentials_that_are_wrong_are_told(det, cluster, tmp_path):
    path = tmp_path / "down.yaml"
    path.write_text(cluster.kubeconfig.read_text().replace(cluster.server, "https://127.0.0.1:1"))
    for verb in (("status",), ("suspend", "quick"), ("why", "quick")):
        code, _, err = det(*verb, "--kubeconfig", path)
        assert code == 75
        assert "the cluster at https://127.0.0.1:1 does not answer" in err
    cluster.kubeconfig_of("mallory", token="wrong")
    code, _, err = det("status", user="mallory")
    assert (code, "does not accept the credentials (Unauthorized); log in again" in err) == (77, True)


class Bare(BaseHTTPRequestHandler):
    """A server that knows no kind at all."""

    def do_GET(self):
        body = json.dumps(
            {"kind": "Status", "code": 404, "reason": "NotFound", "message": "404 page not found"}
        )
        self.send_response(404)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *arguments):
        pass


def test_a_cluster_without_the_kind_is_told(det, tmp_path):
    server = HTTPServer(("127.0.0.1", 0), Bare)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    path = tmp_path / "bare.yaml"
    address = f"http://127.0.0.1:{server.server_port}"
    body = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "bare", "cluster": {"server": address}}],
        "users": [{"name": "bare", "user": {}}],
        "contexts": [{"name": "bare", "context": {"cluster": "bare", "user": "bare"}}],
        "current-context": "bare",
    }
    path.write_text(yaml.safe_dump(body))
    try:
        for verb in (("status",), ("status", "quick"), ("suspend", "quick"), ("why", "quick")):
            code, _, err = det(*verb, "--kubeconfig", path)
            assert code == 64
            assert "the cluster does not know the kind DataEfficientTraining; install the chart" in err
    finally:
        server.shutdown()
        server.server_close()
