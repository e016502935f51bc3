"""What the plugin prints: whole into a pipe, fitting on a terminal, nothing that a terminal would act on."""

import json
import re
from io import StringIO

import pytest
import yaml
from rich.console import Console

from dataefficient.kubectl.page import Cell, Column, Page, fitting, write_as

COLUMNS = (Column("NAME"), Column("STATE"), Column("PLAN", 1), Column("SAVED", 9), Column("NOTE", 2))
ROWS = [
    [
        Cell("late-flights"),
        Cell("Operating", "green"),
        Cell("5 % Negatives, size 32"),
        Cell("12 %"),
        Cell(""),
    ],
    [Cell("clicks"), Cell("NotReady:RunFailed", "red"), Cell("all rows, size 8"), Cell("-"), Cell("")],
]
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def drawn(draw, **console):
    out = StringIO()
    draw(Page(Console(file=out, highlight=False, markup=False, emoji=False, soft_wrap=True, **console)))
    return out.getvalue()


def test_into_a_pipe_every_row_is_one_whole_line_without_colours():
    shown = drawn(lambda page: page.table(COLUMNS, ROWS), width=20, color_system=None)
    assert not ANSI.search(shown)
    assert [re.split(r"\s{3,}", line.strip()) for line in shown.splitlines()] == [
        ["NAME", "STATE", "PLAN", "SAVED"],
        ["late-flights", "Operating", "5 % Negatives, size 32", "12 %"],
        ["clicks", "NotReady:RunFailed", "all rows, size 8", "-"],
    ]


@pytest.mark.parametrize(
    ("width", "titles"),
    [
        (200, "NAME STATE PLAN SAVED"),
        (64, "NAME STATE PLAN"),
        (40, "NAME STATE"),
        (None, "NAME STATE PLAN SAVED"),
    ],
)
def test_a_narrow_terminal_gets_fewer_columns_the_least_important_gone_first(width, titles):
    assert [COLUMNS[i].title for i in fitting(COLUMNS, ROWS, width)] == titles.split()


def test_a_column_that_is_empty_in_every_row_is_left_out():
    assert "NOTE" not in drawn(lambda page: page.table(COLUMNS, ROWS), width=200)


def test_no_line_is_wider_than_the_terminal():
    long = "the trainer's own words " * 20

    def draw(page):
        page.labelled("Attention", long)
        page.line(long)
        page.table(COLUMNS, [[Cell(long), Cell(long), Cell(""), Cell(""), Cell("")]])

    for width in (40, 60, 100):
        shown = ANSI.sub("", drawn(draw, width=width, force_terminal=True))
        assert max(map(len, shown.splitlines())) <= width


def test_what_a_terminal_would_act_on_is_taken_out():
    nasty = "red \x1b[31malert\x1b[0m \x07 and\na line"
    shown = drawn(lambda page: page.labelled("Why", nasty), width=80, color_system=None)
    assert shown == "Why         red [31malert[0m  and a line\n"


def test_documents_are_json_or_yaml_of_the_same_content(capsys):
    body = {"name": "späte-flüge", "cycles": [1, 2], "note": None}
    for form, read in (("json", json.loads), ("yaml", yaml.safe_load)):
        write_as(form, body)
        shown = capsys.readouterr().out
        assert read(shown) == body
        assert "späte-flüge" in shown
