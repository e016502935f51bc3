import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from dataefficient.contract import Slice
from dataefficient.cycle.machine import begin
from dataefficient.cycle.model import FailureKind, Step, Stopped
from dataefficient.report import build_statement, html, text
from report import made_up

HOSTILE = "</style><script>alert(1)</script>\"'&\x00\x1b[31m"
FIGURES = ("spend", "total", "gap", "level", "curve", "rates", "surface")


def made(memory=None, controls=None, resource=None, runs=None):
    return build_statement(
        resource or made_up.resource(),
        memory or made_up.memory(),
        made_up.ours() if runs is None else runs,
        made_up.controls() if controls is None else controls,
    )


def first_cycle_only():
    memory = made_up.memory()
    return made(
        replace(memory, history=memory.history[:1], contrasts=(), convergence=None), runs=made_up.ours()[:1]
    )


def skipped():
    memory = made_up.memory()
    history = list(memory.history)
    history[3] = replace(history[3], plan=None, kpi=None, gate=None, runs=(), notes=("No row: skipped",))
    return made(replace(memory, history=tuple(history)))


def stopped():
    memory = made_up.memory()
    message = Stopped(FailureKind.CRASHED.value, "the trainer crashed", Step.TRAINING)
    return made(replace(memory, step=Step.STOPPED, stopped=message))


def without_target_price_and_tolerance():
    plain = made_up.YAML.replace(', pricePerDeviceHour: "0.04"', "").replace(', tolerance: "0.005"', "")
    return made(resource=made_up.resource(plain))


STATES = {
    "whole": made,
    "no control": lambda: made(controls=[]),
    "one control": lambda: made(controls=made_up.controls()[1:]),
    "never ran": lambda: made(begin("default/late-flights"), [], runs=[]),
    "first cycle only": first_cycle_only,
    "skipped": skipped,
    "stopped": stopped,
    "no price": without_target_price_and_tolerance,
}


@pytest.fixture(params=STATES, scope="module")
def statement(request):
    return STATES[request.param]()


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_text_fits_the_width(statement, width):
    shown = text.render(statement, width)
    assert max(len(line) for line in shown.splitlines()) <= width
    assert "…" not in shown


def test_no_missing_value_becomes_a_number_or_a_word(statement):
    for shown in (
        text.render(statement, 80),
        re.sub(r"<style>.*?</style>", "", html.render(statement), flags=re.S),
    ):
        visible = re.sub(r' class="[^"]*"| fill="none"', "", shown)
        assert not re.search(r"\b(nan|None|inf|Infinity|undefined|NaN)\b", visible)


def test_rendering_is_deterministic(statement):
    assert html.render(statement) == html.render(statement)
    assert text.render(statement, 80) == text.render(statement, 80)


def test_every_plot_is_there_or_says_why_not(statement):
    page = html.render(statement)
    for name in FIGURES:
        figure = re.search(rf'<figure id="{name}".*?</figure>', page, flags=re.S)
        assert figure is not None, name
        drawings = figure.group().count('<svg class="plot')
        assert drawings == 2 or 'class="empty"' in figure.group(), name


def test_drawings_are_valid_xml_with_a_title_and_ids_are_unique(statement):
    page = html.render(statement)
    for drawing in re.findall(r'<svg class="plot.*?</svg>', page, flags=re.S):
        root = ElementTree.fromstring(drawing)
        assert root.find("title").text
        assert root.find("desc").text
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_marks_stay_inside_their_drawing():
    for drawing in re.findall(r'<svg class="plot.*?</svg>', html.render(made()), flags=re.S):
        root = ElementTree.fromstring(drawing)
        width, height = (float(v) for v in root.get("viewBox").split()[2:])
        for mark in root.iter():
            for axis, limit in (("x", width), ("cx", width), ("y", height), ("cy", height)):
                if mark.tag != "pattern" and mark.get(axis) is not None:
                    assert -1 <= float(mark.get(axis)) <= limit + 1, ElementTree.tostring(mark)


