"""Text that stands for an exact value: decimal numbers and instants; lists without repetition.

The API holds no floating-point number, because a resource is rewritten by many programs on its way
(YAML to JSON to Go and back) and a float does not survive that unchanged. A number with a fraction is
a string with a pattern; the same pattern is checked here and by the API server. Units belong to the
fields that use these types; nothing here computes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from dataefficient.contract import ContractError, format_time, parse_time


def wrong(allowed: str, hint: str) -> PydanticCustomError:
    """The error of one field: what would be allowed there and what to do."""
    return PydanticCustomError("field", "{allowed}; {hint}", {"allowed": allowed, "hint": hint})


@dataclass(frozen=True)
class Formatted:
    """Annotation for a value that is written as a string of a given form.

    ``pattern`` must mean the same in Python and in RE2 (the API server's), and holds for the whole
    string. ``convert`` turns the text into the Python value, ``render`` turns it back; both are the
    identity for plain strings. ``convert`` raises ``ValueError`` for what the pattern cannot see.
    """

    pattern: str
    max_length: int
    allowed: str
    hint: str
    kind: type = str
    convert: Callable[[str], Any] = str
    render: Callable[[Any], str] = str
    format: str | None = None

    def parse(self, value: object) -> object:
        """The Python value of ``value``, which is a string or already has the Python type.

        Raises:
            PydanticCustomError: another type, too long, of another form, or not convertible.
        """
        if self.kind is not str and isinstance(value, self.kind):
            value = self.render(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            raise wrong(self.allowed, "write it in quotes: it must be a string, not a YAML number")
        if not isinstance(value, str):
            raise wrong(self.allowed, self.hint)
        if len(value) > self.max_length:
            raise wrong(f"{self.allowed}, at most {self.max_length} characters", "shorten it")
        if re.fullmatch(self.pattern, value, re.ASCII) is None:
            raise wrong(self.allowed, self.hint)
        try:
            return self.convert(value)
        except (ValueError, ContractError) as error:
            raise wrong(self.allowed, str(error)) from error

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.parse,
            serialization=core_schema.plain_serializer_function_ser_schema(self.render, when_used="json"),
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        body: JsonSchemaValue = {
            "type": "string",
            "maxLength": self.max_length,
            "pattern": f"^({self.pattern})$",
        }
        if self.format:
            body["format"] = self.format
        return body


@dataclass(frozen=True)
class Unique:
    """Annotation for a list in which no value may occur twice."""

    def check(self, values: tuple[object, ...]) -> tuple[object, ...]:
        """The values as they are.

        Raises:
            PydanticCustomError: names the value that occurs twice.
        """
        for i, value in enumerate(values):
            if value in values[:i]:
                raise wrong("values that all differ", f"remove the second {value}")
        return values

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(schema), "x-kubernetes-list-type": "set"}


def _number(pattern: str, allowed: str, hint: str = "write a plain decimal number in quotes") -> Formatted:
    return Formatted(
        pattern=pattern,
        max_length=24,
        allowed=allowed,
        hint=hint,
        kind=Decimal,
        convert=Decimal,
        render=plain,
    )


def plain(number: Decimal) -> str:
    """The number without exponent, digits kept: ``0.10`` stays ``0.10``."""
    return f"{number:f}"


def number(value: float, places: int = 6) -> Decimal:
    """A finite number as the status keeps it: rounded to ``places`` digits after the point, at most 8.

    Raises:
        ValueError: not finite, or of 1e12 and more: such a value must stay absent.
    """
    rounded = Decimal(f"{value:.{places}f}") if math.isfinite(value) else None
    if rounded is None or abs(rounded) >= 10**12:
        raise ValueError(f"{value} cannot be written into a status")
    return rounded


_POSITIVE_BELOW_ONE = r"0\.[0-9]*[1-9][0-9]*"

Fraction = Annotated[
    Decimal,
    _number(rf"{_POSITIVE_BELOW_ONE}|1(\.0+)?", 'a fraction above 0 and at most 1, such as "0.05"'),
]
"""In (0, 1]."""

Share = Annotated[
    Decimal,
    _number(r"0(\.[0-9]+)?|1(\.0+)?", 'a fraction from 0 to 1, such as "0.1"'),
]
"""In [0, 1]."""

Distance = Annotated[
    Decimal,
    _number(_POSITIVE_BELOW_ONE, 'a fraction above 0 and below 1, such as "0.002" for 0.2 %'),
]
"""In (0, 1): a relative difference."""

Confidence = Annotated[
    Decimal,
    _number(r"0\.[5-9][0-9]*", 'a probability from 0.5 up to, but not including, 1, such as "0.95"'),
]
"""In [0.5, 1)."""

Level = Annotated[
    Decimal,
    _number(r"-?(0|[1-9][0-9]{0,11})(\.[0-9]{1,9})?", 'a decimal number, such as "0.46"'),
]
"""Any level of a metric."""

Number = Annotated[
    Decimal,
    _number(r"-?(0|[1-9][0-9]{0,11})(\.[0-9]{1,8})?", 'a decimal number, such as "0.4571"'),
]
"""A measured value in the status."""

Amount = Annotated[
    Decimal,
    _number(
        rf"[1-9][0-9]{{0,11}}(\.[0-9]{{1,6}})?|{_POSITIVE_BELOW_ONE}",
        'a decimal number above 0 with at most 12 digits before the point, such as "2.5"',
    ),
]
"""Above 0: money or device hours."""

Instant = Annotated[
    datetime,
    Formatted(
        pattern=r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})",
        max_length=32,
        allowed="an RFC 3339 time with its offset, such as 2001-01-31T00:00:00Z",
        hint="write date, T, time and Z (or an offset such as +02:00)",
        kind=datetime,
        convert=parse_time,
        render=format_time,
        format="date-time",
    ),
]
"""An instant; in UTC once read."""
