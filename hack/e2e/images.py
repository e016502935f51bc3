"""The images of the e2e cluster, made by BuildKit inside the containerd that will run them.

Nothing is copied from a builder to the node: the trainer's image with torch has six gigabytes. Debian's
bootstrap stands in for the Dockerfile's base image, which is on a registry.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CTR = ("ctr", "--namespace=k8s.io")
HOST = "docker.io/det-e2e"
"""Names of images begin with it; nothing is ever asked there."""
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
SETTINGS = Path("/etc/pip.conf")
ATTEMPTS = 2
"""To build an image: hundreds of packages are fetched, and what was made of them is kept."""
LINES, LINE = 20, 300
"""How much is shown of what a failed build said, from its end, and of each line."""


def say(text: str) -> None:
    """One line of progress, at once."""
    print(f"e2e: {text}", file=sys.stderr, flush=True)


def make_images(root: Path, state: Path, *, group: str) -> dict[str, str]:
    """Build what changed and return all images by what they are for.

    Args:
        root: the repository.
        state: folder for logs.
        group: control group of the containers that build.
    """
    (state / "buildkitd.toml").write_text(
        "[worker.oci]\nenabled = false\n"
        '[worker.containerd]\nenabled = true\nnamespace = "k8s.io"\ngc = false\n'
        f'networkMode = "host"\ndefaultCgroupParent = "{group}"\n'
    )
    with (
        server("containerd", log=state / "containerd.log") as containerd,
        server(
            program("buildkitd"), f"--config={state}/buildkitd.toml", log=state / "buildkitd.log"
        ) as buildkitd,
    ):
        await_answer(*CTR, "version", of=containerd, log=state / "containerd.log")
        # Containers of a cluster that is gone: they would be taken for pods that run.
        if left := listed("containers"):
            subprocess.run([*CTR, "containers", "rm", *left], capture_output=True, check=True)
        buildctl = program("buildctl")
        await_answer(buildctl, "debug", "workers", of=buildkitd, log=state / "buildkitd.log")
        base = debian(state, buildctl)
        based = f"--opt=build-arg:BASE={base}"
        trainer = build(buildctl, "trainer", root, based, "--opt=target=trainer")
        flights = build(
            buildctl,
            "flights",
            root / "examples" / "flights",
            f"--opt=build-arg:TRAINER={trainer}",
            recipe=root / "examples" / "flights-cluster",
        )
        with tempfile.TemporaryDirectory(dir=state) as name:
            folder = Path(name)
            shutil.copy(str(shutil.which("prometheus")), folder)
            write(folder, f'FROM {base}\nCOPY prometheus /usr/bin/\nENTRYPOINT ["prometheus"]\n')
            prometheus = build(buildctl, "prometheus", folder)
            write(folder, f'FROM {base}\nCMD ["sleep", "infinity"]\n')
            pause = build(buildctl, "pause", folder)
        return {
            "operator": build(buildctl, "operator", root, based, "--opt=target=operator"),
            "flights": flights,
            "prometheus": prometheus,
            "pause": pause,
        }


def debian(state: Path, buildctl: str) -> str:
    """Debian with Python, and with the machine's own way to PyPI, such as a proxy's certificate."""
    suite = platform.freedesktop_os_release()["VERSION_CODENAME"]
    include = "python3,python3-pip,ca-certificates"
    taken = [path for path in (CERTIFICATES, SETTINGS) if path.exists()]
    digest = hashlib.sha256("".join([suite, include, *(path.read_text() for path in taken)]).encode())
    tag = digest.hexdigest()[:12]
    if f"{HOST}/base:{tag}" in listed("images"):
        return f"{HOST}/base:{tag}"
    with tempfile.TemporaryDirectory(dir=state) as name:
        tree = Path(name) / "tree"
        command = ("debootstrap", "--variant=minbase", f"--include={include}", suite, str(tree))
        run(*command, log=state / "debootstrap.log")
        for path in taken:
            shutil.copy(path, tree / path.relative_to("/"))
        (tree / "usr/bin/python").symlink_to("python3")
        for marker in (tree / "usr/lib").glob("python3*/EXTERNALLY-MANAGED"):
            marker.unlink()
        run("tar", "-C", str(tree), "-cf", f"{name}/tree.tar", ".", log=state / "tar.log")
        shutil.rmtree(tree)
        write(Path(name), f"FROM scratch\nADD tree.tar /\nENV SSL_CERT_FILE={CERTIFICATES}\n")
        return build(buildctl, "base", Path(name), tag=tag)


def build(
    buildctl: str, name: str, context: Path, *options: str, recipe: Path | None = None, tag: str = "e2e"
) -> str:
    """Build an image and give its name.

    Args:
        context: folder of the files that it is made of.
        recipe: folder of its Dockerfile, where it is another one.
    """
    began = time.monotonic()
    image = f"{HOST}/{name}:{tag}"
    command = [
        buildctl,
        "build",
        "--progress=plain",
        "--frontend=dockerfile.v0",
        f"--local=context={context}",
        f"--local=dockerfile={recipe or context}",
        "--opt=image-resolve-mode=local",
        *options,
        # Compressing six gigabytes that never leave the machine would take minutes.
        f"--output=type=image,name={image},unpack=true,compression=uncompressed",
    ]
    for attempt in range(1, ATTEMPTS + 1):
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if done.returncode == 0:
            say(f"image {name} took {time.monotonic() - began:.0f} s")
            return image
        told = "\n".join(line[:LINE] for line in done.stdout.splitlines()[-LINES:])
        say(f"{name} cannot be built, attempt {attempt} of {ATTEMPTS}:\n{told}")
    raise SystemExit(1)


def write(folder: Path, recipe: str) -> None:
    """A Dockerfile of a few lines."""
    (folder / "Dockerfile").write_text(recipe)


def listed(kind: str) -> list[str]:
    """Names of the images or containers that containerd has."""
    done = subprocess.run([*CTR, kind, "ls", "-q"], capture_output=True, text=True, check=True)
    return done.stdout.split()


def program(name: str) -> str:
    """A program that `hack/cluster/build` built."""
    script = Path(__file__).parents[1] / "cluster" / "build"
    done = subprocess.run(
        [sys.executable, script, "--where", name], stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout.strip()


@contextmanager
def server(*command: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A server that runs during the block."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def await_answer(*command: str, of: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a client gets an answer from the server."""
    for _ in range(300):
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return
        if of.poll() is not None:
            break
        time.sleep(0.1)
    say(f"{command[0]} gets no answer; the server's log ends with:\n{log.read_text()[-2000:]}")
    raise SystemExit(1)


def run(*command: str, log: Path) -> None:
    """Run a program whose output is only of use where it fails."""
    with log.open("wb") as out:
        if subprocess.run(command, stdout=out, stderr=out, check=False).returncode:
            say(f"{command[0]} failed:\n{log.read_text()[-2000:]}")
            raise SystemExit(1)
