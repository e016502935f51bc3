"""What an operator meets where it is installed: its rights, Secrets, and what older versions have left.

Each test starts one of its own, with the chart's rights.
"""

import copy
import subprocess
import sys
from contextlib import ExitStack

import pytest
import yaml

from chart.helm import Helm
from cluster.conftest import CRD
from cluster.control_plane import KubectlError
from cluster.installed import NAME, installed, refused_rights
from cluster.running import RESUMING_TRAINER, Watched, eventually, operating, quick
from dataefficient.cycle.model import Step


@pytest.fixture
def older(cluster, kind, namespace):
    """Stores resources as under a definition that checked nothing."""
    definition = yaml.safe_load(CRD.read_text())
    loose = copy.deepcopy(definition)
    for version in loose["spec"]["versions"]:
        anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        version["schema"] = {"openAPIV3Schema": anything}

    def store(*bodies):
        cluster.apply(loose)
        # A server holds objects against a changed definition only some moments later.
        eventually(lambda: not refusal(cluster, bodies[0]))
        cluster.apply(*bodies)
        cluster.apply(definition)
        another = {**bodies[0], "metadata": {"name": "another", "namespace": namespace}}
        eventually(lambda: refusal(cluster, another))

    yield store
    cluster.apply(definition)


def refusal(cluster, body):
    try:
        cluster.kubectl("create", "--dry-run=server", "--filename=-", given=body)
    except KubectlError as error:
        return str(error)
    return ""


def wrong(body, name, **spec):
    made = copy.deepcopy(body)
    made["metadata"]["name"] = name
    made["spec"] |= spec
    return made


@pytest.fixture
def start(cluster, kind, namespace, tmp_path):
    """Starts an operator of this namespace that may read Secrets in those that are given."""
    policy = tmp_path / "policy.yaml"
    policy.write_text("prometheus: {default: 'http://127.0.0.1:9'}\n")
    with ExitStack() as stack:

        def started(*secrets):
            values = {"watch": {"namespaces": [namespace]}}
            values["prometheus"] = {"secretNamespaces": list(secrets)}
            place = stack.enter_context(installed(cluster, tmp_path, **values))
            options = (*place.options, "--policy", str(policy))
            return stack.enter_context(operating(place, tmp_path, namespace, *options)).ready()

        yield started


def launches(folder):
    path = folder / "launches"
    return path.read_text() if path.exists() else ""


def test_the_rights_for_one_namespace_suffice_for_a_life_with_edits_and_its_end(
    cluster, node, namespace, tmp_path, start
):
    operator = start()
    slow = {"program": RESUMING_TRAINER, "env": {"SLOW_RUN": "c000-candidate"}}
    cluster.apply(quick(namespace, tmp_path, cycles=2, **slow))
    watched = Watched(cluster, namespace)
    eventually(lambda: "waiting" in launches(tmp_path), of=operator)
    watched.patch({"spec": {"suspend": True}})
    eventually(lambda: watched.memory().running[0].attempt == 2, of=operator)
    watched.patch({"spec": {"suspend": False}})
    assert eventually(watched.finished, of=operator).step is Step.FINISHED
    cluster.kubectl("delete", "det", "quick", "--namespace", namespace, "--timeout=20s")
    eventually(lambda: not watched.jobs(), of=operator)
    assert refused_rights(operator) == []


