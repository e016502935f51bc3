"""The savings report: what a resource achieved, what it cost, and how sure that is.

``build`` reads a work folder, ``text.render`` and ``html.render`` show what it found.
"""

from dataefficient.report.assemble import build, build_statement
from dataefficient.report.statement import Statement

__all__ = ["Statement", "build", "build_statement"]
