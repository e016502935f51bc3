"""The trainer contract: what one run is given and what it gives back.

A run is one launch of a trainer, any program in any language. It reads a request (JSON, the file
named by ``DATAEFFICIENT_REQUEST``), trains and scores as asked, and writes a report (compact JSON of
at most 3,072 bytes, the file named by ``DATAEFFICIENT_REPORT``). The prose version with examples is
``docs/trainer-contract.md``.

This package is the only one that trainer and operator share. It imports the standard library alone,
so a trainer may vendor it. It is not the resource's schema (``dataefficient.api``) and decides nothing.
"""

from dataefficient.contract.codec import (
    MAX_INTEGER,
    ContractError,
    decode,
    encode,
    format_time,
    parse_time,
)
from dataefficient.contract.messages import (
    MAX_BLOCKS,
    MAX_FROZEN,
    MAX_REPORT_BYTES,
    MAX_RIDERS,
    MAX_SLICES,
    METRICS_PORT_VARIABLE,
    MIN_PAIRED_BLOCKS,
    PROGRESS_VARIABLE,
    REPORT_VARIABLE,
    REQUEST_VARIABLE,
    RESERVED_NAMES,
    VERSION,
    CheckpointRef,
    Data,
    Evaluated,
    Evaluation,
    ExitCode,
    Policy,
    Role,
    Rows,
    RunReport,
    RunRequest,
    Scales,
    Scored,
    Seconds,
    Slice,
    Train,
)
from dataefficient.contract.reading import (
    parse_report,
    parse_request,
    to_json,
)

__all__ = [
    "MAX_BLOCKS",
    "MAX_FROZEN",
    "MAX_INTEGER",
    "MAX_REPORT_BYTES",
    "MAX_RIDERS",
    "MAX_SLICES",
    "METRICS_PORT_VARIABLE",
    "MIN_PAIRED_BLOCKS",
    "PROGRESS_VARIABLE",
    "REPORT_VARIABLE",
    "REQUEST_VARIABLE",
    "RESERVED_NAMES",
    "VERSION",
    "CheckpointRef",
    "ContractError",
    "Data",
    "Evaluated",
    "Evaluation",
    "ExitCode",
    "Policy",
    "Role",
    "Rows",
    "RunReport",
    "RunRequest",
    "Scales",
    "Scored",
    "Seconds",
    "Slice",
    "Train",
    "decode",
    "encode",
    "format_time",
    "parse_report",
    "parse_request",
    "parse_time",
    "to_json",
]
