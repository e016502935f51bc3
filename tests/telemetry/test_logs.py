import asyncio
import io
import json
import logging

import pytest

from dataefficient.telemetry.logs import Format, about, configure


@pytest.fixture
def written():
    """Configures the root logger and gives what was written; the root is put back afterwards."""
    root = logging.getLogger()
    before, level = tuple(root.handlers), root.level
    stream = io.StringIO()
    yield lambda style, **how: (configure(style, stream, **how), stream)[1]
    root.handlers[:] = before
    root.setLevel(level)


LOGGER = logging.getLogger("dataefficient.test")


def test_a_json_line_carries_what_it_is_about(written):
    stream = written(Format.JSON)
    with about(resource="ads/flights"), about(cycle=3, run="c003-candidate"):
        LOGGER.warning("is %s", "late")
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line) | {"time": ""} == {
        "time": "",
        "level": "warning",
        "logger": "dataefficient.test",
        "resource": "ads/flights",
        "cycle": 3,
        "run": "c003-candidate",
        "message": "is late",
    }
    assert json.loads(line)["time"].endswith("+00:00")


def test_a_line_about_nothing_has_no_empty_fields(written):
    stream = written(Format.JSON)
    LOGGER.info("ready")
    assert set(json.loads(stream.getvalue())) == {"time", "level", "logger", "message"}


def test_an_exception_stays_on_the_json_line(written):
    stream = written(Format.JSON)
    try:
        raise ValueError("why")
    except ValueError:
        LOGGER.exception("failed")
    (line,) = stream.getvalue().splitlines()
    assert "ValueError: why" in json.loads(line)["exception"]


def test_a_text_line_shows_where_it_belongs(written):
    stream = written(Format.TEXT)
    with about(resource="ads/flights", cycle=3):
        LOGGER.info("planned")
    LOGGER.info("ready")
    first, second = stream.getvalue().splitlines()
    assert first.endswith("INFO    [ads/flights 3] planned")
    assert second.endswith("INFO    ready")


def test_a_message_cannot_forge_a_line(written):
    stream = written(Format.TEXT)
    LOGGER.info("bad\n2026-01-01 ERROR forged")
    assert len(stream.getvalue().splitlines()) == 1
    stream = written(Format.JSON)
    LOGGER.info("bad\nforged")
    assert json.loads(stream.getvalue().splitlines()[-1])["message"] == "bad\nforged"


def test_only_lines_of_the_level_and_above_are_written_and_each_once(written):
    written(Format.JSON)
    stream = written(Format.JSON, level=logging.WARNING)
    LOGGER.info("quiet")
    LOGGER.warning("loud")
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["loud"]


def test_tasks_that_run_at_once_are_not_mixed_up(written):
    stream = written(Format.JSON)

    async def visit(name, mine, others):
        with about(resource=name):
            mine.set()
            await others.wait()
            await asyncio.create_task(inner())

    async def inner():
        LOGGER.info("inner")

    async def both():
        first, second = asyncio.Event(), asyncio.Event()
        await asyncio.gather(visit("ads/a", first, second), visit("ads/b", second, first))

    asyncio.run(both())
    assert {json.loads(line)["resource"] for line in stream.getvalue().splitlines()} == {"ads/a", "ads/b"}


def test_a_line_is_about_known_fields_only():
    with pytest.raises(AssertionError, match="pod"), about(pod="x"):
        pass
