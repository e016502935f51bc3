"""The operator as a process against the real control plane, and a resource that its pods train quickly."""

import json
import os
import re
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from dataefficient.cluster import ledger
from dataefficient.cycle.model import Step

ROOT = Path(__file__).parents[2]
FAKE_TRAINER = ROOT / "tests" / "local" / "fake_trainer.py"
RESUMING_TRAINER = ROOT / "tests" / "cluster" / "resuming_trainer.py"
MINIMAL_TRAINER = ROOT / "examples" / "minimal-trainer"
FLIGHTS = ROOT / "examples" / "flights" / "flights.parquet"
DETCTL = Path(sys.executable).with_name("detctl")


class Operator:
    """A running ``detctl operator``; ``program`` takes the place of ``detctl``."""

    def __init__(self, cluster, folder, namespace, *arguments, program=(DETCTL,)):
        self.log = folder / f"operator-{time.monotonic_ns()}.log"
        environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}
        options = [
            *(["--namespace", namespace] if namespace else []),
            "--lease-namespace",
            namespace or "default",
            "--port",
            "0",
            "--host",
            "127.0.0.1",
        ]
        if "--lease-seconds" not in arguments:
            options += ["--lease-seconds", "2"]
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [*program, "operator", *options, *arguments], env=environment, stdout=out, stderr=out
            )

    def port(self):
        found = eventually(lambda: re.search(r"Serving on port (\d+)", self.log.read_text()), of=self)
        return int(found[1])

    def probe(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port()}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def ready(self):
        eventually(lambda: self.probe("/readyz")[0] == 200, of=self)
        return self

    def metric(self, name):
        lines = self.probe("/metrics")[1].splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if re.match(rf"{name}[{{ ]", line))

    def told(self, about):
        """Lines of its log that name something."""
        return [line for line in self.log.read_text().splitlines() if about in line]

    def kill(self):
        self.process.kill()
        self.process.wait()

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=40)

    def maps(self, library):
        """Whether the process has a library in its memory."""
        return library in Path(f"/proc/{self.process.pid}/maps").read_text()

    def memory_mib(self):
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1024


@contextmanager
def operating(cluster, folder, namespace, *arguments, program=(DETCTL,)):
    """An operator of one namespace, or of all where it is None; its log is shown where the block fails."""
    one = Operator(cluster, folder, namespace, *arguments, program=program)
    try:
        yield one
    except BaseException:
        sys.stderr.write(one.log.read_text()[-6000:])
        raise
    finally:
        if one.process.poll() is None:
            one.kill()


