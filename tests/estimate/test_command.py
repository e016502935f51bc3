import json
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pytest
from click.testing import CliRunner

from dataefficient.api.load import load_resource
from dataefficient.api.schedule import interval
from dataefficient.estimate.command import estimate_command
from dataefficient.estimate.resource import retrainings
from dataefficient.local.command import command_of

DAY = 86_400
"""Seconds."""


def run(*arguments, trainer=None, columns="100"):
    options = ["--trainer", trainer] if trainer else []
    return CliRunner(env={"COLUMNS": columns, "TERM": "dumb"}).invoke(
        estimate_command, [*arguments, *options]
    )


def basic(path, *more):
    return (path, "--time", "ts", "--label", "clicked", "--minutes", "0.5", *more)


def test_a_missing_column_is_named_with_the_columns_that_exist_and_the_one_meant(write, table):
    result = run(write(table), "--time", "ts", "--label", "cliked")
    assert result.exit_code == 64
    assert "--label cliked" in result.output
    assert "did you mean clicked?" in result.output
    assert "ts, site, ad, clicked" in result.output


def test_a_label_that_is_not_0_and_1_is_refused_with_the_values_found_and_a_way_out(write, table):
    result = run(*basic(write(table.set_column(3, "clicked", pa.array(range(table.num_rows))))))
    assert result.exit_code == 64
    assert "found 2, 3, 4" in result.output
    assert "--label-at-least" in result.output


def test_a_log_with_one_label_only_is_refused(write, table):
    result = run(*basic(write(table.filter(pc.equal(table["clicked"], 0)))))
    assert result.exit_code == 65
    assert "all" in result.output
    assert "label 0" in result.output


def test_an_empty_log_is_refused(write, table):
    result = run(*basic(write(table.slice(0, 0))))
    assert result.exit_code == 65
    assert "no row" in result.output


