"""The key figures at the head of the page: in words, with their interval, and against what."""

import pytest

from dataefficient.report import words
from dataefficient.report.statement import Estimate
from dataefficient.report.tiles import against, tiles
from report import made_up
from report.test_rendering import made


@pytest.mark.parametrize(
    ("saved", "told"),
    [
        (Estimate(0.24, 0.22, 0.25), ("24 % less", "22 to 25 % less")),
        (Estimate(-0.30, -0.56, -0.04), ("30 % more", "4 to 56 % more")),
        (Estimate(0.004, -0.327, 0.334), ("about as much", "33 % more to 33 % less")),
        (Estimate(0.05, 0.045, 0.055), ("5.0 % less", "4.5 to 5.5 % less")),
        (Estimate(0.24), ("24 % less", "")),
    ],
)
def test_compute_is_less_or_more_and_never_a_negative_saving(saved, told):
    assert words.change(saved) == told


@pytest.mark.parametrize(
    ("saved", "told"),
    [
        (Estimate(12.4, 10.0, 15.0), ("12.40 USD saved", "10.00 to 15.00 saved")),
        (Estimate(-0.5, -0.9, -0.1), ("0.50 USD more", "0.10 to 0.90 more")),
        (Estimate(1.0, -1.0, 3.0), ("1.00 USD saved", "1.00 more to 3.00 saved")),
        (Estimate(2.0), ("2.00 USD saved", "")),
    ],
)
def test_money_is_saved_or_more(saved, told):
    assert words.gain(saved, "USD") == told


def test_quality_is_worse_better_or_the_same():
    assert [words.worse(Estimate(x)) for x in (0.0007, -0.0123, 0.00001)] == [
        "0.07 % worse",
        "1.23 % better",
        "the same",
    ]


def test_the_figures_name_the_control_and_the_cycles_that_it_covered():
    statement = made()
    assert against(statement) == "Against all rows, largest size, measured over cycles 0–8:"
    compute, steady, money, quality = tiles(statement)
    assert [t.label for t in (compute, steady, money)] == [
        "Compute, whole life",
        "Compute, steady state",
        "Money, whole life",
    ]
    assert compute.value.endswith("less")
    assert money.value.endswith("USD saved")
    assert quality.label == "Log loss, whole life"
    assert "0.5 % allowed; above zero is worse" in quality.detail


def test_without_a_control_and_without_costs_every_figure_says_why_it_is_missing():
    statement = made(controls=[])
    assert against(statement) == ""
    compute, steady, money, _ = tiles(statement)
    for tile in (compute, steady, money):
        assert (tile.value, tile.measured) == ("not measured", False)
        assert tile.interval == "run with --control"


def test_without_a_price_no_money_is_stated():
    text = made_up.YAML.replace(', pricePerDeviceHour: "0.04"', "")
    money = tiles(made(resource=made_up.resource(text)))[2]
    assert (money.value, money.interval) == ("not measured", "the resource gives no price")
