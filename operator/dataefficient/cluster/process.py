"""The operator process: its parts put together, from start to SIGTERM.

Nothing is decided here. SIGTERM and SIGINT end it cleanly: no new visit is begun, what is being written is
finished, the Lease is given back, and the runs on the cluster are left alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from kubernetes.aio.client import ApiClient, Configuration
from prometheus_client import CollectorRegistry

from dataefficient.cluster.aio import AioApi
from dataefficient.cluster.api import TRAININGS, Api, ApiError, Body
from dataefficient.cluster.board import Board
from dataefficient.cluster.brain import Brain
from dataefficient.cluster.events import Events
from dataefficient.cluster.evidence import Evidence
from dataefficient.cluster.health import ServingError, serving
from dataefficient.cluster.kubeconfig import NoClusterError, find
from dataefficient.cluster.lease import Elector, Leadership, LeaseThread, boot_clock
from dataefficient.cluster.names import Key
from dataefficient.cluster.policy import PolicyError, read_policy
from dataefficient.cluster.queue import WorkQueue
from dataefficient.cluster.reaching import Reach
from dataefficient.cluster.readback import PrometheusReadback
from dataefficient.cluster.reconcile import Reconciler
from dataefficient.cluster.runs import Runs
from dataefficient.cluster.settings import Settings
from dataefficient.cluster.store import Store
from dataefficient.cluster.watch import Watch
from dataefficient.cluster.worker import Worker
from dataefficient.telemetry.collector import ResourceCollector
from dataefficient.telemetry.logs import configure
from dataefficient.telemetry.process import ProcessMetrics, ProcessState
from dataefficient.telemetry.reconciling import Reconciling

logger = logging.getLogger(__name__)

OK, WRONG_INPUT, FAULT, UNAVAILABLE, FORBIDDEN = 0, 64, 70, 75, 77
"""Exit codes, as ``detctl`` has them."""
WORKERS = 4
BEGINNING_ATTEMPTS, BEGINNING_PAUSE = 30, 1.0
STUCK_SECONDS = 600.0
"""A resource that was marked so long ago and not visited: reconciling has stopped."""
ENDING_SECONDS = 20.0
"""What visits get to finish after SIGTERM; less than the grace of an ordinary pod."""


def main(settings: Settings) -> int:
    """Run until a signal; the exit code."""
    configure(settings.log_format, sys.stderr, level=settings.log_level.upper())
    # The watcher tells of each event and each handler; only its troubles matter here.
    for name in ("kopf", "aiohttp", "asyncio"):
        logging.getLogger(name).setLevel(max(logging.getLogger().level, logging.WARNING))
    try:
        return asyncio.run(operate(settings))
    except PolicyError as error:
        logger.error("--policy: %s", error)
        return WRONG_INPUT
    except NoClusterError as error:
        logger.error("No cluster: %s.", error)
        return WRONG_INPUT
    except ServingError as error:
        logger.error("%s", error)
        return WRONG_INPUT
    except ApiError as error:
        logger.error("The resources cannot be listed, so nothing can be done: %s", _advised(error))
        return {401: FORBIDDEN, 403: FORBIDDEN, 404: WRONG_INPUT}.get(error.status, UNAVAILABLE)


def _advised(error: ApiError) -> str:
    told = str(error).strip().rstrip(".")
    if error.status == 403:
        return (
            f"{told}. Bind the chart's role to who this runs as, or name with --namespace where it may look"
        )
    if error.status == 404:
        return (
            "the cluster does not know the kind. Install the chart, or: detctl crd | kubectl apply "
            "--server-side -f -"
        )
    return told


async def operate(settings: Settings) -> int:
    """Drive the cluster's resources until SIGTERM or SIGINT; the exit code."""
    policy = read_policy(settings.policy_file)
    stop, filled, watching = asyncio.Event(), asyncio.Event(), asyncio.Event()
    reach = (await find()).configuration
    leadership = Leadership(clock=boot_clock)
    queue = WorkQueue(clock=time.monotonic)
    evidence = Evidence()
    watch = Watch(mark=queue.add, pod=evidence.see)
    registry = CollectorRegistry()
    lease = _lease(settings, reach, leadership, queue, watch)

    def healthy() -> str | None:
        if settings.leader_election and not lease.alive():
            return "the Lease is not renewed any more\n"
        if leadership.holds() and queue.oldest() > STUCK_SECONDS:
            return "reconciling has stopped\n"
        return None

    def ready() -> str | None:
        return None if filled.is_set() and watching.is_set() else "the watches have not begun\n"

    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(ApiClient(reach))
        state = ProcessState(
            leads=leadership.holds,
            resources=lambda: len(watch.keys),
            queued=lambda: len(queue),
            requests=lambda: api.requests,
        )
        metrics = ProcessMetrics(registry, state)
        api = AioApi(client, may_write=leadership.holds, failed=metrics.note_failure)
        brain = await stack.enter_async_context(Brain())
        board = Board(there=lambda: watch.keys)
        ResourceCollector(views=board.views, leads=leadership.holds, now=_now, registry=registry)
        readback = PrometheusReadback(
            reach=Reach(api=api, policy=policy),
            board=board,
            mark=queue.add,
            now=_now,
            answered=metrics.note_answer,
        )
        stack.push_async_callback(readback.close)
        reconciling = Reconciling(
            registry,
            resync_seconds=settings.resync_seconds,
            oldest=queue.oldest,
            accepted=board.accepted,
            leads=leadership.holds,
        )
        reconciler = Reconciler(
            api=api,
            store=Store(api=api),
            runs=Runs(api=api, evidence=evidence),
            events=Events(api=api, now=_now),
            decide=board.watching(brain),
            policy=policy,
            now=_now,
            readback=readback,
            decided=metrics.decision_delay.observe,
        )

        async def visit(key: Key) -> float | None:
            after = await reconciler.reconcile(key)
            reconciling.visited(_now())
            return after

        port = await stack.enter_async_context(
            serving(host=settings.host, port=settings.port, registry=registry, healthy=healthy, ready=ready)
        )
        logger.info("Serving on port %d", port)
        watcher = asyncio.create_task(
            watch.run(
                settings=reach,
                namespaces=settings.namespaces,
                ready=watching,
                stop=stop,
                resync_seconds=settings.resync_seconds,
            )
        )
        # What watches ends with this process or by its own fault; either way there is nothing more to do.
        watcher.add_done_callback(lambda _: stop.set())
        await _begun(watching, watcher)
        _listen(stop)
        if not stop.is_set():
            await _fill(api, settings, queue, watch)
            filled.set()
        if settings.leader_election:
            lease.start()
            stack.callback(lease.stop)
        else:
            leadership.extend(float("inf"))
        failures: dict[Key, int] = {}
        workers = [
            Worker(
                queue=queue,
                reconcile=visit,
                leads=leadership.holds,
                metrics=metrics,
                clock=time.monotonic,
                resync_seconds=settings.resync_seconds,
                failures=failures,
            )
            for _ in range(WORKERS)
        ]
        await _work(workers, stop)
        await asyncio.wait([watcher], timeout=ENDING_SECONDS)
    if watcher.done() and not watcher.cancelled() and (error := watcher.exception()) is not None:
        logger.error("Watching has ended: %s", error)
        return FAULT
    logger.info("Ended")
    return OK


