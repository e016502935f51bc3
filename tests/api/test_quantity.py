import math
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from dataefficient.api.quantity import (
    Amount,
    Confidence,
    Distance,
    Fraction,
    Instant,
    Level,
    Number,
    Share,
    number,
)

KINDS = {
    "Fraction": Fraction,
    "Share": Share,
    "Distance": Distance,
    "Confidence": Confidence,
    "Level": Level,
    "Amount": Amount,
}


@pytest.mark.parametrize(
    ("kind", "accepted", "refused"),
    [
        (
            "Fraction",
            ["0.05", "1", "1.00", "0.000001"],
            ["0", "0.0", "1.01", ".5", "01", "+0.5", "5e-1", "1.", "٠.٥"],
        ),
        ("Share", ["0", "0.0", "0.1", "1"], ["-0.1", "1.1", "2"]),
        ("Distance", ["0.001"], ["0", "1", "1.0", "0.000"]),
        ("Confidence", ["0.5", "0.95", "0.99999"], ["0.49", "1", "0.4999"]),
        (
            "Level",
            ["0", "-1.5", "999999999999", "0.46"],
            ["", "abc", "NaN", "Infinity", "1,5", "1_000", "0.46\n"],
        ),
        ("Amount", ["2.21", "0.01", "100"], ["0", "0.00", "-1", "1000000000000"]),
    ],
)
def test_a_kind_of_number_accepts_its_range_alone(kind, accepted, refused):
    adapter = TypeAdapter(KINDS[kind])
    for text in accepted:
        assert adapter.validate_python(text) == Decimal(text)
    for text in refused:
        with pytest.raises(ValidationError):
            adapter.validate_python(text)


@pytest.mark.parametrize("value", [0.5, 1, True, None, ["0.5"]])
def test_only_a_string_stands_for_a_number(value):
    with pytest.raises(ValidationError):
        TypeAdapter(Fraction).validate_python(value)


def test_a_decimal_of_the_program_is_held_to_the_same_range():
    assert TypeAdapter(Fraction).validate_python(Decimal("0.5")) == Decimal("0.5")
    with pytest.raises(ValidationError):
        TypeAdapter(Fraction).validate_python(Decimal("1.5"))


@settings(deadline=None)
@given(st.decimals(min_value="0.000000001", max_value=1, places=9))
def test_a_fraction_survives_writing_and_reading(value):
    adapter = TypeAdapter(Fraction)
    assert adapter.validate_json(adapter.dump_json(value)) == value


@settings(deadline=None)
@given(
    st.floats(min_value=-999_999_999_999, max_value=999_999_999_999), st.integers(min_value=0, max_value=8)
)
def test_any_finite_measurement_can_be_written_into_a_status(value, places):
    written = number(value, places)
    assert TypeAdapter(Number).validate_python(written) == written
    assert abs(float(written) - value) <= 0.5 * 10**-places + abs(value) * 1e-12


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e12])
def test_a_measurement_that_is_no_number_cannot_be_written(value):
    with pytest.raises(ValueError, match="cannot be written"):
        number(value)


def test_an_instant_is_in_utc_and_keeps_its_moment():
    adapter = TypeAdapter(Instant)
    assert (
        adapter.dump_json(adapter.validate_python("2001-03-01T02:30:00.5+02:00"))
        == b'"2001-03-01T00:30:00.500000Z"'
    )


@pytest.mark.parametrize(
    "text", ["2001-03-01", "2001-03-01T00:00:00", "2001-13-01T00:00:00Z", 983404800, "now"]
)
def test_a_time_without_offset_or_of_another_form_is_refused(text):
    with pytest.raises(ValidationError):
        TypeAdapter(Instant).validate_python(text)
