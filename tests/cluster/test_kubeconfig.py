"""Finding the cluster: what kubectl would find, and one message for whatever is wrong with it."""

import asyncio
import json

import pytest

from dataefficient.cluster import kubeconfig
from dataefficient.cluster.kubeconfig import NoClusterError, find


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a kubeconfig that ``KUBECONFIG`` names; keyword arguments replace whole fields."""

    def write_file(text=None, **fields):
        body = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "one",
            "clusters": [
                {"name": "one", "cluster": {"server": "https://one.example"}},
                {"name": "two", "cluster": {"server": "https://two.example"}},
            ],
            "contexts": [
                {"name": "one", "context": {"cluster": "one", "user": "me"}},
                {"name": "two", "context": {"cluster": "two", "user": "me", "namespace": "team-b"}},
            ],
            "users": [{"name": "me", "user": {"token": "secret"}}],
            **fields,
        }
        path = tmp_path / "config.yaml"
        path.write_text(json.dumps(body) if text is None else text)
        monkeypatch.setenv("KUBECONFIG", str(path))
        return path

    return write_file


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """No kubeconfig at all, and no pod."""
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def found(context=None):
    return asyncio.run(find(context))


def told(context=None):
    with pytest.raises(NoClusterError) as caught:
        found(context)
    return str(caught.value)


def test_the_current_context_is_meant_where_none_is_named(write):
    write()
    assert found().configuration.host == "https://one.example"
    assert found().namespace == "default"


def test_a_context_brings_its_cluster_and_its_namespace(write):
    write()
    assert found("two").configuration.host == "https://two.example"
    assert found("two").namespace == "team-b"


def test_a_context_that_is_not_there_is_named_with_the_file(write):
    path = write()
    assert str(path) in told("three")
    assert "name three" in told("three")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (": no [", "expected <block end>"),
        ("", "it must hold clusters, contexts, users"),
        ("- a", "it must hold clusters, contexts, users"),
        ("{}", "current-context"),
    ],
)
def test_a_file_that_is_no_kubeconfig_is_told_with_what_it_must_hold(write, text, words):
    path = write(text)
    assert told().startswith(f"the kubeconfig {path} cannot be used: ")
    assert words in told()
    assert "\n" not in told()


def test_certificates_that_cannot_be_used_are_found_before_anything_is_asked(write):
    broken = {"server": "https://one.example", "certificate-authority-data": "AAAA"}
    write(clusters=[{"name": "one", "cluster": broken}])
    assert "cannot be used" in told()
    write(
        users=[{"name": "me", "user": {"client-certificate": "/no/such.crt", "client-key": "/no/such.key"}}]
    )
    assert "/no/such.crt" in told()


def test_a_variable_that_names_no_file_is_told(monkeypatch):
    monkeypatch.setenv("KUBECONFIG", "/no/such/config")
    assert told() == "KUBECONFIG names /no/such/config, and there is no such file; correct or unset it"


def test_neither_a_kubeconfig_nor_a_pod_is_told(nowhere):
    assert told().startswith(
        "there is no kubeconfig (neither KUBECONFIG nor ~/.kube/config), and this is no pod"
    )
    assert "no context 'two'" in told("two")


def test_the_file_in_the_home_folder_is_found(nowhere, tmp_path, write, monkeypatch):
    path = write()
    monkeypatch.delenv("KUBECONFIG")
    (tmp_path / ".kube").mkdir()
    path.rename(tmp_path / ".kube" / "config")
    assert found().configuration.host == "https://one.example"


def test_a_pod_has_its_own_namespace(nowhere, tmp_path, monkeypatch):
    def load(*, client_configuration):
        client_configuration.host = "https://kubernetes.example"

    monkeypatch.setattr(kubeconfig.config, "load_incluster_config", load)
    monkeypatch.setattr(kubeconfig, "_OWN_NAMESPACE", tmp_path / "namespace")
    assert found().namespace == "default"
    (tmp_path / "namespace").write_text("det\n")
    assert found().namespace == "det"
    assert found().configuration.host == "https://kubernetes.example"