def test_what_an_older_definition_let_in_is_told_and_the_others_go_on(
    cluster, node, namespace, tmp_path, start, older
):
    good = quick(namespace, tmp_path, cycles=1)
    text = {**wrong(good, "text"), "spec": "text"}
    no_trainer = {"template": {"spec": {"containers": "x"}}}
    budget = {"total": {"deviceHours": "1"}, "perCycle": {"deviceHours": "2"}}
    bodies = {
        "spec.accelerators: found": wrong(good, "many", accelerators="many"),
        'spec.accelerators[0].resource: found "amd.com/gpu"; allowed: nvidia.com/gpu,': wrong(
            good, "amd", accelerators=[{"name": "x", "resource": "amd.com/gpu"}]
        ),
        "spec.budget.perCycle.deviceHours: found": wrong(good, "budget", budget=budget),
        "metadata.name: found": wrong(good, "n" * 80),
        "spec.trainer: found nothing": wrong(good, "trainer", trainer=None),
        "spec.trainer.template.spec.containers: found": wrong(good, "containers", trainer=no_trainer),
    }
    older(text, *bodies.values())
    cluster.apply(good)
    operator = start()
    assert eventually(Watched(cluster, namespace).finished, of=operator).step is Step.FINISHED
    for words, body in bodies.items():
        watched = Watched(cluster, namespace, body["metadata"]["name"])
        assert accepted(watched, operator, "Invalid").startswith(words)
        assert watched.condition("Ready")["status"] == "False"
    # One that is so wrong that the server takes no status of it is told by an event, and left alone.
    ((reason, message),) = eventually(Watched(cluster, namespace, "text").events, of=operator)
    assert reason == "Invalid"
    assert message.startswith('spec: found "text"')
    assert "Traceback" not in operator.log.read_text()


def accepted(watched, operator, reason):
    """The message of the condition Accepted, once it has this reason."""
    return eventually(
        lambda: (c := watched.condition("Accepted"))["reason"] == reason and c["message"], of=operator
    )


def asking(cluster, namespace, folder):
    """A resource that names a Secret."""
    prometheus = {"secretName": "access", "settleSeconds": 1}
    cluster.apply(quick(namespace, folder, cycles=1, prometheus=prometheus))
    return Watched(cluster, namespace)


def test_a_secret_that_may_not_be_read_is_told_with_the_binding_that_is_missing(
    cluster, node, namespace, tmp_path, start
):
    operator, watched = start(), asking(cluster, namespace, tmp_path)
    told = accepted(watched, operator, "SecretNotUsable")
    assert told == (
        f"spec.prometheus.secretName: no RoleBinding in namespace {namespace} lets the operator read Secret "
        "access; ask who installed it to add the namespace to the chart's prometheus.secretNamespaces"
    )
    # What trains needs no Prometheus.
    assert eventually(watched.finished, of=operator).step is Step.FINISHED


def test_a_secret_that_is_missing_or_not_labelled_is_told_and_taken_once_it_is_mended(
    cluster, node, namespace, tmp_path, start
):
    def touch(word):
        """Have the operator look; it would by itself within ten minutes."""
        cluster.kubectl("annotate", "det", "quick", f"touched={word}", "--overwrite", "-n", namespace)

    operator, watched = start(namespace), asking(cluster, namespace, tmp_path)
    assert "no such Secret" in accepted(watched, operator, "SecretNotUsable")
    eventually(watched.finished, of=operator)
    cluster.kubectl("create", "secret", "generic", "access", "--from-literal=token=x", "-n", namespace)
    touch("created=1")
    eventually(lambda: "not labelled" in watched.condition("Accepted")["message"], of=operator)
    cluster.kubectl("label", "secret", "access", "dataefficient.training/prometheus=true", "-n", namespace)
    touch("labelled=1")
    assert accepted(watched, operator, "Valid")


def test_the_test_of_the_release_passes_against_a_running_operator_and_fails_without_one(
    cluster, tmp_path, start
):
    operator = start()
    shown = "--show-only=templates/tests/ready.yaml"
    (pod,) = Helm(cluster, folder=tmp_path).rendered("--namespace=ops", shown)
    (container,) = pod["spec"]["containers"]
    (script,) = container["args"]
    assert container["command"] == ["python3", "-c"]
    here = script.replace(f"{NAME}:8080", f"127.0.0.1:{operator.port()}")
    assert here != script

    def outcome():
        done = subprocess.run([sys.executable, "-c", here], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    assert outcome() == (0, "readyz 200\nmetrics 200\n")
    operator.terminate()
    assert outcome() == (1, "")
