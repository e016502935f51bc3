"""The build script, with a pretended Go in place of the real one, which would take minutes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.programs import BUILD

GO = """#!/bin/sh
while [ "$1" != "-o" ]; do shift; done
[ -e "$BROKEN" ] && echo "no such module" >&2 && exit 1
echo "$3" >> "$BUILT"
echo program > "$2"
chmod +x "$2"
"""


class Machine:
    """A machine with this Go and an empty cache."""

    def __init__(self, folder: Path) -> None:
        self.broken = folder / "broken"
        self.cache = folder / "cache"
        self.assets = folder / "assets"
        self.bin = folder / "bin"
        self._built = folder / "built"
        self.assets.mkdir()
        self.bin.mkdir()
        (self.bin / "go").write_text(GO)
        (self.bin / "go").chmod(0o755)

    def build(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": f"{self.bin}{os.pathsep}{os.defpath}",
            "XDG_CACHE_HOME": str(self.cache),
            "KUBEBUILDER_ASSETS": str(self.assets),
            "BROKEN": str(self.broken),
            "BUILT": str(self._built),
        }
        return subprocess.run(
            [sys.executable, BUILD, *arguments], env=environment, capture_output=True, text=True, check=False
        )

    @property
    def built(self) -> list[str]:
        """The packages that Go was asked for, by their last part."""
        return [line.rpartition("/")[2] for line in self._built.read_text().split()]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_program_is_built_once_and_then_found(machine: Machine):
    first = machine.build("kubectl")
    second = machine.build("kubectl")
    assert machine.built == ["kubectl"]
    assert first.stdout == second.stdout == machine.build("--where", "kubectl").stdout
    assert Path(first.stdout.strip()).read_text() == "program\n"
    assert "[1/1] kubectl, about" in first.stderr
    assert second.stderr == ""


def test_after_an_interruption_only_the_rest_is_built(machine: Machine):
    machine.build("kubectl")
    assert machine.build("kubectl", "kube-scheduler").returncode == 0
    assert machine.built == ["kubectl", "kube-scheduler"]


def test_a_build_that_fails_says_so_in_one_line_and_leaves_nothing(machine: Machine):
    machine.broken.touch()
    done = machine.build("kubectl")
    assert done.returncode == 1
    assert "kubectl cannot be built (Go's message is above)" in done.stderr
    assert "Traceback" not in done.stderr
    assert [one.name for one in machine.cache.rglob("*") if one.is_file()] == [".lock"]


def test_what_a_killed_build_left_is_cleared_by_the_next(machine: Machine):
    folder = Path(machine.build("kubectl").stdout.strip()).parent
    (folder / ".kube-scheduler-abc").mkdir()
    machine.build("kube-scheduler")
    assert sorted(one.name for one in folder.iterdir()) == [".lock", "kube-scheduler", "kubectl"]


def test_given_programs_are_used_as_they_are(machine: Machine):
    given = machine.assets / "etcd"
    shutil.copy(shutil.which("true") or "", given)
    assert machine.build("etcd", "kubectl").stdout.split()[0] == str(given)
    assert machine.built == ["kubectl"]


def test_without_the_program_it_says_how_to_build_it(machine: Machine):
    done = machine.build("--where", "kubectl")
    assert (done.returncode, done.stderr) == (
        1,
        "cluster: kubectl is not built yet; run hack/cluster/build kubectl\n",
    )


def test_a_program_that_does_not_exist_is_refused_with_those_that_do(machine: Machine):
    done = machine.build("kubelets")
    assert done.returncode == 1
    assert "no program is called kubelets; there are kube-apiserver, etcd" in done.stderr
