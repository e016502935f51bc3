import math
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from dataefficient_trainer.features import MISSING_TIME
from dataefficient_trainer.time_columns import microseconds


def read(values, kind=None, **how):
    """The times as text, None where there is none."""
    found = microseconds(pa.array(values, kind), **how)
    begin = datetime(1970, 1, 1, tzinfo=UTC)
    return [
        None if t == MISSING_TIME else f"{begin + timedelta(microseconds=int(t)):%FT%T.%f}"[:22]
        for t in found
    ]


def test_text_may_have_a_zone_or_none():
    zoned = ["2024-01-01T00:00:00+01:00", "2024-01-01 00:00:00.5-0530", "2024-01-01T01:00:00+01"]
    plain = ["2024-01-01T00:00Z", "2024-01-01 08:15", "2024-01-01"]
    odd = ["soon", "2024-01-01+01:00", "20240101", None]
    assert read([*zoned, *plain, *odd]) == [
        "2023-12-31T23:00:00.00",
        "2024-01-01T05:30:00.50",
        "2024-01-01T00:00:00.00",
        "2024-01-01T00:00:00.00",
        "2024-01-01T08:15:00.00",
        "2024-01-01T00:00:00.00",
        *[None] * 4,
    ]


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        ([1_709_251_217.25, math.nan, 1e300], "s"),
        ([1_709_251_217_250.0, None, math.inf], "ms"),
        (["1709251217.25", "soon", None], "s"),
        (["1709251217250", "", None], "ms"),
        ([1_709_251_217_250_000, None, None], "us"),
        ([1_709_251_217_250_000_123, None, None], "ns"),
    ],
)
def test_numbers_that_count_since_1970_may_be_whole_fractions_or_text(values, unit):
    assert read(values, unit=unit) == ["2024-03-01T00:00:17.25", None, None]


@pytest.mark.parametrize("values", [[9_010_503, 14_102_100, 99], ["09010503", "14102100", "soon"]])
def test_digits_are_read_in_a_form_with_the_zeros_that_numbers_lose(values):
    assert read(values, form="%y%m%d%H") == ["2009-01-05T03:00:00.00", "2014-10-21T00:00:00.00", None]


def test_a_dictionary_is_read_by_its_values():
    text = pa.array(["2024-01-01", None, "2024-01-02", "2024-01-01"]).dictionary_encode()
    assert microseconds(text).tolist() == microseconds(text.dictionary_decode()).tolist()


@pytest.mark.parametrize("kind", [pa.date32(), pa.timestamp("s"), pa.timestamp("ns", "Asia/Tokyo")])
def test_times_of_every_type_are_instants(kind):
    assert read([datetime(2024, 1, 1, tzinfo=UTC), None], kind) == ["2024-01-01T00:00:00.00", None]
