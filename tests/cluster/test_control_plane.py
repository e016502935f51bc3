"""The harness itself: what other tests rest on."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from cluster.control_plane import ControlPlane, KubectlError


def test_a_job_gets_its_pod_and_takes_it_along_when_deleted(cluster: ControlPlane, namespace: str):
    cluster.kubectl("create", "job", "one", "--image=none", "--namespace", namespace)
    cluster.kubectl(
        "wait", "--for=create", "pod", "--selector=job-name=one", "--timeout=30s", "-n", namespace
    )
    cluster.kubectl("delete", "job", "one", "--cascade=foreground", "--timeout=30s", "--namespace", namespace)
    assert cluster.get("pods", "--namespace", namespace)["items"] == []


def test_a_user_may_nothing_until_a_role_is_bound(cluster: ControlPlane, namespace: str):
    with pytest.raises(KubectlError, match='User "alice" cannot list resource "pods"'):
        cluster.get("pods", "--namespace", namespace, user="alice")
    cluster.kubectl(
        "create", "rolebinding", "alice", "--clusterrole=view", "--user=alice", "--namespace", namespace
    )
    assert cluster.get("pods", "--namespace", namespace, user="alice")["items"] == []


def test_a_service_account_has_a_kubeconfig(cluster: ControlPlane, namespace: str):
    config = cluster.kubeconfig_of_service_account(namespace, "default")
    answer = cluster.kubectl("auth", "whoami", "--output=json", f"--kubeconfig={config}")
    assert f"system:serviceaccount:{namespace}:default" in answer


def test_what_was_stored_survives_a_restart_of_the_api_server(cluster: ControlPlane, namespace: str):
    cluster.kubectl("create", "configmap", "kept", "--namespace", namespace)
    cluster.stop_api_server()
    with pytest.raises(KubectlError, match="refused"):
        cluster.get("configmap", "kept", "--namespace", namespace)
    cluster.start_api_server()
    assert cluster.get("configmap", "kept", "--namespace", namespace)["metadata"]["name"] == "kept"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing ties a process to its parent")
def test_a_killed_test_run_leaves_no_server_behind(cluster_programs: None, tmp_path: Path):
    script = """
        import os, signal, sys
        from pathlib import Path
        from cluster.control_plane import ControlPlane
        with ControlPlane.started(folder=Path(sys.argv[1])) as plane:
            print(*(server.pid for server in plane._servers.values()), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), tmp_path],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    pids = done.stdout.split()
    assert len(pids) == 4
    assert [pid for pid in pids if not ends(int(pid))] == []


def ends(pid: int) -> bool:
    """Whether the process is gone, or soon is: a kill takes a moment."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], 10)[0])
    finally:
        os.close(handle)
