"""Which part of the negatives is scored, and what that is worth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataefficient.planner.stratified import ENOUGH, negatives, scored, variance

SHARES = st.floats(1e-6, 0.49)
MANY = 1e9


def test_all_are_scored_where_the_share_of_positives_is_not_known_or_large():
    assert negatives(None, MANY) == negatives(0.4, MANY) == negatives(0.9, MANY) == 1.0
    assert scored(0.2, 1.0) == scored(None, 1.0) == variance(0.2, 1.0) == 1.0


@given(SHARES)
def test_a_part_of_the_negatives_never_tells_more_than_all_and_never_costs_more(positives):
    part = negatives(positives, MANY)
    assert 0.0 < part <= 1.0
    assert scored(positives, part) <= 1.0 <= variance(positives, part) < 1.51


@given(SHARES)
def test_what_a_row_tells_for_its_cost_rises_as_positives_become_rare(positives):
    part = negatives(positives, MANY)
    worth = scored(positives, part) * variance(positives, part)
    assert worth <= 1.0 + 1e-9
    if positives < 0.03:
        assert worth < 0.15


@pytest.mark.parametrize("positives", [0.02, 0.1])
def test_the_variance_is_that_of_models_that_differ_in_log_odds(positives):
    """Residuals times a shift that does not depend on the label, each class estimated by itself."""
    random = np.random.default_rng(5)
    labels = random.random(2_000_000) < positives
    moved = random.normal(size=labels.size) * (positives - labels)
    part = negatives(positives, MANY)
    of_positives, of_negatives = moved[labels].var() * positives, moved[~labels].var() * (1.0 - positives)
    found = (of_positives + of_negatives / part) / (of_positives + of_negatives)
    assert variance(positives, part) == pytest.approx(found, rel=0.02)


@given(SHARES, st.floats(0.0, 1e8))
def test_of_few_rows_so_many_negatives_are_scored_that_every_block_has_some(positives, rows):
    part = negatives(positives, rows)
    assert part == 1.0 or part * rows >= 0.99 * ENOUGH
