from datetime import UTC, datetime

import pytest

from dataefficient.api.conditions import (
    REASONS,
    ConditionStatus,
    ConditionType,
    Reason,
    first_conditions,
    with_condition,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = datetime(2026, 1, 2, tzinfo=UTC)


def met(conditions, now, *, status=ConditionStatus.TRUE, message="Met.", generation=1):
    return with_condition(
        conditions, ConditionType.TARGET_MET, status, Reason.MET, message, generation=generation, now=now
    )


def test_the_first_visit_sets_every_condition():
    assert [c.type for c in first_conditions(3, NOW)] == list(ConditionType)
    assert {c.status for c in first_conditions(3, NOW)} == {ConditionStatus.UNKNOWN}


def test_the_transition_time_moves_when_the_status_changes():
    (changed,) = [c for c in met(first_conditions(1, NOW), LATER) if c.type is ConditionType.TARGET_MET]
    assert changed.last_transition_time == LATER


def test_the_transition_time_stays_when_only_the_words_change():
    (changed,) = met(met((), NOW), LATER, message="Still met.")
    assert (changed.last_transition_time, changed.message) == (NOW, "Still met.")


def test_setting_the_same_again_changes_nothing():
    conditions = met(first_conditions(1, NOW), NOW)
    assert met(conditions, LATER) == conditions


def test_the_order_does_not_depend_on_what_was_set_last():
    assert [c.type for c in met(first_conditions(1, NOW), LATER)] == list(ConditionType)


def test_a_reason_of_another_condition_is_refused():
    with pytest.raises(ValueError, match="reason"):
        with_condition((), ConditionType.READY, ConditionStatus.TRUE, Reason.MET, "", generation=1, now=NOW)


def test_a_long_message_is_cut():
    (condition,) = met((), NOW, message="x" * 5000)
    assert len(condition.message) == 1024


def test_every_reason_belongs_to_some_condition():
    assert set(Reason) == set().union(*REASONS.values())
