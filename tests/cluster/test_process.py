"""The operator as a program: its options, and what it loads."""

import asyncio
import subprocess
import sys
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from cluster import objects
from cluster.fake_api import FakeApi
from cluster.running import Operator
from dataefficient import cli, cli_operator
from dataefficient.cluster import process
from dataefficient.cluster.api import TRAININGS, ApiError
from dataefficient.cluster.settings import Settings
from dataefficient.telemetry.logs import Format


def settings(monkeypatch, *arguments, **environment):
    found = []
    monkeypatch.setattr(process, "main", lambda given: found.append(given) or 0)
    result = CliRunner().invoke(cli_operator.operator_command, arguments, env=environment)
    assert result.exit_code == 0, result.output
    return found[0]


def test_options_come_from_the_command_line_or_the_environment(monkeypatch):
    given = settings(
        monkeypatch,
        "--port",
        "9",
        DETCTL_OPERATOR_NAMESPACES="a b",
        DETCTL_OPERATOR_LOG_FORMAT="json",
        DETCTL_OPERATOR_LEASE_NAME="other",
        DETCTL_OPERATOR_LEADER_ELECTION="false",
        DETCTL_OPERATOR_POLICY="/etc/detctl/policy.yaml",
    )
    assert given.port == 9
    assert given.namespaces == ("a", "b")
    assert given.log_format is Format.JSON
    assert given.lease_name == "other"
    assert given.leader_election is False
    assert str(given.policy_file) == "/etc/detctl/policy.yaml"


def test_by_default_it_drives_all_namespaces_as_leader(monkeypatch):
    given = settings(monkeypatch)
    assert given.namespaces == ()
    assert given.leader_election
    assert given.identity


def test_the_process_that_watches_does_not_load_what_fits():
    code = (
        "import sys, dataefficient.cluster.process\n"
        "heavy = {'scipy', 'numpy', 'torch', 'pyarrow'} & {name.partition('.')[0] for name in sys.modules}\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("status", [429, 503])
def test_a_kind_that_is_not_served_yet_is_waited_for(monkeypatch, status):
    api = FakeApi()
    api.refuse[("LIST", TRAININGS.plural)] = ApiError(status, "TooManyRequests", "storage is initializing")
    monkeypatch.setattr(process, "BEGINNING_PAUSE", 0.0)
    api.apply(objects.body())
    (found,) = asyncio.run(process._listed(api, None))
    assert found["metadata"]["name"] == "made-up"


def test_a_kind_that_may_not_be_seen_is_not_waited_for():
    api = FakeApi()
    api.refuse[("LIST", TRAININGS.plural)] = ApiError(403, "Forbidden", "no")
    with pytest.raises(ApiError, match="no"):
        asyncio.run(process._listed(api, None))


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (0, 75, "no answer"),
        (401, 77, "no answer"),
        (403, 77, "Bind the chart's role to who this runs as"),
        (404, 64, "the cluster does not know the kind. Install the chart"),
    ],
)
def test_why_it_cannot_begin_is_told_and_is_the_exit_code(monkeypatch, capfd, status, code, words):
    async def refused(_settings):
        raise ApiError(status, "Reason", "no answer")

    monkeypatch.setattr(process, "operate", refused)
    assert process.main(Settings()) == code
    assert words in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--namespace", "Not_one"), "'Not_one' is no name of a namespace; allowed"),
        (("--policy", "/no/such/policy.yaml"), "--policy: /no/such/policy.yaml: cannot be read"),
        (("--host", "256.0.0.1", "--port", "0"), "--host 256.0.0.1 --port 0: cannot be served on"),
    ],
)
def test_a_wrong_option_ends_it_with_one_message(arguments, words, tmp_path, monkeypatch, capfd):
    text = "{current-context: a, clusters: [{name: a, cluster: {server: 'https://127.0.0.1:1'}}], "
    text += "contexts: [{name: a, context: {cluster: a, user: a}}], users: [{name: a, user: {}}]}"
    (tmp_path / "kubeconfig").write_text(text)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    assert cli.run(["operator", *arguments]) == 64
    told = capfd.readouterr().err
    assert words in told
    assert "Traceback" not in told


def test_who_may_not_look_is_told_by_the_server_and_by_the_exit_code(
    cluster, kind, namespace, tmp_path, monkeypatch
):
    own = cluster.kubeconfig_of("bob")
    one = Operator(SimpleNamespace(kubeconfig=own), tmp_path, namespace)
    assert one.process.wait(timeout=60) == 77
    told = one.log.read_text()
    assert 'User "bob" cannot list resource "dataefficienttrainings"' in told
    assert "Traceback" not in told
