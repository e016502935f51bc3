from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

from dataefficient.cli_fits import curve_command, fit_command


def curve_rows(exponent=0.6, points=9):
    n = np.geomspace(1_000, 1_000_000, points).round()
    y = 0.4 + 0.08 * (n / 1_000) ** -exponent
    y = y + 1e-4 * np.random.default_rng(0).standard_normal(points)
    return ["examples,loss,se", *(f"{a:.0f},{b:.6f},0.0001" for a, b in zip(n, y, strict=True))]


def run_rows(sizes=(8e3, 3.2e4, 1.28e5, 5.12e5), cost=True):
    n, d = (v.ravel() for v in np.meshgrid(sizes, np.geomspace(1e5, 1e7, 5)))
    y = (0.4 + 2 * n**-0.4 + 20 * d**-0.5) * np.exp(1e-3 * np.random.default_rng(0).standard_normal(n.size))
    header = "size,examples,loss" + (",cost" if cost else "")
    costs = [f",{c:.6g}" if cost else "" for c in d * (2e-6 + 3e-11 * n)]
    return [header, *(f"{a:.0f},{b:.0f},{c:.6f}{e}" for a, b, c, e in zip(n, d, y, costs, strict=True))]


@pytest.fixture
def invoke(tmp_path):
    def call(command, rows, *arguments, width=80):
        path = tmp_path / "table.csv"
        path.write_text("\n".join(rows) + "\n")
        return CliRunner(env={"COLUMNS": str(width)}).invoke(command, [str(path), *arguments])

    return call


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_curve_page_names_the_point_the_forecast_and_the_families_and_fits_the_terminal(invoke, width):
    result = invoke(curve_command, curve_rows(), "--tolerance", "0.01", width=width)
    assert result.exit_code == 0, result.output
    for words in ("Convergence point", "Loss to expect", "10,000,000", "pow3", "mmf4", "last"):
        assert words in result.output
    assert max(len(line) for line in result.output.splitlines()) <= width


def test_a_curve_that_still_falls_is_not_within_this_data(invoke):
    result = invoke(curve_command, curve_rows(exponent=0.2), "--tolerance", "0.001")
    assert "not within this data" in result.output


def test_a_curve_as_json_is_complete_and_finite(invoke):
    result = invoke(curve_command, curve_rows(), "--tolerance", "0.01", "--longest", "2e6", "--json")
    body = json.loads(result.output)
    assert body["points"] == 9
    assert body["convergence"]["longest"] == 2e6
    assert body["convergence"]["low"] <= body["convergence"]["point"] <= 1e6
    assert {f["name"] for f in body["families"]} == {"pow3", "pow4", "mmf4", "wbl4", "last"}
    assert {f["examples"] for f in body["forecasts"]} >= {1e6, 2e6, 1e7}


def test_the_se_column_may_be_absent(invoke):
    rows = [",".join(row.split(",")[:2]) for row in curve_rows()]
    assert invoke(curve_command, rows).exit_code == 0


def test_repeated_rows_and_blank_lines_and_other_columns_are_fine(invoke):
    rows = curve_rows()
    rows = [rows[0] + ",who", *(r + ",me" for r in rows[1:]), "", rows[3] + ",me"]
    assert invoke(curve_command, rows).exit_code == 0


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_fit_page_shows_parameters_cost_and_the_best_split_and_fits_the_terminal(invoke, width):
    result = invoke(fit_command, run_rows(), "--compute", "50", "--bootstrap", "100", width=width)
    assert result.exit_code == 0, result.output
    for words in ("alpha", "beta", "95 % interval", "Cost of one example (fitted", "Best use of 50"):
        assert words in result.output
    assert max(len(line) for line in result.output.splitlines()) <= width


def test_without_a_cost_column_six_nd_is_assumed_and_said(invoke):
    result = invoke(fit_command, run_rows(cost=False), "--compute", "1e12", "--bootstrap", "50")
    assert "6*N*D" in result.output


