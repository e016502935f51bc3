"""The base of all API models, and rules that hold between fields.

A rule is written once with both of its halves: the check that runs here and, where the API server can
hold it too, the CEL expression that goes into the CRD. It is not a validation framework: what one field
can say alone is said by its type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError


@dataclass(frozen=True)
class Problem:
    """One broken rule. ``path`` is relative to the model that holds the rule, in the file's names."""

    path: tuple[str | int, ...]
    value: object
    allowed: str
    hint: str


@dataclass(frozen=True)
class Cel:
    """The API server's half of a rule, evaluated with ``self`` at the model (``oldSelf`` before an edit)."""

    rule: str
    message: str


@dataclass(frozen=True)
class Rule:
    """What must hold between the fields ``needs`` (Python names) of one model.

    ``check`` reads only those fields, so it can be run while others are still wrong. Without ``cel`` the
    API server cannot see the rule and the condition Accepted says it instead; without ``check`` it
    compares an edit with what was there before, which only the API server knows.
    """

    needs: tuple[str, ...]
    check: Callable[[Any], Iterable[Problem]] | None = None
    cel: Cel | None = None


class Model(BaseModel):
    """Strict, frozen, camelCase outside and snake_case inside; an unknown field is an error."""

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        use_attribute_docstrings=False,
    )

    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _hold_rules(self) -> Self:
        problems = [p for rule in self.rules if rule.check for p in rule.check(self)]
        if problems:
            text = "; ".join(f"{'.'.join(map(str, p.path))}: {p.allowed}; {p.hint}" for p in problems)
            raise PydanticCustomError("rules", "{text}", {"text": text, "problems": tuple(problems)})
        return self