def eventually(ask, *, of=None, seconds=90.0, pause=0.1):
    """The first true answer; fails when there is none in time, or when the operator has ended."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := ask():
            return answer
        if of is not None and of.process.poll() is not None:
            raise AssertionError(
                f"the operator ended with {of.process.returncode}:\n{of.log.read_text()[-3000:]}"
            )
        time.sleep(pause)
    raise AssertionError("not in time")


def quick(namespace, folder, *, cycles=2, name="quick", program=FAKE_TRAINER, env=None, pod=None, **spec):
    """A resource whose trainer is the fake one, which learns nothing and takes no time.

    Args:
        program: another trainer that keeps the same environment.
        env: more variables for it.
        pod: more fields of the pod's spec.
    """
    given = {
        "FAKE_LAUNCHES": str(folder / "launches"),
        "FAKE_TRAINER": str(FAKE_TRAINER),
        "DATAEFFICIENT_PROGRESS": str(folder / "progress"),
        **(env or {}),
    }
    container = {
        "name": "trainer",
        "image": "fake:1",
        "command": ["python", "-S", str(program)],
        "env": [{"name": n, "value": v} for n, v in given.items()],
    }
    return {
        "apiVersion": "dataefficient.training/v1alpha1",
        "kind": "DataEfficientTraining",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "mode": "Enforce",
            "schedule": {
                "historyFrom": "2001-01-01T00:00:00Z",
                "startTime": "2001-02-01T00:00:00Z",
                "everySeconds": 86400 * 7,
                "endTime": f"2001-02-{1 + 7 * cycles:02d}T01:00:00Z",
            },
            "data": {"uri": str(folder), "time": "t", "label": "y", "key": ["k"]},
            # Without learning the start is as good as the candidate, or better.
            "kpi": {"tolerance": "0.02", "maxRegression": "0.5"},
            "knobs": {"modelSize": {"values": [8]}},
            "exploration": {"share": "0"},
            "checkpoints": {"uri": str(folder / "checkpoints")},
            "trainer": {"template": {"spec": {"containers": [container], **(pod or {})}}},
            **spec,
        },
    }


def flights(namespace, folder, *, cycles=2):
    """Real flights and the trainer of one page: a table of rates by origin."""
    container = {
        "name": "trainer",
        "image": "minimal:1",
        "command": ["python", str(MINIMAL_TRAINER / "trainer.py")],
    }
    body = quick(namespace, folder, name="flights")
    body["spec"] |= {
        "schedule": {
            "historyFrom": "2001-02-19T00:00:00Z",
            "startTime": "2001-03-01T00:00:00Z",
            "everySeconds": 2 * 86400,
            "endTime": f"2001-03-{1 + 2 * cycles:02d}T00:00:00Z",
        },
        "data": {
            "uri": str(FLIGHTS),
            "time": "departure",
            "label": "late",
            "key": ["departure", "origin", "destination"],
        },
        "kpi": {"tolerance": "0.02", "maxRegression": "0.05"},
        "knobs": {"samplingRate": {"min": "0.5", "max": "1"}, "modelSize": {"values": [10]}},
        "trainer": {"config": {"features": ["origin"]}, "template": {"spec": {"containers": [container]}}},
    }
    return body


class Watched:
    """A resource on the control plane, as the tests look at it: over HTTP, which costs less than kubectl."""

    def __init__(self, cluster, namespace, name="quick"):
        self.cluster, self.namespace, self.name = cluster, namespace, name
        self._ssl = ssl.create_default_context(cafile=str(cluster.ca))

    def get(self, path):
        request = urllib.request.Request(f"{self.cluster.server}{path}")
        request.add_header("Authorization", f"Bearer {self.cluster.tokens['admin']}")
        try:
            with urllib.request.urlopen(request, context=self._ssl, timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise

    def list(self, prefix, plural):
        return self.get(f"{prefix}/namespaces/{self.namespace}/{plural}")["items"]

    def version(self):
        """The version up to which the resources of the namespace are known."""
        path = f"/apis/dataefficient.training/v1alpha1/namespaces/{self.namespace}/dataefficienttrainings"
        return self.get(path)["metadata"]["resourceVersion"]

    def watched_since(self, version):
        """What the server says first to who watches the resources from a version on."""
        path = f"/apis/dataefficient.training/v1alpha1/namespaces/{self.namespace}/dataefficienttrainings"
        found = self.get(f"{path}?watch=1&timeoutSeconds=2&resourceVersion={version}")
        return found["object"]

    def body(self):
        group = "/apis/dataefficient.training/v1alpha1"
        return self.get(f"{group}/namespaces/{self.namespace}/dataefficienttrainings/{self.name}")

    def status(self):
        return (self.body() or {}).get("status", {})

    def condition(self, kind):
        found = [c for c in self.status().get("conditions", []) if c["type"] == kind]
        return found[0] if found else {"status": None, "reason": None, "message": ""}

    def jobs(self):
        return {job["metadata"]["name"]: job for job in self.list("/apis/batch/v1", "jobs")}

    def pods(self):
        return self.list("/api/v1", "pods")

    def config_map(self, name):
        return self.get(f"/api/v1/namespaces/{self.namespace}/configmaps/{name}")

    def memory(self):
        held = self.config_map(f"{self.name}-ledger")
        return ledger.read(held).memory if held else None

    def finished(self):
        memory = self.memory()
        return memory if memory and memory.step in (Step.FINISHED, Step.STOPPED) else None

    def events(self):
        items = self.list("/api/v1", "events")
        return [(e["reason"], e["message"]) for e in items if e["involvedObject"]["name"] == self.name]

    def patch(self, body):
        self.cluster.kubectl(
            "patch",
            "dataefficienttraining",
            self.name,
            "--namespace",
            self.namespace,
            "--type=merge",
            "--patch",
            json.dumps(body),
        )
