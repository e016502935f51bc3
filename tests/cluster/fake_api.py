"""An API server in memory, to inject faults at every request: it loses, refuses and forgets on demand.

It keeps objects with UIDs and resourceVersions as the real one does and nothing more; what the operator does
on a cluster is shown on the real one. ``FakeNode`` ends Jobs as a node would.
"""

import copy
import itertools
from datetime import timedelta
from random import Random

from cycle.playing import made_up_report
from dataefficient.cluster.api import CONFIG_MAPS, EVENTS, JOBS, PODS, TRAININGS, ApiError, ConflictError
from dataefficient.contract import format_time, parse_request, to_json
from dataefficient.cycle.model import Rider, RunPlan
from dataefficient.planner.knobs import Point


class Killed(BaseException):
    """The operator was killed here."""


class FakeApi:
    def __init__(self):
        self.objects = {}
        self.versions = itertools.count(1)
        self.created = []
        self.writes = 0
        self.kill_after = None
        """Dies once so many writes were made."""
        self.refuse = {}
        """(method, plural) -> error, raised once."""
        self.warnings = ()
        self.reads = 0

    def _key(self, kind, namespace, name):
        return (kind.plural, namespace, name)

    def _fault(self, method, kind):
        if (error := self.refuse.pop((method, kind.plural), None)) is not None:
            raise error

    def _written(self):
        self.writes += 1
        if self.kill_after is not None and self.writes >= self.kill_after:
            raise Killed

    async def get(self, kind, namespace, name):
        self._fault("GET", kind)
        self.reads += 1
        return copy.deepcopy(self.objects.get(self._key(kind, namespace, name)))

    async def list(self, kind, namespace, *, labels=""):
        self._fault("LIST", kind)
        self.reads += 1
        wanted = [part.partition("=") for part in labels.split(",") if part]
        return [
            copy.deepcopy(body)
            for (plural, where, _), body in self.objects.items()
            if plural == kind.plural
            and namespace in (None, where)
            and all(
                name in (found := body["metadata"].get("labels", {})) and (not eq or found[name] == value)
                for name, eq, value in wanted
            )
        ]

    async def create(self, kind, namespace, body, *, dry_run=False):
        self._fault("DRYRUN" if dry_run else "POST", kind)
        key = self._key(kind, namespace, body["metadata"]["name"])
        if dry_run:
            return body, self.warnings
        if key in self.objects:
            raise ConflictError(409, "AlreadyExists", f"{key} exists")
        stored = copy.deepcopy(dict(body))
        stored["metadata"] |= {
            "namespace": namespace,
            "uid": f"uid-{next(self.versions)}",
            "resourceVersion": str(next(self.versions)),
        }
        self.objects[key] = stored
        self.created.append(key)
        self._written()
        return copy.deepcopy(stored), ()

    async def replace(self, kind, namespace, name, body, *, subresource=""):
        self._fault("PUT", kind)
        key = self._key(kind, namespace, name)
        held = self.objects.get(key)
        if held is None:
            raise ApiError(404, "NotFound", f"{key} is not there")
        if body["metadata"].get("resourceVersion") != held["metadata"]["resourceVersion"]:
            raise ConflictError(409, "Conflict", f"{key} has changed")
        stored = copy.deepcopy(dict(body))
        lasting = {n: v for n, v in held["metadata"].items() if n in ("uid", "creationTimestamp")}
        stored["metadata"] = {**stored["metadata"], **lasting}
        if subresource == "status":
            stored = {**held, "status": stored["status"]}
            stored["metadata"] = dict(held["metadata"])
        stored["metadata"]["resourceVersion"] = str(next(self.versions))
        self.objects[key] = stored
        self._written()
        return copy.deepcopy(stored)

    async def patch(self, kind, namespace, name, body):
        key = self._key(kind, namespace, name)
        held = self.objects[key]
        _merge(held, body)
        held["metadata"]["resourceVersion"] = str(next(self.versions))
        self._written()
        return copy.deepcopy(held)

    async def delete(self, kind, namespace, name, *, uid):
        held = self.objects.get(self._key(kind, namespace, name))
        if held is not None and held["metadata"]["uid"] == uid:
            del self.objects[self._key(kind, namespace, name)]
            self._written()

    # What a person does

    def apply(self, body):
        key = self._key(TRAININGS, "default", body["metadata"]["name"])
        stored = copy.deepcopy(body)
        stored["metadata"]["resourceVersion"] = str(next(self.versions))
        held = self.objects.get(key)
        if held is not None and "status" in held:
            stored["status"] = held["status"]
        self.objects[key] = stored

    def remove(self, name="made-up"):
        """Delete the resource and, as the garbage collector does, what it owns."""
        gone = self.objects.pop(self._key(TRAININGS, "default", name))["metadata"]["uid"]
        for key, body in list(self.objects.items()):
            if any(o["uid"] == gone for o in body["metadata"].get("ownerReferences", [])):
                del self.objects[key]
                self.objects.pop(self._key(PODS, "default", f"{key[2]}-pod"), None)

    def of(self, kind):
        return {name: body for (plural, _, name), body in self.objects.items() if plural == kind.plural}

    def events(self):
        return [(e["reason"], e["message"]) for e in self.of(EVENTS).values()]

    def status(self, name="made-up"):
        return self.of(TRAININGS)[name].get("status", {})

    def condition(self, kind):
        return next(c for c in self.status()["conditions"] if c["type"] == kind)


