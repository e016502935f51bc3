"""The trainer contract's messages, from the dataclasses that both sides share."""

import ast
import enum
import inspect
import re
from dataclasses import MISSING, Field, fields

from markdown import GENERATED, document, prose, table

from dataefficient import contract
from dataefficient.contract import messages

REQUEST = (contract.RunRequest, contract.Data, contract.Train, contract.Evaluation, contract.Scales)
REPORT = (
    contract.RunReport,
    contract.Rows,
    contract.Seconds,
    contract.Evaluated,
    contract.Scored,
    contract.Slice,
)
SHARED = (contract.CheckpointRef,)
ENUMS = (contract.Policy, contract.Role, contract.ExitCode)
LIMITS = ("MAX_REPORT_BYTES", "MAX_BLOCKS", "MIN_PAIRED_BLOCKS", "MAX_FROZEN", "MAX_SLICES")


def page() -> str:
    """The page of the contract."""
    return document(
        "# The contract's messages",
        GENERATED.format(source="operator/dataefficient/contract"),
        "Fields as they stand in the JSON. What a trainer must do with them is told in "
        "[the trainer contract](../trainer-contract.md).",
        f"`version` is `{contract.VERSION}` in both messages.",
        "## The request",
        *(_message(kind) for kind in REQUEST),
        "## The report",
        *(_message(kind) for kind in REPORT),
        "## In both",
        *(_message(kind) for kind in SHARED),
        "## Values",
        *(_values(kind) for kind in ENUMS),
        "## Limits",
        table(("limit", "value"), ((f"`{name}`", str(getattr(messages, name))) for name in LIMITS)),
    )


def _message(kind: type) -> str:
    told = _told(kind)
    rows = [
        (f"`{_camel(f.name)}`", f"*{_type(f.type)}{_default(f)} {told.get(f.name, '')}") for f in fields(kind)
    ]
    return document(
        f"### {kind.__name__}", prose(_clean(kind.__doc__ or "")), table(("field", "meaning"), rows)
    ).rstrip()


def _values(kind: type[enum.Enum]) -> str:
    told = _told(kind)
    rows = [(f"`{one.value}`", told.get(one.name, "").strip() or one.name) for one in kind]
    return document(
        f"### {kind.__name__}", prose(_clean(kind.__doc__ or "")), table(("value", "meaning"), rows)
    ).rstrip()


def _told(kind: type) -> dict[str, str]:
    """The text that follows each field or value."""
    (body,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(body, ast.ClassDef)
    found, name = {}, ""
    for line in body.body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            name = line.target.id
        elif isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
            name = line.targets[0].id
        elif isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) and name:
            found[name] = prose(_clean(str(line.value.value)))
    return found


def _clean(text: str) -> str:
    return re.sub(r"``([^`]+)``", r"`\1`", " ".join(text.split()))


_NAMES = tuple(kind.__name__ for kind in (*REQUEST, *REPORT, *SHARED, *ENUMS))
_WORDS = (
    (r"tuple\[(\w+), \.\.\.\]", r"list of \1"),
    (r"Mapping\[str, Any\]", "object"),
    (r"Mapping\[str, (\w+)\]", r"object of \1"),
    (r"\bstr\b", "string"),
    (r"\bint\b", "integer"),
    (r"\bfloat\b", "number"),
    (r"\bdatetime\b", "time"),
    (r" \| None", " or null"),
)


def _type(kind: object) -> str:
    assert isinstance(kind, str), "annotations are not evaluated"
    for pattern, words in _WORDS:
        kind = re.sub(pattern, words, kind)
    return re.sub(rf"\b({'|'.join(_NAMES)})\b", lambda name: f"[{name[0]}](#{name[0].lower()})", kind)


def _default(field: Field[object]) -> str:
    if field.default is MISSING and field.default_factory is MISSING:
        return ".* **Required.**"
    shown = isinstance(field.default, str | int | float)
    return f", default `{field.default}`.*" if shown else ".*"


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)
