"""Whether the operator reconciles, as it tells at the moment of the scrape."""

from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry

from dataefficient.telemetry.reconciling import Reconciling

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Process:
    def __init__(self):
        self.registry, self.leads, self.oldest = CollectorRegistry(), True, 0.0
        self.known = [("ads", "good", True), ("ads", "bad", False)]
        self.reconciling = Reconciling(
            self.registry,
            resync_seconds=600.0,
            oldest=lambda: self.oldest,
            accepted=lambda: self.known,
            leads=lambda: self.leads,
        )

    def get(self, name, **labels):
        return self.registry.get_sample_value(f"dataefficient_operator_{name}", labels)

    def refused(self, name):
        return self.get("refused", resource_namespace="ads", resource=name)


@pytest.fixture
def process():
    return Process()


def test_the_last_visit_is_absent_before_the_first(process):
    assert process.get("last_visit_timestamp_seconds") is None
    process.reconciling.visited(NOW)
    assert process.get("last_visit_timestamp_seconds") == NOW.timestamp()


def test_how_long_a_resource_waits_is_read_at_the_scrape(process):
    assert process.get("queue_oldest_seconds") == 0
    process.oldest = 7.5
    assert process.get("queue_oldest_seconds") == 7.5
    assert process.get("resync_seconds") == 600


def test_what_is_refused_is_told_by_the_leader_alone(process):
    assert (process.refused("good"), process.refused("bad")) == (0, 1)
    process.leads = False
    assert (process.refused("good"), process.refused("bad")) == (None, None)
