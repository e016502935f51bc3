"""The base of all API models, and rules that hold between fields.

A rule is written once with both of its halves: the check that runs here and, where the API server can
hold it too, the CEL expression that goes into the CRD. It is not a validation framework: what one field
can say alone is said by its type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, to_jsonable_python


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
    path: str = ""
    """Field to blame, such as ``.keep``; empty: the model as a whole."""

    def schema(self) -> dict[str, str]:
        """The entry of ``x-kubernetes-validations``."""
        blame = {"fieldPath": self.path} if self.path else {}
        return {"rule": self.rule, "message": self.message, **blame}


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
    )

    rules: ClassVar[tuple[Rule, ...]] = ()

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        body = handler.resolve_ref_schema(handler(schema))
        for field in cls.model_fields.values():
            if field.default_factory is not None:
                # In full, because the API server holds a default against the rules before it fills it in.
                default = to_jsonable_python(field.get_default(call_default_factory=True), by_alias=True)
                body["properties"][field.alias]["default"] = default
        if validations := [rule.cel.schema() for rule in cls.rules if rule.cel]:
            body["x-kubernetes-validations"] = validations
        return body

    @model_validator(mode="after")
    def _hold_rules(self) -> Self:
        problems = [p for rule in self.rules if rule.check for p in rule.check(self)]
        if problems:
            text = "; ".join(f"{'.'.join(map(str, p.path))}: {p.allowed}; {p.hint}" for p in problems)
            raise PydanticCustomError("rules", "{text}", {"text": text, "problems": tuple(problems)})
        return self
