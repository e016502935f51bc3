import json
import re

import pytest
from rich.console import Console

from dataefficient.contract import Policy, encode
from dataefficient.estimate import page
from dataefficient.estimate.findings import Converged, Status, findings, history
from dataefficient.estimate.html import render
from dataefficient.estimate.plan import Arm
from dataefficient.estimate.verdict import Answer, judge
from estimate.made_up import days, facts, results

HALF = Arm(policy=Policy.NEGATIVES, rate=0.5)
QUARTER = Arm(policy=Policy.NEGATIVES, rate=0.25)
TENTH = Arm(policy=Policy.NEGATIVES, rate=0.1)
SMALLER = Arm(size=8)
LARGER = Arm(size=32)
FLAT = (0.0, 0.0001, 0.0, 0.0002)
STEEP = (0.01, 0.03, 0.06, 0.1)


def verdict(gaps, *, past=STEEP, tolerance=0.002, pace=1.0, **more):
    return judge(results(gaps, history=past, **more), facts(tolerance=tolerance), pace=pace, days=days)


def test_a_cheap_arm_inside_the_tolerance_is_the_headline():
    said = verdict({HALF: 0.0, QUARTER: 0.0005, SMALLER: 0.03})
    assert said.answer is Answer.SAVINGS
    assert said.best.arm == QUARTER
    assert "a quarter of the rows" in said.headline
    assert said.best.high <= 0.002


def test_what_costs_more_than_the_tolerance_is_never_advised():
    said = verdict({HALF: 0.01, SMALLER: 0.03})
    assert said.answer is Answer.NOTHING
    assert said.best is None
    assert "Nothing can be saved" in said.headline


def test_a_gap_inside_whose_upper_bound_lies_outside_is_not_promised():
    said = verdict({HALF: 0.0018}, noise=1.5e-3)
    assert said.answer is Answer.NOTHING
    assert said.findings[0].status is Status.UNDECIDED
    assert "Nothing can be promised" in said.headline


def test_a_harsher_rate_is_not_claimed_where_a_milder_one_was_not():
    found = findings(results({HALF: 0.004, QUARTER: 0.0, TENTH: 0.0}), 1.0, 0.002, 0.05)
    assert [f.status for f in found] == [Status.COSTS, Status.UNDECIDED, Status.UNDECIDED]


def test_nothing_is_claimed_before_any_replica():
    said = verdict({HALF: 0.0}, seeds=1, tolerance=0.05)
    assert said.findings[0].high < 0.05
    assert said.findings[0].status is Status.UNDECIDED
    assert any("No replica" in s for s in said.how_sure)


def test_blocks_too_noisy_for_the_tolerance_mean_too_small_to_tell_and_how_many_rows_would_do():
    said = verdict({HALF: 0.0, SMALLER: 0.0}, noise=0.01)
    assert said.answer is Answer.TOO_SMALL
    error = min(f.block_error for f in said.findings)
    needed = int(re.search(r"about ([\d,]+) rows like these", said.headline)[1].replace(",", ""))
    assert needed == pytest.approx(1_250_000 * (3 * error / 0.002) ** 2, rel=0.1)


def test_a_blurred_log_claims_nothing_even_where_the_arms_agree_by_chance():
    found = findings(results({HALF: -0.02}, noise=0.004), 1.0, 0.002, 0.2)
    assert found[0].high < 0.002
    assert found[0].status is Status.UNDECIDED


def test_few_positives_mean_too_small_to_tell_and_how_many_rows_would_do():
    said = verdict({HALF: 0.0, SMALLER: 0.0}, past=FLAT, rows=100)
    assert said.answer is Answer.TOO_SMALL
    assert "only 320 of the held-out rows have the rarer label" in said.headline
    assert "About 2,000,000 rows" in said.headline
    assert said.history.status is not Converged.YES


def test_a_model_no_better_than_a_constant_promises_nothing():
    said = verdict({HALF: 0.0, SMALLER: 0.0}, past=FLAT, level=0.50041)
    assert said.answer is Answer.NO_SIGNAL
    assert said.best is None
    assert said.sentences == ()


def test_a_blurred_model_no_better_than_a_constant_is_too_small_not_hopeless():
    said = verdict({HALF: 0.0}, past=FLAT, level=0.50041, noise=0.03)
    assert said.answer is Answer.TOO_SMALL


def test_a_flat_history_has_converged_and_names_days_and_interval():
    said = verdict({}, past=FLAT)
    assert said.history.status is Converged.YES
    assert said.history.rows < 1_000_000
    assert said.sentences[0].startswith("Converged: the last")
    assert "interval" in said.sentences[0]


def test_a_falling_history_says_keep_the_data():
    said = verdict({}, past=STEEP)
    assert said.history.status is Converged.NO
    assert "Not converged within this log: keep all 100 days" in said.sentences[0]


def test_a_flat_curve_without_a_measured_proof_is_not_called_converged():
    past = history(results({}, history=FLAT, noise=0.01), 1.0, 0.002, 1_000_000)
    assert past.status is not Converged.YES


def test_a_larger_model_that_is_better_is_said_before_saving():
    said = verdict({HALF: 0.0, LARGER: -0.02})
    assert any("Quality can still be bought" in s for s in said.sentences)


def test_time_that_ended_too_early_says_so():
    said = judge(results({}), facts(), pace=None, days=days)
    assert said.answer is Answer.UNFINISHED
    assert "--minutes" in said.how_sure[0]


def test_a_suspiciously_easy_label_is_pointed_out():
    said = verdict({HALF: 0.0}, level=0.05)
    assert any("suspiciously easy" in s for s in said.sentences)


def test_a_refused_arm_passes_by_its_faster_learning_rate():
    faster = Arm(policy=Policy.NEGATIVES, rate=0.5, pace=2.0)
    found = findings(results({HALF: 0.01, faster: 0.0, QUARTER: 0.0}), 1.0, 0.002, 0.05)
    assert {f.arm: f.status for f in found} == {
        HALF: Status.COSTS,
        faster: Status.SAVES,
        QUARTER: Status.SAVES,
    }


@pytest.mark.parametrize("width", [60, 80, 140])
def test_no_line_of_the_page_is_wider_than_the_terminal(width):
    said = verdict({HALF: 0.0, QUARTER: 0.0005, SMALLER: 0.03, LARGER: -0.01})
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    page.show(said, console, next_step="detctl run -f det.yaml")
    console.file.close()
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= width
    assert any("inside" in line for line in lines)


def test_the_html_page_is_whole_and_needs_no_network():
    said = verdict({HALF: 0.0, SMALLER: 0.03}, past=FLAT)
    text = render(said, next_step="detctl run -f <det>.yaml", resource="kind: x")
    assert text.count("<svg") == 2
    assert "&lt;det&gt;" in text
    assert not re.search(r"(src|href)=|https?://", text)


def test_json_holds_every_number():
    body = json.loads(json.dumps(encode(verdict({HALF: 0.0})), allow_nan=False))
    assert body["findings"][0]["status"] == "Saves"
    assert body["history"]["rungs"][-1]["history"] == 1.0