class Balance(HTMLParser):
    def __init__(self):
        super().__init__()
        self.stack = []

    def handle_starttag(self, tag, attrs):
        if tag != "meta":
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag


def test_the_page_is_well_formed_and_reaches_for_nothing(statement):
    page = html.render(statement)
    parser = Balance()
    parser.feed(page)
    assert parser.stack == []
    assert not re.search(r"\b(src|href|srcset|action)\s*=", page)
    assert not re.search(r"@import|url\((?!#)", page)
    assert "http:" not in page
    assert "https:" not in page
    assert "<script" not in page


def test_hostile_names_are_shown_and_not_run():
    clean = made()
    plain = replace(clean.cycles[0], reason=HOSTILE, notes=(HOSTILE,))
    hostile = replace(
        clean,
        resource=HOSTILE,
        state=HOSTILE,
        stream=replace(clean.stream, uri=HOSTILE, label=HOSTILE, key=(HOSTILE,)),
        aim=replace(clean.aim, device=HOSTILE, currency=HOSTILE, metric=HOSTILE),
        cycles=(plain, *clean.cycles[1:]),
        surface=replace(clean.surface, cells=tuple(replace(c, verdict=HOSTILE) for c in clean.surface.cells)),
    )
    page = html.render(hostile)
    assert "<script" not in page
    assert "\x00" not in page
    assert "\x1b" not in page
    assert "&lt;script&gt;alert(1)" in page
    for drawing in re.findall(r'<svg class="plot.*?</svg>', page, flags=re.S):
        ElementTree.fromstring(drawing)
    shown = text.render(hostile, 80)
    assert "\x1b" not in shown
    assert "\x00" not in shown


def test_both_controls_are_always_printed(statement):
    for shown in (text.render(statement, 140), html.render(statement)):
        assert "all rows, largest size" in shown
        assert "all rows, right-sized model" in shown


def test_a_control_that_was_not_run_says_what_to_do():
    found = made(controls=[])
    assert text.render(found, 140).count("not measured: run with --control") == 2
    assert "not measured" in html.render(found)
    assert "run with --control" in html.render(found)


def test_text_ends_with_convergence_cycles_and_savings():
    shown = text.render(made(), 140)
    for part in (
        "Data convergence: 410 k rows, 80 % interval 250 k to 520 k",
        "46.0 % (45.8 to 46.2)",
        "0.46100",
    ):
        assert part in shown


def test_cycles_that_decided_the_same_are_told_together():
    assert [cycles for cycles, _ in text.decisions(made())] == [(0, 1), (2,), (3, 4, 5, 6, 7, 8)]


def test_values_are_told_where_the_resource_asks_for_them():
    memory = made_up.memory()
    parts = (Slice("origin", "O'Hare", 1_000, 505.0, 500.0, 4.0), Slice("origin", "JFK", 900, 400.0))
    memory = replace(memory, history=(*memory.history[:-1], replace(memory.history[-1], slices=parts)))
    asking = made_up.resource(
        made_up.YAML.replace('tolerance: "0.005"', 'tolerance: "0.005", slices: [origin]')
    )
    page = html.render(made(memory, resource=asking))
    assert f"By value, in cycle {memory.history[-1].cycle}" in page
    told = re.findall(r'<th scope="row">origin (.*?)</th>(.*?)</tr>', page)
    cells = {value: re.findall(r"<td.*?>(.*?)</td>", rest) for value, rest in told}
    assert cells == {
        "O&#x27;Hare": ["1,000", "0.50500", "+1.00 %", "0.80 %"],
        "JFK": ["900", "0.44444", "–", "–"],
    }
    assert "By value" not in html.render(made(memory))


def test_a_statement_bears_its_date_only_where_one_is_given():
    dated = replace(made(), written=datetime(2026, 3, 4, tzinfo=UTC))
    assert "written 2026-03-04" in html.render(dated)
    assert "written" not in html.render(made()).partition("<h1>")[0]
