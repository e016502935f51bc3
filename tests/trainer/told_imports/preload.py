"""As the trainer's own, with a note of what is there afterwards."""

import sys

from dataefficient_trainer import preload

there = frozenset(sys.modules)
__all__ = ["preload", "there"]
