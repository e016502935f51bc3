"""A real node: containerd, kubelet and kube-proxy on a bridge of this network namespace, with DNS for pods.

It needs root and the namespaces that `hack/e2e/run` makes. The API server has to listen at `GATEWAY`, so that
pods reach it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml

from cluster.control_plane import ControlPlane
from cluster.processes import Server, StartError
from cluster.programs import find

NAME = "node1"
GATEWAY = "10.244.0.1"
"""The bridge's own address, which is the node's."""
PODS = "10.244.0.0/24"
BRIDGE = "det0"
NODE_USER = f"system:node:{NAME}"
PROXY_USER = "system:kube-proxy"
DNS_ACCOUNT = ("kube-system", "coredns")
KUBELET_STARTS = 10
"""It ends where containerd is not ready for it, and whoever keeps services alive starts it again."""
SOCKET = "/run/containerd/containerd.sock"
COREFILE = f"""\
. {{
    bind {GATEWAY}
    errors
    kubernetes cluster.local {{
        kubeconfig %s
    }}
    cache 5
}}
"""


def lay_bridge() -> None:
    """The network that pods are on."""
    for command in (
        "ip link set lo up",
        f"ip link add {BRIDGE} type bridge",
        f"ip address add {GATEWAY}/24 dev {BRIDGE}",
        f"ip link set {BRIDGE} up",
        f"ip route add default dev {BRIDGE}",  # so that Services are reached from the node itself
    ):
        subprocess.run(command.split(), check=True)
    for setting in ("ipv4/ip_forward", "bridge/bridge-nf-call-iptables"):
        Path("/proc/sys/net", setting).write_text("1")


@contextmanager
def joined(cluster: ControlPlane, *, folder: Path, group: str, pause: str) -> Iterator[None]:
    """A node that is Ready during the block.

    Args:
        folder: for settings and logs.
        group: control group that its containers are in.
        pause: image that holds a pod's network.
    """
    programs = find("kubelet", "kube-proxy", "coredns")
    for left in ("kubelet", "cni"):
        shutil.rmtree(Path("/var/lib") / left, ignore_errors=True)
    with ExitStack() as running:

        def run(program: str | Path, *arguments: str, log: str) -> Server:
            server = Server([program, *arguments], log=folder / f"{log}.log")
            running.callback(server.stop)
            return server

        run("containerd", f"--config={_containerd(folder, pause)}", log="containerd")
        for controller in Path("/sys/fs/cgroup").iterdir():
            if (controller / "cgroup.procs").exists():
                (controller / group.strip("/")).mkdir(exist_ok=True)
        run(
            programs["kube-proxy"],
            f"--kubeconfig={cluster.kubeconfig_of(PROXY_USER)}",
            f"--hostname-override={NAME}",
            "--proxy-mode=iptables",
            "--conntrack-max-per-core=0",
            log="kube-proxy",
        )
        for left in reversed(range(KUBELET_STARTS)):
            kubelet = run(
                programs["kubelet"],
                f"--config={_kubelet(folder, group)}",
                f"--kubeconfig={cluster.kubeconfig_of(NODE_USER)}",
                f"--hostname-override={NAME}",
                f"--node-ip={GATEWAY}",
                log="kubelet",
            )
            try:
                kubelet.await_ok("http://127.0.0.1:10248/healthz")
                break
            except StartError:
                if not left:
                    raise
        cluster.kubectl("wait", "--for=create", f"node/{NAME}", "--timeout=60s")
        cluster.kubectl("wait", "--for=condition=Ready", f"node/{NAME}", "--timeout=120s")
        _allow_dns(cluster)
        corefile = folder / "Corefile"
        corefile.write_text(COREFILE % cluster.kubeconfig_of_service_account(*DNS_ACCOUNT))
        run(programs["coredns"], f"-conf={corefile}", log="coredns")
        yield


def _containerd(folder: Path, pause: str) -> Path:
    networks = folder / "cni"
    networks.mkdir()
    bridge = {
        "cniVersion": "1.0.0",
        "name": "det",
        "plugins": [
            {
                "type": "bridge",
                "bridge": BRIDGE,
                "isGateway": True,
                "ipMasq": True,
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": PODS}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }
    (networks / "10-bridge.conflist").write_text(json.dumps(bridge))
    path = folder / "containerd.toml"
    path.write_text(
        f"""\
version = 2
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{pause}"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{networks}"
"""
    )
    return path


def _kubelet(folder: Path, group: str) -> Path:
    settings: dict[str, Any] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": GATEWAY,
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "clusterDNS": [GATEWAY],
        "clusterDomain": "cluster.local",
        "resolvConf": "",
        # A machine with version 1 of control groups, with swap, or nested in a container will do.
        "failCgroupV1": False,
        "failSwapOn": False,
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": False,
        "cgroupRoot": group,
        "enforceNodeAllocatable": [],
        # A disk that is nearly full is the machine's affair; pods of a test are not evicted for it.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
    }
    path = folder / "kubelet.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def _allow_dns(cluster: ControlPlane) -> None:
    namespace, name = DNS_ACCOUNT
    cluster.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": name},
            "rules": [
                {
                    "apiGroups": [""],
                    "resources": ["services", "namespaces", "pods"],
                    "verbs": ["list", "watch"],
                },
                {
                    "apiGroups": ["discovery.k8s.io"],
                    "resources": ["endpointslices"],
                    "verbs": ["list", "watch"],
                },
            ],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        },
    )
