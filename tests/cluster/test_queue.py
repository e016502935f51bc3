"""Keys: each once, never two workers, never lost."""

import asyncio

from dataefficient.cluster.names import Key
from dataefficient.cluster.queue import WorkQueue

A, B = Key("n", "a"), Key("n", "b")


def run(body):
    async def main():
        await body(WorkQueue(clock=asyncio.get_running_loop().time))

    asyncio.run(main())


def test_a_key_that_is_marked_twice_comes_once():
    async def body(queue):
        queue.add(A), queue.add(A), queue.add(B)
        assert [(await queue.get())[0] for _ in range(2)] == [A, B]

    run(body)


def test_a_key_marked_while_it_is_worked_on_comes_again_afterwards():
    async def body(queue):
        queue.add(A)
        await queue.get()
        queue.add(A)
        waiting = asyncio.create_task(queue.get())
        await asyncio.sleep(0)
        assert not waiting.done()
        queue.done(A)
        assert (await waiting)[0] == A

    run(body)


def test_a_due_time_replaces_the_one_before():
    async def body(queue):
        queue.add_after(A, 3600.0)
        queue.add_after(A, 0.0)
        assert (await queue.get())[0] == A
        assert not queue._timers

    run(body)


def test_it_knows_how_long_a_key_has_waited():
    async def main():
        now = [10.0]
        queue = WorkQueue(clock=lambda: now[0])
        queue.add(A)
        now[0] = 17.0
        assert queue.oldest() == 7.0
        assert (await queue.get())[1] == 7.0
        assert queue.oldest() == 0.0

    asyncio.run(main())
