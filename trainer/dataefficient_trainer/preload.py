"""What every run imports, for a process that forks runs: it starts no thread and touches no device."""

from dataefficient_trainer import checkpoint, launch, onepass

__all__ = ["checkpoint", "launch", "onepass"]
