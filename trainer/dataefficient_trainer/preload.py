"""What every run imports, for a process that forks runs: it starts no thread and touches no device."""

import fsspec.implementations.local
import numpy.ctypeslib
import numpy.ma
import numpy.random

from dataefficient_trainer import checkpoint, launch, onepass

__all__ = ["checkpoint", "fsspec", "launch", "numpy", "onepass"]