def _merge(held, patch):
    for name, value in patch.items():
        if isinstance(value, dict) and isinstance(held.get(name), dict):
            _merge(held[name], value)
        else:
            held[name] = value


def _point(request):
    return Point(request.train.policy, request.train.rate, request.size)


class FakeNode:
    """Ends every Job at once: with a report, or as ``fault(run, attempt)`` says, as (exit code, message)."""

    def __init__(
        self,
        api,
        clock,
        *,
        fault=lambda run, attempt: None,
        disrupt=lambda run, attempt: False,
        report_of=made_up_report,
    ):
        self.api, self.clock, self.fault, self.disrupt = api, clock, fault, disrupt
        self.report_of = report_of

    def run(self):
        """Whether any Job ended."""
        ended = False
        for name, job in self.api.of(JOBS).items():
            if not job.get("status", {}).get("conditions") and not job["spec"].get("suspend"):
                self._end(name, job)
                ended = True
        return ended

    def _end(self, name, job):
        request = parse_request(self.api.of(CONFIG_MAPS)[name]["data"]["request.json"])
        attempt = int(job["metadata"]["labels"]["dataefficient.training/attempt"])
        riders = tuple(Rider(_point(rider), None) for rider in request.riders)
        plan = RunPlan(request, _point(request), 1, None, 1e9, attempt, riders=riders)
        fault = self.fault(request.run, attempt)
        disrupted = self.disrupt(request.run, attempt)
        start = self.clock.now()
        if fault is None and not disrupted:
            report = self.report_of(plan, Random(request.run))
            code, message, seconds = 0, to_json(report), report.seconds.total
        else:
            code, message, seconds = (143, "", 7.0) if disrupted else (*fault, 7.0)
        end = start + timedelta(seconds=round(seconds))
        conditions = [{"type": "PodScheduled", "status": "True", "lastTransitionTime": format_time(start)}]
        if disrupted:
            conditions.append({"type": "DisruptionTarget", "status": "True", "message": "preempted"})
        terminated = {"exitCode": code, "message": message, "finishedAt": format_time(end)}
        self.api.objects[self.api._key(PODS, "default", f"{name}-pod")] = {
            "metadata": {
                "name": f"{name}-pod",
                "namespace": "default",
                "uid": f"{name}-pod-uid",
                "labels": {
                    **job["spec"]["template"]["metadata"]["labels"],
                    "batch.kubernetes.io/job-name": name,
                },
                "ownerReferences": [{"uid": job["metadata"]["uid"], "controller": True}],
            },
            "status": {
                "conditions": conditions,
                "containerStatuses": [{"name": "trainer", "state": {"terminated": terminated}}],
            },
        }
        job["status"] = {
            "startTime": format_time(start),
            "conditions": [
                {
                    "type": "Complete" if code == 0 else "Failed",
                    "status": "True",
                    "reason": "" if code == 0 else "BackoffLimitExceeded",
                    "lastTransitionTime": format_time(end),
                }
            ],
        }
        self.clock.set(end)
