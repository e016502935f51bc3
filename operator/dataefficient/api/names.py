"""Text types of the API: names, columns, addresses, queries, and their bounds.

Every string is bounded, because the API server prices its rules by the largest object that the schema
allows. Decimal numbers and instants are in ``quantity``.
"""

from __future__ import annotations

from typing import Annotated

from dataefficient.api.quantity import Formatted

MAX_NAME = 40
"""A child's name appends a hash of the UID, cycle, run and attempt, and must stay within 63."""

QUERY_VARIABLES = ("namespace", "name", "cycle", "run", "digest", "windowSeconds")
"""What ``${...}`` may name in a query; each is escaped as a label value."""

Name = Annotated[
    str,
    Formatted(
        pattern=r"[a-z]([-a-z0-9]*[a-z0-9])?",
        max_length=MAX_NAME,
        allowed="lower-case letters, digits and '-', starting with a letter and not ending with '-'",
        hint="choose a DNS label such as late-flights",
    ),
]
"""A DNS label (RFC 1035) short enough for the names of the resource's children."""

Label = Annotated[
    str,
    Formatted(
        pattern=r"[a-z0-9]([-a-z0-9]*[a-z0-9])?",
        max_length=63,
        allowed="a DNS label: lower-case letters, digits and '-'",
        hint="choose a name such as a100",
    ),
]
"""A DNS label of up to 63 characters."""

Column = Annotated[
    str,
    Formatted(
        pattern=r"[^\x00-\x1f]+",
        max_length=128,
        allowed="the name of a column",
        hint="write the column's name as it stands in the data",
    ),
]

Uri = Annotated[
    str,
    Formatted(
        pattern=r"[^\x00-\x20]([^\x00-\x1f]*[^\x00-\x20])?",
        max_length=1024,
        allowed="a path, or any address that fsspec reads, such as s3://bucket/clicks/",
        hint="write the path or address without blanks around it",
    ),
]

CheckpointUri = Annotated[
    str,
    Formatted(
        pattern=r"[^\x00-\x20]([^\x00-\x1f]*[^\x00-\x20])?",
        max_length=256,
        allowed="a folder, or any address that fsspec writes, such as s3://bucket/checkpoints",
        hint="write the path or address without blanks around it",
    ),
]
"""Shorter than other addresses, since the status repeats it for every checkpoint that is kept."""

HttpAddress = Annotated[
    str,
    Formatted(
        pattern=r"https?://[^\x00-\x20/?#@]+(/[^\x00-\x20?#]*)?",
        max_length=512,
        allowed="an http or https address without user, query or fragment",
        hint="write it like http://prometheus:9090",
    ),
]

_QUERY_PART = r"([^$]|\$+(\{(" + "|".join(QUERY_VARIABLES) + r")\}|[^{$]|$))"
_QUERY = "a PromQL query with no variables but " + " ".join(f"${{{v}}}" for v in QUERY_VARIABLES)

Query = Annotated[
    str,
    Formatted(
        pattern=rf"{_QUERY_PART}*",
        max_length=2048,
        allowed=_QUERY,
        hint="remove or correct the other ${...}",
    ),
]
"""PromQL; empty: none."""

GivenQuery = Annotated[
    str,
    Formatted(
        pattern=rf"{_QUERY_PART}+",
        max_length=2048,
        allowed=_QUERY,
        hint="write a query, and remove or correct any other ${...}",
    ),
]
"""PromQL that must be there."""

SecretName = Annotated[
    str,
    Formatted(
        pattern=r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*",
        max_length=253,
        allowed="the name of a Secret: lower-case letters, digits, '-' and '.'",
        hint="write the name alone, such as prometheus-access",
    ),
]

ComparabilityKey = Annotated[
    str,
    Formatted(
        pattern=r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?",
        max_length=63,
        allowed="letters, digits, '-', '_' and '.', starting and ending with a letter or digit",
        hint="write a version such as v2.1",
    ),
]

Currency = Annotated[
    str,
    Formatted(
        pattern=r"[A-Z]{3}",
        max_length=3,
        allowed="an ISO 4217 code of three capital letters",
        hint="write it like USD",
    ),
]

TimeZone = Annotated[
    str,
    Formatted(
        pattern=r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}",
        max_length=64,
        allowed="a time zone of the IANA database",
        hint="write it like Europe/Berlin or Etc/UTC",
    ),
]

Cron = Annotated[
    str,
    Formatted(
        pattern=r"[^\x00-\x20]+( [^\x00-\x20]+){4}",
        max_length=128,
        allowed="a cron expression of five fields: minute, hour, day of month, month, day of week",
        hint='write it like "0 4 * * 1"',
    ),
]
