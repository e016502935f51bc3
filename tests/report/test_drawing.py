from itertools import pairwise
from xml.etree import ElementTree

import pytest

from dataefficient.report import words
from dataefficient.report.cycle_plots import cycle_ticks
from dataefficient.report.statement import Estimate
from dataefficient.report.svg import Canvas, Frame, Scale, log_ticks, nice_ticks


def test_scales_map_ends_to_ends():
    linear, log = Scale(10, 20, 0, 100), Scale(1, 100, 0, 100, log=True)
    assert (linear(10), linear(15), linear(20)) == (0, 50, 100)
    assert log(10) == pytest.approx(50)
    assert Scale(3, 3, 0, 100)(3) == 50


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-0.3, 0.7), (0.4512, 0.4731), (0, 8.3e6)])
def test_ticks_are_round_and_inside(low, high):
    ticks = nice_ticks(low, high, 5)
    assert 3 <= len(ticks) <= 11
    assert all(low - 1e-9 <= t <= high * (1 + 1e-9) for t in ticks)
    steps = {round((b - a) / (ticks[1] - ticks[0]), 6) for a, b in pairwise(ticks)}
    assert steps == {1.0}


def test_log_ticks_are_thinned():
    assert log_ticks(30_000, 1_100_000, 8) == [50_000, 100_000, 200_000, 500_000, 1_000_000]
    assert log_ticks(1, 1e6, 4) == [1, 10, 100, 1e3, 1e4, 1e5, 1e6]


def test_long_lives_do_not_name_every_cycle():
    ticks = cycle_ticks(list(range(200)), 8)
    assert len(ticks) <= 11
    assert cycle_ticks([1, 2, 3], 8) == [(1, "1"), (2, "2"), (3, "3")]


def test_marks_carry_tooltips_and_no_colour():
    canvas = Canvas(Frame(100, 50), "c")
    canvas.point((1.25, 2), "s1", "a < b & c")
    root = ElementTree.fromstring(canvas.render("T", "D"))
    mark = root.find("circle")
    assert mark.find("title").text == "a < b & c"
    assert set(mark.attrib) == {"class", "cx", "cy", "r"}


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (words.compute(7.04), "7.0 s"),
        (words.compute(270), "4.5 min"),
        (words.compute(7200), "2.0 h"),
        (words.compute(-30), "−30 s"),
        (words.money(0.00256, "USD"), "0.0026 USD"),
        (words.money(12.5, "EUR"), "12.50 EUR"),
        (words.money(0.0, "EUR"), "0.00 EUR"),
        (words.rows(410_000), "410 k"),
        (words.rows(3_000_000), "3.00 M"),
        (words.rows(999), "999"),
        (words.rows(None), "–"),
        (words.difference(-0.00001), "0.00 %"),
        (words.difference(0.0012), "+0.12 %"),
        (words.share(0.0512), "5.1 %"),
        (words.share_interval(Estimate(0.62, 0.55, 0.68)), "62 % (55 to 68)"),
        (words.share_interval(Estimate(0.62)), "62 %"),
        (words.difference_interval(Estimate(0.0003, -0.0002, 0.0008)), "+0.03 % (−0.02 to +0.08)"),
        (words.difference_interval(None), "–"),
        (words.span((1, 2, 3)), "cycles 1–3"),
        (words.span((1, 3)), "cycles 1, 3"),
        (words.span((4,)), "cycle 4"),
    ],
)
def test_figures_read_as_people_write_them(shown, expected):
    assert shown == expected
