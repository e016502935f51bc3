"""The savings report: what a resource achieved, what it cost, and how sure that is.

``build`` reads a work folder, ``build_from_cluster`` what a cluster keeps; ``text.render`` and
``html.render`` show what was found.
"""

from dataefficient.report.assemble import build, build_from_cluster, build_statement
from dataefficient.report.statement import Statement

__all__ = ["Statement", "build", "build_from_cluster", "build_statement"]