def _now() -> datetime:
    return datetime.now(UTC)


def _listen(stop: asyncio.Event) -> None:
    """Take the signals back from the watcher, which would end before the visits do."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)


async def _begun(watching: asyncio.Event, watcher: asyncio.Task[None]) -> None:
    waiting = asyncio.create_task(watching.wait())
    await asyncio.wait([waiting, watcher], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


async def _fill(api: AioApi, settings: Settings, queue: WorkQueue, watch: Watch) -> None:
    """Mark every resource that is there, so that readiness means having seen them.

    Raises:
        ApiError: without the kind or the right to see it, waiting would look like working.
    """
    for namespace in settings.namespaces or (None,):
        for body in await _listed(api, namespace):
            key = Key(body["metadata"]["namespace"], body["metadata"]["name"])
            watch.keys.add(key)
            queue.add(key)


async def _listed(api: Api, namespace: str | None) -> list[Body]:
    """Every resource; a kind that was made known only now is not served for a moment."""
    for _ in range(BEGINNING_ATTEMPTS):
        try:
            return await api.list(TRAININGS, namespace)
        except ApiError as error:
            if error.status not in (429, 503):
                raise
        await asyncio.sleep(BEGINNING_PAUSE)
    return await api.list(TRAININGS, namespace)


async def _work(workers: list[Worker], stop: asyncio.Event) -> None:
    """Visit until ``stop``, then let the visits that have begun end."""
    tasks = [asyncio.create_task(worker.run(stop)) for worker in workers]
    await stop.wait()
    _, late = await asyncio.wait(tasks, timeout=ENDING_SECONDS)
    for task in late:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _lease(
    settings: Settings, reach: Configuration, leadership: Leadership, queue: WorkQueue, watch: Watch
) -> LeaseThread:
    loop = asyncio.get_running_loop()

    def mark_all() -> None:
        for key in watch.keys:
            queue.add(key)

    def gained() -> None:
        loop.call_soon_threadsafe(mark_all)

    @contextlib.asynccontextmanager
    async def elector() -> AsyncIterator[Elector]:
        async with ApiClient(reach) as client:
            yield Elector(
                # An answer that comes after the Lease's end is of no use; another connection may be.
                api=AioApi(client, may_write=lambda: True, timeout_seconds=settings.lease_seconds),
                leadership=leadership,
                namespace=settings.lease_namespace,
                name=settings.lease_name,
                identity=settings.identity,
                seconds=settings.lease_seconds,
                clock=boot_clock,
                gained=gained,
            )

    return LeaseThread(elector)