def test_a_truncated_parquet_is_refused_in_one_line(write, table, tmp_path):
    whole = Path(write(table)).read_bytes()
    path = tmp_path / "cut.parquet"
    path.write_bytes(whole[: len(whole) // 2])
    result = run(*basic(str(path)))
    assert result.exit_code == 65
    assert "cannot be read as parquet" in result.output
    assert "Traceback" not in result.output


def test_a_file_that_is_no_parquet_is_refused(tmp_path):
    path = tmp_path / "log.parquet"
    path.write_text("ts,clicked\n1,0\n")
    assert run(*basic(str(path))).exit_code == 65


def test_a_file_that_is_not_there_is_refused_with_the_one_meant(write, table):
    result = run(*basic(write(table).replace("log.parquet", "lgo.parquet")))
    assert result.exit_code == 65
    assert "did you mean log.parquet?" in result.output


def test_a_time_column_that_is_no_time_is_refused(write, table):
    result = run(write(table), "--time", "site", "--label", "clicked")
    assert result.exit_code == 64
    assert "--time site" in result.output
    assert "not a time" in result.output


def test_too_few_separate_times_are_refused_because_no_error_could_be_known(write, table):
    coarse = pc.floor_temporal(table["ts"], 9, unit="day")
    result = run(*basic(write(table.set_column(0, "ts", coarse))))
    assert result.exit_code == 65
    assert "separate times" in result.output


def test_the_trainers_own_words_and_code_are_passed_on(write, table, pretended_trainer, monkeypatch):
    monkeypatch.setenv("PRETENDED_FAILURE", "the column site is damaged")
    result = run(*basic(write(table)), trainer=pretended_trainer)
    assert result.exit_code == 65
    assert "the column site is damaged" in result.output


def test_page_json_and_resource_are_written(write, table, pretended_trainer, tmp_path):
    html, resource = tmp_path / "page.html", tmp_path / "det.yaml"
    more = ("--html", str(html), "--write-resource", str(resource), "--json")
    result = run(*basic(write(table), *more), trainer=pretended_trainer)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["facts"]["rows"] == table.num_rows
    assert "<script" not in html.read_text()
    assert "http" not in html.read_text()
    spec = load_resource(resource).spec
    assert spec.schedule.every_seconds == DAY
    last = interval(spec.schedule, 6)
    assert last.end == spec.schedule.end_time
    assert spec.data.label == "clicked"
    assert Path(command_of(spec, tmp_path).argv[0]).is_file()


def test_a_label_may_be_made_of_values(write, table, pretended_trainer, tmp_path):
    resource = tmp_path / "det.yaml"
    words = pc.if_else(pc.equal(table["clicked"], 1), "buy", "view")
    log = write(table.drop_columns(["clicked"]).append_column("event", words))
    given = (log, "--time", "ts", "--label", "event", "--minutes", "0.5")
    result = run(
        *given, "--label-equals", "buy,cart", "--write-resource", str(resource), trainer=pretended_trainer
    )
    assert result.exit_code == 0, result.output
    assert load_resource(resource).spec.trainer.config["label"] == {
        "column": "event",
        "equals": ["buy", "cart"],
    }
    found = run(*given, "--label-equals", "sold", trainer=pretended_trainer)
    assert "--label-equals sold: no row has it in event, whose values are such as" in found.output
    found = run(*given, trainer=pretended_trainer)
    assert "not 0 and 1; say which values are positive: --label-equals VALUE" in found.output
    found = run(*given, "--label-equals", "buy", "--label-at-least", "1", trainer=pretended_trainer)
    assert "give only one of --label-at-least and --label-equals" in found.output


@pytest.mark.parametrize("name", ["", "x" * 200, "a\tb"])
def test_a_column_that_no_resource_can_name_is_passed_over(write, table, pretended_trainer, tmp_path, name):
    resource = tmp_path / "det.yaml"
    odd = table.add_column(0, name, pa.array(range(table.num_rows)))
    result = run(*basic(write(odd), "--write-resource", str(resource)), trainer=pretended_trainer)
    assert result.exit_code == 0, result.output
    assert load_resource(resource).spec.data.key == ("ts", "site", "ad")


def test_the_key_of_a_wide_log_has_its_time(write, table, pretended_trainer, tmp_path):
    random, resource = np.random.default_rng(0), tmp_path / "det.yaml"
    flags = {f"flag{i}": pa.array(random.integers(0, 2, table.num_rows)) for i in range(20)}
    wide = pa.table(flags | {name: table[name] for name in table.column_names})
    result = run(*basic(write(wide), "--write-resource", str(resource)), trainer=pretended_trainer)
    assert result.exit_code == 0, result.output
    assert load_resource(resource).spec.data.key[:2] == ("ts", "flag0")


@pytest.mark.parametrize(
    ("days", "step", "cycles", "every"),
    [
        (12, 60, 6, DAY),
        (9.5, 60, 6, DAY),
        (100, 3_600, 6, 8 * DAY),
        (2, 60, 6, 4 * 3_600),
        (60, DAY, 4, 8 * DAY),
        (16, DAY, 1, 8 * DAY),
        (1 / 24, 1, 6, 300),
        (3 / 1440, 1, 1, 90),
    ],
    ids=[
        "12 days",
        "under 10 days",
        "months",
        "2 days",
        "times are days",
        "few days",
        "an hour",
        "3 minutes",
    ],
)
def test_cycles_are_whole_days_or_hours_and_hold_times_enough(days, step, cycles, every):
    times = np.arange(0, days * DAY, step, np.int64) * 1_000_000
    span = timedelta(seconds=days * DAY)
    assert retrainings(times, span) == (cycles, timedelta(seconds=every))


def test_the_resource_says_how_digits_are_times_and_what_a_bare_name_holds(
    table, pretended_trainer, tmp_path
):
    hours = pc.strftime(table["ts"], "%y%m%d%H").cast("int64")
    packed, resource = tmp_path / "train.gz", tmp_path / "det.yaml"
    with pa.CompressedOutputStream(str(packed), "gzip") as file:
        pa_csv.write_csv(table.set_column(0, "ts", hours), file)
    result = run(*basic(str(packed), "--write-resource", str(resource)), trainer=pretended_trainer)
    assert result.exit_code == 0, result.output
    config = load_resource(resource).spec.trainer.config
    assert config["time"] == {"format": "%y%m%d%H"}
    assert config["format"] == "csv"


def test_the_resource_of_several_labels_takes_any_of_them(write, table, pretended_trainer, tmp_path):
    resource = tmp_path / "det.yaml"
    path = write(table.append_column("liked", pa.array(np.arange(table.num_rows) % 5)))
    options = ("--label", "clicked,liked", "--label-at-least", "1", "--minutes", "0.5")
    result = run(path, "--time", "ts", *options, "--write-resource", str(resource), trainer=pretended_trainer)
    assert result.exit_code == 0, result.output
    spec = load_resource(resource).spec
    assert spec.trainer.config["label"] == {"anyOf": ["clicked", "liked"], "atLeast": 1.0}
    assert spec.data.label == "clicked_or_liked"
    result = run(path, "--time", "ts", "--label", "clicked,loved", trainer=pretended_trainer)
    assert result.exit_code == 64
    assert "--label loved: " in result.output


def test_an_interrupt_ends_with_what_is_known_and_leaves_no_process(
    write, table, pretended_trainer, tmp_path
):
    program = "from dataefficient.estimate.command import estimate_command; estimate_command()"
    arguments = basic(write(table), "--trainer", pretended_trainer)
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "TERM": "dumb", "TMPDIR": str(tmp_path)},
        text=True,
        # A shell that runs the tests in the background has them ignore interrupts, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    )
    for line in process.stderr:
        if "log loss" in line:
            break
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "it was interrupted" in " ".join(output.split())
    assert not list(tmp_path.glob("detctl-estimate-*"))


@pytest.mark.slow
def test_the_real_trainer_estimates_a_small_log_within_its_time(write, table):
    began = time.monotonic()
    result = run(*basic(write(table), "--minutes", "0.3"))
    assert result.exit_code == 0, result.output
    assert time.monotonic() - began < 0.3 * 60 + 8
    assert "Data efficiency estimate" in result.stdout
