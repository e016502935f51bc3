"""Where the blocks of one page are run: a folder that looks like a clone, and perhaps a cluster.

The folder links to what a clone holds, so that commands read as they do for a reader; what they write stays
in it. On the cluster the chart is installed before the page unless the page does so itself, and a resource
that a page applies is given the memory that an operator would have left of some cycles.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from chart.helm import Helm
from cluster.control_plane import ControlPlane, KubectlError
from cluster.programs import find
from cycle.playing import Player
from dataefficient.api.load import parse_object
from dataefficient.api.spec import KIND as OURS
from dataefficient.cluster import decisions, ledger
from dataefficient.cluster.admission import sample_job
from dataefficient.cluster.published import published
from dataefficient.cycle.machine import begin
from documentation.blocks import ROOT, Block

EXAMPLE = "examples/flights-cluster"
PLACEHOLDERS = {"NAME": "late-flights", "NAMESPACE": "ads", "RELEASE": "det"}
"""What a reader fills into a command."""
TIMEOUT = 240
"""Seconds that one block may take."""
KIND = "dataefficienttrainings.dataefficient.training"
CHART = "charts/data-efficient-training"
NAMESPACE = "ads"
NAMESPACES = (NAMESPACE, "det")
CHILDREN = "configmaps,secrets,persistentvolumeclaims,services,rolebindings"
LEFT_OUT = {"work", ".git", ".cache", "build"}
PLAYED_CYCLES = 6
LATER = datetime(2030, 1, 1, tzinfo=UTC)


class BlockError(AssertionError):
    """A block of the docs does not do what it says."""


@dataclass
class Stage:
    """One page's folder; `cluster` is None for a page that speaks to none."""

    folder: Path
    cluster: ControlPlane | None = None
    said: str = ""
    """What the last command printed."""

    def play_all(self, blocks: list[Block]) -> None:
        """Play a page from its top to its end.

        Raises:
            BlockError: of the first block that fails.
        """
        there = self.cluster is not None and not installs(blocks)
        if there and mentions_a_resource(blocks):
            self.cluster.kubectl("apply", "--namespace", NAMESPACE, "--kustomize", str(ROOT / EXAMPLE))
            self._remember(self.cluster)
        for block in blocks:
            self.play(block)

    def play(self, block: Block) -> None:
        """Do with a block what it says.

        Raises:
            BlockError: with the block's place and what was printed.
        """
        if block.file:
            place = self.folder / block.file
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(block.text)
        if block.needs:
            return
        match block.language, block.treatment:
            case "bash", "run":
                self.said = self._run(block)
            case "text", "output":
                self._compare(block)
            case "yaml", "apply":
                self._apply(block)
            case "yaml", "values":
                self._render(block)
            case "yaml", "valid":
                place = self.folder / "block.yaml"
                place.write_text(block.text)
                self._bash(block, "detctl validate block.yaml")

    def _run(self, block: Block) -> str:
        said = self._bash(block, filled_in(block.text))
        if self.cluster is not None and "kubectl apply" in block.text:
            self._remember(self.cluster)
        return said

    def _bash(self, block: Block, script: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        if done.returncode:
            raise BlockError(f"{block}: exit code {done.returncode} of\n{script}\n{done.stdout}")
        return done.stdout

    def _environment(self) -> dict[str, str]:
        programs = [ROOT / ".venv" / "bin"]
        # What a page installs must not change the environment that the tests run in.
        kept = {"PIP_NO_INDEX": "1", "UV_OFFLINE": "1"}
        environment = {**os.environ, **kept, "HOME": str(self.folder), "COLUMNS": "100"}
        if self.cluster is not None:
            programs += [path.parent for path in find("kubectl", "helm").values()]
            environment |= {"KUBECONFIG": str(self._kubeconfig(self.cluster)), "KUBERC": "off"}
        path = ":".join([*map(str, programs), os.environ["PATH"]])
        return {**environment, "PATH": path}

    def _kubeconfig(self, cluster: ControlPlane) -> Path:
        """The admin's, in the namespace of the docs."""
        place = self.folder / ".kubeconfig"
        if not place.exists():
            body = yaml.safe_load(cluster.kubeconfig.read_text())
            body["contexts"][0]["context"]["namespace"] = NAMESPACE
            place.write_text(yaml.safe_dump(body))
        return place

    def _compare(self, block: Block) -> None:
        rest = " ".join(self.said.split())
        for line in filter(str.strip, block.text.splitlines()):
            pattern = ".*?".join(re.escape(" ".join(part.split())) for part in line.split("…"))
            found = re.search(pattern, rest)
            if found is None:
                raise BlockError(
                    f"{block}: not printed, or not in this order: {line!r}; printed was\n{self.said}"
                )
            rest = rest[found.end() :]

    def _apply(self, block: Block) -> None:
        """A dry run of the manifest and, of a resource of ours, of the Job that its runs would be."""
        assert self.cluster is not None
        (self.folder / "block.yaml").write_text(block.text)
        said = self._bash(block, "kubectl apply --namespace ads --dry-run=server -f block.yaml -o json")
        found = json.loads(said[said.index("{") :])  # warnings may stand before it
        for body in found.get("items", [found]):
            if body["kind"] == OURS:
                job = sample_job(parse_object(body, body["metadata"]["name"]))
                try:
                    self.cluster.kubectl("create", "--dry-run=server", "--filename=-", given=job)
                except KubectlError as error:
                    raise BlockError(f"{block}: its Job is refused: {error}") from error

    def _render(self, block: Block) -> None:
        (self.folder / "block.yaml").write_text(block.text)
        self._bash(block, f"helm template det {CHART} --values block.yaml >/dev/null")

    def _remember(self, cluster: ControlPlane) -> None:
        """Give every resource without a ledger the memory of some cycles."""
        for body in cluster.get(KIND, "--all-namespaces")["items"]:
            about = body["metadata"]
            held: dict[str, Any] = {}
            kept = cluster.get("configmaps", "--namespace", about["namespace"])["items"]
            if ledger_name(about["name"]) in {one["metadata"]["name"] for one in kept}:
                continue
            resource = parse_object(body, about["name"])
            player = Player(resource.spec, memory=begin(f"{about['namespace']}/{about['name']}"), now=LATER)
            player.play(until=lambda memory: memory.cycle >= PLAYED_CYCLES)
            for (before, seen), decision in zip(player.observations, player.decisions, strict=True):
                held = decisions.with_decision(held, resource, before, seen, decision)
            cluster.apply(
                ledger.config_map(resource, ledger.Book(player.memory, about["uid"]), version=None),
                decisions.config_map(resource, held, version=None),
                *published(resource, player.memory),
            )


def filled_in(script: str) -> str:
    """A command with what a reader fills in."""
    for word, value in PLACEHOLDERS.items():
        script = re.sub(rf"\b{word}\b", value, script)
    return script


def mentions_a_resource(blocks: list[Block]) -> bool:
    """Whether commands are about a resource that they do not apply: it is there before the page begins."""
    commands = "".join(block.text for block in blocks if block.treatment == "run")
    return "kubectl apply" not in commands and re.search(r"\b(NAME|late-flights)\b", commands) is not None


def ledger_name(resource: str) -> str:
    """The ConfigMap that holds what is remembered of a resource."""
    return f"{resource}-ledger"


def folder_like_a_clone(folder: Path) -> Path:
    """Links to what a clone holds, in a folder that may be written to."""
    for one in ROOT.iterdir():
        if one.name not in LEFT_OUT:
            (folder / one.name).symlink_to(one)
    return folder


def speaks_to_a_cluster(blocks: list[Block]) -> bool:
    """Whether a real API server is needed to play a page."""
    return any(
        block.treatment in ("apply", "values")
        or (block.treatment == "run" and re.search(r"\b(kubectl|helm|--namespace|-n) ", block.text))
        for block in blocks
    )


def installs(blocks: list[Block]) -> bool:
    """Whether a page installs the chart itself."""
    return any(block.treatment == "run" and f"install det {CHART}" in block.text for block in blocks)


class Ground:
    """The cluster that pages share, one after another; the chart stays installed while it can."""

    def __init__(self, cluster: ControlPlane, helm: Helm) -> None:
        self.cluster = cluster
        self._helm = helm
        self._installed = False
        cluster.apply(
            *({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in NAMESPACES)
        )

    @contextmanager
    def lent(self, *, installed: bool) -> Iterator[ControlPlane]:
        """The cluster with or without the chart; what a page has left on it is removed afterwards."""
        if installed and not self._installed:
            self._helm("install", "det", str(ROOT / CHART), "--namespace", "det")
            self.cluster.await_kind(KIND)
        elif not installed and self._installed:
            self._clear()
        self._installed = installed
        try:
            yield self.cluster
        finally:
            if installed:
                self._empty(f"{KIND},{CHILDREN}")
            else:
                self._clear()

    def _clear(self) -> None:
        for one in yaml.safe_load(self._helm("list", "--all-namespaces", "--output=yaml")) or []:
            self._helm("uninstall", one["name"], "--namespace", one["namespace"])
        self.cluster.kubectl("delete", "crd", KIND, "--ignore-not-found", "--timeout=60s")
        self._empty(CHILDREN)

    def _empty(self, kinds: str) -> None:
        for name in ("ads", "default"):
            self.cluster.kubectl("delete", kinds, "--all", "--namespace", name, "--wait=false")
