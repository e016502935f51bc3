"""Every world that the alerts are tested on."""

from __future__ import annotations

from rules.case import Case
from rules.cost_cases import COST
from rules.operator_cases import OPERATOR
from rules.quality_cases import QUALITY
from rules.state_cases import STATE

CASES: tuple[Case, ...] = (*OPERATOR, *STATE, *QUALITY, *COST)
