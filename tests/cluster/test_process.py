"""The operator as a program: its options, and what it loads."""

import asyncio
import subprocess
import sys

import pytest
from click.testing import CliRunner

from cluster import objects
from cluster.fake_api import FakeApi
from dataefficient import cli_operator
from dataefficient.cluster import process
from dataefficient.cluster.api import TRAININGS, ApiError
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
