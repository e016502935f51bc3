"""Logs without a header, without a time, or both, as Criteo's are."""

import gzip

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from dataefficient.api.load import load_resource
from dataefficient.estimate.delimited import CRITEO
from dataefficient.estimate.errors import EstimateError
from dataefficient.estimate.log import ROW_TIME, Roles, check_roles, open_log
from dataefficient.estimate.survey import Options, prepare
from dataefficient.estimate.working import copy
from dataefficient_trainer import source
from estimate.test_command import run

IN_ORDER = Roles(ROW_TIME, "clicked", in_order=True)
SECOND = 1_000_000
YEAR_2000 = 946_684_800 * SECOND


def look(path, folder, roles=IN_ORDER, **more):
    return prepare(Options(path, roles, 5.0, 0.002, ("true",), **more), folder)


def criteo(rows=3_000):
    random = np.random.default_rng(3)
    site = random.integers(0, 6, rows)
    click = (random.random(rows) < 1 / (1 + np.exp(1.0 - 0.5 * site))).astype(int)
    numbers = [f"{(site + 3) * 7}\t" + "\t" * 11 for site in site]
    words = "\t".join(["68fd1e64"] * 25)
    return "".join(
        f"{y}\t{number}\ta{s}\t{words}\n" for y, number, s in zip(click, numbers, site, strict=True)
    )


@pytest.mark.parametrize("mark", [",", "\t", "|"])
@pytest.mark.parametrize("packed", [False, True])
def test_text_without_a_header_is_read_by_the_names_that_are_given(table, tmp_path, mark, packed):
    pa_csv.write_csv(table, tmp_path / "log.csv")
    header, _, rest = (tmp_path / "log.csv").read_text().partition("\n")
    names = tuple(header.replace('"', "").split(","))
    bare = tmp_path / ("bare.csv.gz" if packed else "bare.csv")
    text = rest.replace(",", mark).encode()
    bare.write_bytes(gzip.compress(text) if packed else text)
    roles = Roles("ts", "clicked")
    headed = look(str(tmp_path / "log.csv"), tmp_path, roles)
    found = look(str(bare), tmp_path, roles, columns=names)
    assert found.features == headed.features
    assert (found.working.times == headed.working.times).all()


def test_names_that_do_not_fit_are_refused(write, table, tmp_path):
    pa_csv.write_csv(table, tmp_path / "log.csv")
    with pytest.raises(EstimateError, match=r"--columns: 2 are named, and the first line of .* has 4 values"):
        open_log(str(tmp_path / "log.csv"), ("ts", "clicked"))
    with pytest.raises(EstimateError, match=r"--columns: .*\.parquet is parquet, which names its columns"):
        open_log(write(table), ("ts", "clicked"))


def test_a_column_that_is_not_there_may_be_for_want_of_a_header(tmp_path, table):
    pa_csv.write_csv(table, tmp_path / "bare.csv", pa_csv.WriteOptions(include_header=False))
    log = open_log(str(tmp_path / "bare.csv"))
    with pytest.raises(EstimateError, match="if its first line is no header, name them: --columns A,B"):
        check_roles(log, Roles("ts", "clicked"))


def test_a_time_that_is_not_there_may_be_none(write, table):
    with pytest.raises(
        EstimateError, match="where none is the time, and rows lie in the order of it: --rows-"
    ):
        check_roles(open_log(write(table.drop_columns("ts"))), Roles("ts", "clicked"))


def test_rows_of_a_log_without_a_time_follow_a_second_apart(write, table, tmp_path):
    found = look(write(table.drop_columns("ts")), tmp_path)
    assert (found.working.times == YEAR_2000 + SECOND * np.arange(table.num_rows)).all()
    assert found.features.names() == ["site", "ad"]
    assert found.key == (ROW_TIME,)
    assert any("dates here are made up" in note for note in found.notes)


def test_of_a_long_log_without_a_time_the_last_rows_keep_their_place(write, table, tmp_path):
    log = open_log(write(table.drop_columns("ts")))
    working = copy(log, IN_ORDER, tmp_path, most=1_000)
    assert working.times[0] == YEAR_2000 + SECOND * (table.num_rows - 1_000)
    assert pq.read_table(working.path)["site"].to_pylist() == table["site"].to_pylist()[-1_000:]


def test_rows_without_a_label_leave_a_gap_in_the_order(write, table, tmp_path):
    labels = table["clicked"].to_pylist()
    labels[1] = None
    bare = table.drop_columns(["ts", "clicked"]).append_column("clicked", pa.array(labels, pa.int8()))
    found = look(write(bare), tmp_path)
    assert ((found.working.times[:3] - YEAR_2000) == SECOND * np.array([0, 2, 3])).all()


def test_a_column_with_the_name_of_the_order_is_refused(write, table):
    log = open_log(write(table.rename_columns([ROW_TIME, "site", "ad", "clicked"])))
    with pytest.raises(EstimateError, match=f"--rows-in-order: .* has a column {ROW_TIME}; name it with --t"):
        check_roles(log, IN_ORDER)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "give either --time COLUMN, the column of the event time, or --rows-in-order"),
        (["--time", "ts", "--rows-in-order"], "give either --time COLUMN"),
        (["--rows-in-order", "--time-format", "%Y"], "--time-format: there is no time with --rows-in-order"),
    ],
)
def test_a_log_has_a_time_or_an_order(write, table, options, told):
    result = run(write(table), "--label", "clicked", *options)
    assert result.exit_code == 64
    assert told in " ".join(result.output.split())


@pytest.mark.parametrize(("name", "given"), [("train.tsv", None), ("train.txt.gz", "criteo")])
def test_the_resource_of_criteos_log_reads_the_rows_that_were_looked_at(
    pretended_trainer, tmp_path, name, given
):
    path, resource = tmp_path / name, tmp_path / "det.yaml"
    text = criteo().encode()
    path.write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    options = ["--rows-in-order", "--label", "label", "--minutes", "0.5", "--write-resource", str(resource)]
    result = run(str(path), *options, trainer=pretended_trainer)
    assert result.exit_code == 0, result.output
    spec = load_resource(resource).spec
    config = spec.trainer.config
    assert config["time"] == {"rowStart": "2000-01-01T00:00:00Z"}
    assert config["features"] == {"categorical": ["I1", "C1"]}
    read = source.open_source(spec.data.uri, config.get("format"), tuple(config.get("columns", ())))
    assert (read.format, tuple(read.columns)) == ("criteo", CRITEO)


def test_the_resource_names_the_columns_of_text_without_a_header(pretended_trainer, table, tmp_path):
    path, resource = tmp_path / "clicks.txt", tmp_path / "det.yaml"
    pa_csv.write_csv(table.drop_columns("ts"), path, pa_csv.WriteOptions(include_header=False))
    options = ["--rows-in-order", "--columns", "site,ad,clicked", "--label", "clicked", "--minutes", "0.5"]
    result = run(str(path), *options, "--write-resource", str(resource), trainer=pretended_trainer)
    assert result.exit_code == 0, result.output
    config = load_resource(resource).spec.trainer.config
    assert (config["columns"], config["format"]) == (["site", "ad", "clicked"], "csv")
