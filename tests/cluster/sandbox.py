"""What the process of a played container sees: its command, environment and files.

Supported, on purpose no more than trainers use:
- `command` and `args`, with `$(NAME)` of the environment; they must be there, since there is no image;
- `env` with `value`, `fieldRef` (metadata.name, .namespace, .uid, .labels['x'], .annotations['x'],
  spec.nodeName), `configMapKeyRef` and `secretKeyRef`;
- volumes `configMap`, `secret`, `downwardAPI`, `emptyDir` and `projected` of the first three;
- `terminationMessagePath`, and `terminationMessagePolicy: FallbackToLogsOnError`.

There is no mount: a volume lies in a temporary folder, and its mountPath is replaced by that folder wherever
it begins a path in command, args and env. The same goes for terminationMessagePath. So a process finds its
files if it is told where they are, and not if it has the path built in.
"""

from __future__ import annotations

import os
import re
import sys
from base64 import b64decode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kubernetes.client import CoreV1Api

MESSAGE_BYTES = 4096
FALLBACK_BYTES = 2048
REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_][A-Za-z0-9_]*)\)")

Object = Mapping[str, Any]


class UnsupportedError(Exception):
    """The pod asks for what this sandbox does not play."""


class Sandbox:
    """The files of one container, and the command and environment that point to them."""

    def __init__(self, pod: Object, container: Object, *, folder: Path, core: CoreV1Api) -> None:
        self._pod = pod
        self._container = container
        self._core = core
        self._namespace = pod["metadata"]["namespace"]
        self.folder = folder
        self._message = folder / f"{container['name']}.message"
        self._message.touch()
        self.log = folder / f"{container['name']}.log"
        self._places = {container.get("terminationMessagePath", "/dev/termination-log"): self._message}
        volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes", ())}
        for mount in container.get("volumeMounts", ()):
            self._place(mount, volumes[mount["name"]])
        longest_first = sorted(self._places, key=len, reverse=True)
        self._paths = re.compile(rf"(?<![\w./-])({'|'.join(map(re.escape, longest_first))})(?=/|$|[^\w.-])")

    def environment(self) -> dict[str, str]:
        """What the process starts with: this Python's folder on PATH, a home, and the container's env."""
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
        own = {name: self._translated(value) for name, value in self._declared().items()}
        return {"PATH": path, "HOME": str(self.folder), **own}

    def command(self) -> list[str]:
        """The program and its arguments."""
        if not self._container.get("command"):
            raise UnsupportedError("a played container needs a command: there is no image to take one from")
        words = [*self._container["command"], *self._container.get("args", ())]
        environment = self._declared()
        return [self._translated(_expanded(word, environment)) for word in words]

    def message(self, code: int) -> str:
        """The termination message of a container that ended with `code`, cut as the kubelet cuts it."""
        found = self._message.read_bytes()[:MESSAGE_BYTES]
        fallback = self._container.get("terminationMessagePolicy") == "FallbackToLogsOnError"
        if not found and code and fallback:
            found = self.log.read_bytes()[-FALLBACK_BYTES:]
        return found.decode(errors="replace")

    def _declared(self) -> dict[str, str]:
        """The container's env with the paths that it has in the container."""
        own: dict[str, str] = {}
        for entry in self._container.get("env", ()):
            own[entry["name"]] = (
                self._value(entry) if "valueFrom" in entry else _expanded(entry.get("value", ""), own)
            )
        return own

    def _translated(self, text: str) -> str:
        return self._paths.sub(lambda match: str(self._places[match[1]]), text)

    def _place(self, mount: Object, volume: Object) -> None:
        folder = self.folder / "volumes" / volume["name"]
        if not folder.exists():
            folder.mkdir(parents=True)
            self._fill(folder, volume)
        self._places[mount["mountPath"].rstrip("/")] = folder / mount.get("subPath", "")

    def _fill(self, folder: Path, volume: Object) -> None:
        sources: dict[str, Callable[[Path, Object], None]] = {
            "emptyDir": lambda _folder, _source: None,
            "configMap": lambda into, source: self._write(into, source, self._config_map(source["name"])),
            "secret": lambda into, source: self._write(
                into, source, self._secret(source.get("secretName") or source["name"])
            ),
            "downwardAPI": self._write_fields,
            "projected": lambda into, source: [self._fill(into, one) for one in source["sources"]],
        }
        for kind, source in volume.items():
            if kind == "name":
                continue
            if kind not in sources:
                raise UnsupportedError(f"volumes of kind {kind} are not played")
            sources[kind](folder, source)

    def _write(self, folder: Path, source: Object, data: Mapping[str, bytes]) -> None:
        items = source.get("items") or [{"key": key, "path": key} for key in data]
        for item in items:
            target = folder / item["path"]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data[item["key"]])

    def _write_fields(self, folder: Path, source: Object) -> None:
        for item in source["items"]:
            (folder / item["path"]).write_text(self._field(item["fieldRef"]["fieldPath"]))

    def _config_map(self, name: str) -> dict[str, bytes]:
        found = self._core.read_namespaced_config_map(name, self._namespace)
        text = {key: value.encode() for key, value in (found.data or {}).items()}
        return text | {key: b64decode(value) for key, value in (found.binary_data or {}).items()}

    def _secret(self, name: str) -> dict[str, bytes]:
        found = self._core.read_namespaced_secret(name, self._namespace)
        return {key: b64decode(value) for key, value in (found.data or {}).items()}

    def _value(self, entry: Object) -> str:
        ((kind, source),) = entry["valueFrom"].items()
        match kind:
            case "fieldRef":
                return self._field(source["fieldPath"])
            case "configMapKeyRef":
                return self._config_map(source["name"])[source["key"]].decode()
            case "secretKeyRef":
                return self._secret(source["name"])[source["key"]].decode()
        raise UnsupportedError(f"env from {kind} is not played")

    def _field(self, path: str) -> str:
        if match := re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path):
            return str(self._pod["metadata"].get(match[1], {}).get(match[2], ""))
        value: Any = self._pod
        for step in path.split("."):
            value = value[step]
        return str(value)


def _expanded(text: str, environment: Mapping[str, str]) -> str:
    """`$(NAME)` replaced as Kubernetes does: `$$` is a dollar, an unknown name stays as it is."""

    def one(match: re.Match[str]) -> str:
        if match[1] is None:
            return "$"
        return environment.get(match[1], match[0])

    return REFERENCE.sub(one, text)
