"""A real Kubernetes control plane on this machine's loopback: etcd, API server, controllers, scheduler.

It is the one that clusters run, so admission, validation, garbage collection, the Job controller and RBAC are
real; there is no kubelet, so pods stay Pending unless a test node (`node.py`) plays them, or a real one joins
(`tests/e2e`), for which the API server listens where pods reach it.

    with ControlPlane.started(folder=tmp_path) as cluster:
        cluster.kubectl("get", "namespaces")
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client, config

from cluster.processes import Server, StartError, free_ports
from cluster.programs import CONTROL_PLANE, find

USERS: Mapping[str, tuple[str, ...]] = {
    "admin": ("system:masters",),
    "alice": (),
    "bob": (),
    "carol": (),
    "system:node:node1": ("system:nodes",),
    "system:kube-proxy": (),
}
"""Users with a token, and their groups. Of people, only admin may do anything until a test binds a role."""

LOOPBACK = "127.0.0.1"

START_ATTEMPTS = 3  # a free port may be taken by another process before the server binds it


class ControlPlane:
    """A running control plane.

    Attributes:
        folder: certificates, data, logs and kubeconfigs; temporary.
        address: where the API server listens.
        server: the API server's address.
        tokens: bearer token by user; see `USERS`.
    """

    def __init__(self, *, folder: Path, programs: Mapping[str, Path], address: str = LOOPBACK) -> None:
        self.folder = folder
        self.address = address
        self.tokens = {user: secrets.token_hex(16) for user in USERS}
        self._programs = programs
        self._ports = free_ports(5)
        self._servers: dict[str, Server] = {}
        self._write_secrets()

    @classmethod
    @contextmanager
    def started(cls, *, folder: Path, address: str = LOOPBACK) -> Iterator[ControlPlane]:
        """A control plane that is ready, stopped at the end of the block.

        Args:
            address: of an interface of this machine.

        Raises:
            MissingProgramError: a program is neither given nor built.
            StartError: a server does not get ready.
        """
        programs = find(*CONTROL_PLANE)
        for attempt in range(1, START_ATTEMPTS + 1):
            plane = cls(folder=folder / f"control-plane-{attempt}", programs=programs, address=address)
            try:
                plane._start()
            except StartError:
                plane.stop()
                if attempt == START_ATTEMPTS:
                    raise
            except BaseException:
                plane.stop()
                raise
            else:
                break
        try:
            yield plane
        finally:
            plane.stop()

    @property
    def server(self) -> str:
        """Where the API server listens."""
        return f"https://{self.address}:{self._ports[2]}"

    @property
    def ca(self) -> Path:
        """The certificate that the API server made for itself."""
        return self.folder / "apiserver" / "apiserver.crt"

    @property
    def kubeconfig(self) -> Path:
        """The admin's kubeconfig."""
        return self.kubeconfig_of("admin")

    def kubeconfig_of(self, user: str, *, token: str | None = None) -> Path:
        """A kubeconfig file of one of `USERS`, or of anyone with `token`."""
        path = self.folder / f"{user.replace(':', '-')}.kubeconfig"
        if not path.exists():
            body = {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [
                    {
                        "name": "test",
                        "cluster": {"server": self.server, "certificate-authority": str(self.ca)},
                    }
                ],
                "users": [{"name": user, "user": {"token": token or self.tokens[user]}}],
                "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
                "current-context": "test",
            }
            path.write_text(yaml.safe_dump(body))
        return path

    def kubeconfig_of_service_account(self, namespace: str, name: str) -> Path:
        """A kubeconfig file that acts as a service account, with a token for an hour."""
        token = self.kubectl("create", "token", name, "--namespace", namespace)
        return self.kubeconfig_of(f"{namespace}-{name}", token=token.strip())

    def kubectl(self, *arguments: str, given: object = None, user: str = "admin") -> str:
        """The output of kubectl; `given` (a manifest or a list of them) goes to its standard input.

        Raises:
            KubectlError: kubectl failed.
        """
        done = subprocess.run(
            [
                self._programs["kubectl"],
                f"--kubeconfig={self.kubeconfig_of(user)}",
                f"--cache-dir={self.folder / 'kubectl'}",  # a later server at this port has other kinds
                *arguments,
            ],
            env={**os.environ, "KUBERC": "off"},
            input=None if given is None else _as_text(given),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise KubectlError(done.stderr.strip() or done.stdout.strip())
        return done.stdout

    def api(self, user: str = "admin") -> client.ApiClient:
        """What the classes of the Kubernetes client are made with."""
        return config.new_client_from_config(str(self.kubeconfig_of(user)))

    def get(self, *arguments: str, user: str = "admin") -> dict[str, Any]:
        """What `kubectl get` gives, as values."""
        value: dict[str, Any] = json.loads(self.kubectl("get", *arguments, "--output=json", user=user))
        return value

    def apply(self, *manifests: object, user: str = "admin") -> str:
        """Apply manifests and return kubectl's output."""
        return self.kubectl("apply", "--filename=-", given=list(manifests), user=user)

    def await_kind(self, definition: str) -> str:
        """Wait until a CustomResourceDefinition is served, and give its name back."""
        # In this order, since kubectl fails where it waits for a condition and there are none at all.
        for state in ("jsonpath={.status.acceptedNames.kind}", "condition=Established"):
            self.kubectl("wait", f"--for={state}", f"crd/{definition}", "--timeout=30s")
        return definition

    def stop_api_server(self) -> None:
        """Take the API server away, as an upgrade does; what was stored stays."""
        self._servers.pop("kube-apiserver").stop()

    def start_api_server(self) -> None:
        """Bring the API server back at the same address; wait until it and what acts through it are ready.

        The controllers and the scheduler start anew, as on a control plane that is upgraded: each of their
        watches that was refused waits longer from time to time before it asks again, up to a minute.
        """
        for name in ("kube-controller-manager", "kube-scheduler"):
            self._servers.pop(name).stop()
        self._start_api_server()
        self._start_managers()

    def _start_api_server(self) -> None:
        server = self._run(
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{self._ports[0]}",
            f"--bind-address={self.address}",
            f"--secure-port={self._ports[2]}",
            f"--advertise-address={self.address}",
            # A loopback address is refused as what pods reach.
            f"--endpoint-reconciler-type={'none' if self.address == LOOPBACK else 'lease'}",
            "--kubelet-preferred-address-types=InternalIP",
            f"--cert-dir={self.folder / 'apiserver'}",
            f"--token-auth-file={self.folder / 'tokens.csv'}",
            "--authorization-mode=RBAC,Node",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self.folder / 'service-accounts.pem'}",
            f"--service-account-signing-key-file={self.folder / 'service-accounts.pem'}",
            "--shutdown-send-retry-after=true",
        )
        server.await_ok(f"{self.server}/readyz")

    def compact(self) -> None:
        """Have etcd forget what was stored before now: to watch from further back is answered with 410."""
        etcd = f"http://127.0.0.1:{self._ports[0]}/v3/kv"
        revision = _posted(f"{etcd}/range", {"key": b64encode(b"\0").decode()})["header"]["revision"]
        _posted(f"{etcd}/compaction", {"revision": revision, "physical": True})

    def stop(self) -> None:
        """Stop all servers, the API server's clients first."""
        for name in reversed(list(self._servers)):
            self._servers.pop(name).stop()

    def _start(self) -> None:
        client, peer, *_ = self._ports
        etcd = self._run(
            "etcd",
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls=http://127.0.0.1:{client}",
            f"--advertise-client-urls=http://127.0.0.1:{client}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-cluster=default=http://127.0.0.1:{peer}",
            "--unsafe-no-fsync=true",
        )
        etcd.await_ok(f"http://127.0.0.1:{client}/readyz")
        self._start_api_server()
        self._start_managers()
        self.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=30s")

    def _start_managers(self) -> None:
        *_, controllers, scheduler = self._ports
        managers = [
            self._run(
                "kube-controller-manager",
                f"--kubeconfig={self.kubeconfig}",
                "--bind-address=127.0.0.1",
                f"--secure-port={controllers}",
                f"--cert-dir={self.folder / 'controllers'}",
                "--leader-elect=false",
                "--use-service-account-credentials=true",
                f"--service-account-private-key-file={self.folder / 'service-accounts.pem'}",
                f"--root-ca-file={self.ca}",
            ),
            self._run(
                "kube-scheduler",
                f"--kubeconfig={self.kubeconfig}",
                "--bind-address=127.0.0.1",
                f"--secure-port={scheduler}",
                f"--cert-dir={self.folder / 'scheduler'}",
                "--leader-elect=false",
            ),
        ]
        for manager, port in zip(managers, (controllers, scheduler), strict=True):
            manager.await_ok(f"https://127.0.0.1:{port}/healthz")

    def _run(self, name: str, *arguments: str) -> Server:
        server = Server([self._programs[name], *arguments], log=self.folder / f"{name}.log")
        self._servers[name] = server
        return server

    def _write_secrets(self) -> None:
        self.folder.mkdir(parents=True)
        rows = [f'{self.tokens[user]},{user},{user},"{",".join(groups)}"' for user, groups in USERS.items()]
        (self.folder / "tokens.csv").write_text("\n".join(rows) + "\n")
        (self.folder / "service-accounts.pem").write_text(_elliptic_key())


def _posted(address: str, body: Mapping[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(address, json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=10) as answer:
        value: dict[str, Any] = json.load(answer)
        return value


class KubectlError(Exception):
    """kubectl failed; the message is what it wrote."""


def _as_text(given: object) -> str:
    if isinstance(given, str):
        return given
    items = given if isinstance(given, list) else [given]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def _elliptic_key() -> str:
    """A new P-256 private key, as PEM: RFC 5915 without the public half, which readers compute."""
    head, curve = bytes.fromhex("30310201010420"), bytes.fromhex("a00a06082a8648ce3d030107")
    body = b64encode(head + b"\x01" + secrets.token_bytes(31) + curve).decode()
    return f"-----BEGIN EC PRIVATE KEY-----\n{body}\n-----END EC PRIVATE KEY-----\n"
