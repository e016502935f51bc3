"""Lines of JSON objects become text, whatever the types of their fields, and broken ones stop nothing."""

import json

import pyarrow as pa
import pytest

from dataefficient_trainer.errors import DataError
from dataefficient_trainer.json_lines import fields, parsed
from dataefficient_trainer.source import open_source, read

TYPES = {"n": pa.int64(), "word": pa.string(), "day": pa.timestamp("s"), "tags": pa.list_(pa.string())}


def cells(text, *columns, types=None):
    """The values of the one column that is wanted, or rows of several, and how many lines were refused."""
    refused = []
    table = parsed(text.encode(), TYPES if types is None else types, list(columns), refused)
    rows = [tuple(row.values()) for row in table.to_pylist()]
    return [row[0] for row in rows] if len(columns) == 1 else rows, len(refused)


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_values_are_text_as_in_a_csv():
    row = {"n": 5, "x": 0.25, "whole": 7.0, "on": True, "word": "a"}
    types = {"n": pa.int64(), "x": pa.float64(), "whole": pa.float64(), "on": pa.bool_(), "word": pa.string()}
    found, refused = cells(lines(row), *row, types=types)
    assert (found, refused) == ([("5", "0.25", "7", "true", "a")], 0)


def test_lists_stay_lists():
    assert cells(lines({"tags": ["a", "b"]}, {"tags": []}, {}), "tags") == ([["a", "b"], [], None], 0)


def test_a_field_that_a_line_lacks_or_that_is_null_is_missing():
    assert cells(lines({"n": 1}, {"n": None}, {"word": "a"}), "n", "new") == (
        [("1", None), (None, None), (None, None)],
        0,
    )


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([1, 2.5], ["1", "2.5"]),
        ([1, "x"], ["1", "x"]),
        ([1, True], ["1", "true"]),
        ([10**18 + 1, 3], ["1000000000000000001", "3"]),
    ],
)
def test_a_type_may_change_on_the_way(values, text):
    assert cells(lines(*({"n": value} for value in values)), "n") == (text, 0)


@pytest.mark.parametrize("day", ["2026-01-31", "2026-01-31 08:15:00", "2026-01-31T08:15:00Z"])
def test_what_looks_like_a_time_is_kept_as_it_was_written(day):
    assert cells(lines({"day": day, "word": day, "n": 1}), "day", "word") == ([(day, day)], 0)
    # The number that turned to a fraction has the types found anew.
    assert cells(lines({"day": day, "word": day, "n": 1.5}), "day", "word", "n") == ([(day, day, "1.5")], 0)


@pytest.mark.parametrize("broken", ["{", "oops", "[1]", '{"n": }', '"text"', "17"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_line_that_is_no_object_is_refused_alone(broken, place):
    rows = [json.dumps({"n": i}) for i in range(2)]
    text = "\n".join([*rows[:place], broken, *rows[place:]])
    assert cells(text, "n") == (["0", "1"], 1)
    assert cells(text + "\n", "n") == (["0", "1"], 1)


def test_blank_lines_are_no_rows():
    assert cells("\n\n" + lines({"n": 1}) + "\n  \n", "n") == (["1"], 0)
    assert cells("\n\n", "n") == ([], 0)


def test_types_are_told_by_the_lines_before_the_first_one_that_does_not_fit():
    assert fields((lines({"n": 1, "word": "a"}) * 3 + "oops\n").encode()).names == ["n", "word"]


@pytest.mark.parametrize("text", ['[{"n": 1},\n{"n": 2}]\n', "n,word\n1,a\n"])
def test_what_is_no_json_lines_is_refused(tmp_path, text):
    path = tmp_path / "log.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"log.json cannot be read as json: one object a line is needed"):
        open_source(str(path), None)


def test_broken_lines_are_counted_with_the_source(tmp_path):
    (tmp_path / "log.jsonl").write_text(lines({"n": 1}) + "oops\n" + lines({"n": 2}))
    source = open_source(str(tmp_path / "log.jsonl"), None)
    batches = list(read(source, ["n"], None, [(0, 1)]))
    assert [n for batch in batches for n in batch.column("n").to_pylist()] == ["1", "2"]
    assert source.malformed_lines == 1


def test_names_are_not_given_to_what_has_its_own(tmp_path):
    (tmp_path / "log.jsonl").write_text(lines({"n": 1}))
    with pytest.raises(DataError, match="the format json names its columns itself; leave them out"):
        open_source(str(tmp_path / "log.jsonl"), None, ("n",))
    source = open_source(str(tmp_path / "log.jsonl"), None)
    with pytest.raises(DataError, match=r"column 'word' is not in .*; its columns are n$"):
        source.require("word", "data.label")
