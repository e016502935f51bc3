from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from dataefficient.api.conditions import first_conditions
from dataefficient.api.crd import schema_of
from dataefficient.api.status import Checkpoint, Cycle, Outcome, Status

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def largest(schema: dict[str, Any]) -> int:
    """Bytes of the largest compact JSON that the schema allows, for ASCII text and 64-bit integers."""
    match schema["type"]:
        case "object":
            names = schema["properties"].items()
            return 2 + sum(len(name) + 4 + largest(inner) for name, inner in names)
        case "array":
            return 2 + schema["maxItems"] * (1 + largest(schema["items"]))
        case "string" if "enum" in schema:
            return 2 + max(map(len, schema["enum"]))
        case "string":
            return 2 + schema["maxLength"]
        case kind:
            return {"integer": 20, "boolean": 5}[kind]


def test_the_largest_status_stays_below_64_kib():
    assert largest(schema_of(Status)) < 64 * 1024


def test_an_empty_status_is_written_almost_as_nothing():
    assert len(Status().model_dump_json(exclude_defaults=True)) == 2


def test_a_status_survives_writing_and_reading():
    champion = Checkpoint(uri="s3://b/c", digest="sha256:0", cycle=4, size=16, position=NOW)
    history = Cycle(
        cycle=3, from_=NOW, to=NOW, outcome=Outcome.PUBLISHED, rate=Decimal("0.50"), reason="Why."
    )
    status = Status(
        conditions=first_conditions(1, NOW),
        cycle=4,
        champion=champion,
        previous_champions=(),
        history=(history,),
    )
    assert Status.model_validate_json(status.model_dump_json(exclude_none=True)) == status


def test_a_cycle_is_written_with_the_names_of_the_interface():
    written = Cycle(cycle=3, from_=NOW, to=NOW, outcome=Outcome.SKIPPED).model_dump(
        mode="json", exclude_none=True
    )
    assert written["from"] == "2026-01-01T00:00:00Z"


def test_the_history_is_bounded():
    one = Cycle(cycle=3, from_=NOW, to=NOW, outcome=Outcome.SKIPPED)
    with pytest.raises(ValidationError):
        Status(history=(one,) * 21)