def test_a_fit_as_json_holds_intervals_and_both_splits(invoke):
    result = invoke(fit_command, run_rows(), "--compute", "50", "--bootstrap", "100", "--json")
    body = json.loads(result.output)
    assert body["parameters"]["alpha"]["low"] <= 0.4 <= body["parameters"]["alpha"]["high"]
    assert body["costPerExample"]["perSize"] == pytest.approx(3e-11, rel=0.01)
    assert body["best"]["measured"]["size"] in {8e3, 3.2e4, 1.28e5, 5.12e5}
    assert body["best"]["any"]["loss"]["mean"] <= body["best"]["measured"]["loss"]["mean"] + 1e-9


def test_one_size_says_what_is_not_identified_and_why_there_is_no_best_size(invoke):
    result = invoke(fit_command, run_rows(sizes=(8e3,)), "--compute", "50", "--bootstrap", "50", width=200)
    assert "not identified: only one size was run" in result.output
    assert "there is no best size to find" in result.output


BAD = {
    "missing column": (["examples,auc", "1,2"], ["column 'loss' is missing", "examples, auc"]),
    "word": (["examples,loss", "1,0.5", "2,high", "3,0.4"], ["line 3", "column 'loss'", "'high'"]),
    "empty cell": (["examples,loss", "1,0.5", "2,", "3,0.4"], ["line 3", "an empty cell"]),
    "short row": (["examples,loss", "1,0.5", "2", "3,0.4"], ["line 3", "an empty cell"]),
    "nan": (["examples,loss", "1,0.5", "2,nan", "3,0.4"], ["line 3", "not a finite number"]),
    "negative": (["examples,loss", "1,0.5", "-2,0.4", "3,0.4"], ["line 3", "-2 is negative"]),
    "zero examples": (["examples,loss", "1,0.5", "0,0.4", "3,0.4"], ["data row 2", "must be positive"]),
    "header only": (["examples,loss"], ["0 rows; at least 3"]),
    "empty": ([""], ["is empty"]),
    "two points": (["examples,loss", "1,0.5", "2,0.4"], ["2 rows; at least 3"]),
    "one history": (["examples,loss", "5,0.5", "5,0.4", "5,0.4"], ["different numbers of examples"]),
    "no header": (["1,0.5", "2,0.4", "3,0.3"], ["first line must name the columns"]),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_curve_file_gets_one_message_and_exit_code_64(invoke, case):
    rows, words = BAD[case]
    result = invoke(curve_command, rows)
    assert result.exit_code == 64, result.output
    assert result.output.startswith("Error: ")
    assert "Traceback" not in result.output
    for word in words:
        assert word in result.output


def test_a_file_of_no_bytes_is_called_empty(tmp_path):
    path = tmp_path / "empty.csv"
    path.write_text("")
    result = CliRunner().invoke(fit_command, [str(path)])
    assert result.exit_code == 64
    assert "is empty" in result.output
    assert "size,examples,loss" in result.output


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00\x81", b'examples,loss\n1,"0.5\n'])
def test_a_file_that_is_missing_or_not_a_table_gets_one_message(tmp_path, content):
    path = tmp_path / "table.csv"
    if content is not None:
        path.write_bytes(content)
    result = CliRunner().invoke(curve_command, [str(path)])
    assert result.exit_code == 64
    assert str(path) in result.output


@pytest.mark.parametrize(
    ("command", "arguments", "word"),
    [
        (curve_command, ["--tolerance", "0"], "--tolerance"),
        (curve_command, ["--tolerance", "nan"], "--tolerance"),
        (curve_command, ["--confidence", "1"], "--confidence"),
        (curve_command, ["--longest", "10"], "--longest"),
        (fit_command, ["--compute", "-1"], "--compute"),
        (fit_command, ["--bootstrap", "-1"], "--bootstrap"),
    ],
)
def test_an_option_out_of_range_is_named_with_what_is_allowed(invoke, command, arguments, word):
    result = invoke(command, curve_rows() if command is curve_command else run_rows(), *arguments)
    assert result.exit_code == 64
    assert word in result.output


@pytest.mark.parametrize("command", [curve_command, fit_command])
def test_help_names_the_columns_for_someone_who_has_not_read_the_code(command):
    result = CliRunner().invoke(command, ["--help"])
    for word in ("header line", "examples", "loss", "optional"):
        assert word in result.output
