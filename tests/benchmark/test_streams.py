from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from dataefficient.api.load import parse_object
from streambench import generated
from streambench.generated import HISTORY_CYCLES, Recipe
from streambench.streams import STREAMS, MissingDataError, Stream, find

ROWS = 4_000


def written(tmp_path, recipe, cycles=2, name="s"):
    path = tmp_path / f"{name}.parquet"
    generated.write(recipe, path, cycle_rows=ROWS, cycles=cycles)
    return path


def test_the_same_recipe_gives_the_same_bytes(tmp_path):
    a, b = (written(tmp_path, Recipe(0.1), name=name) for name in "ab")

    assert a.read_bytes() == b.read_bytes()


def test_more_cycles_change_no_earlier_row(tmp_path):
    short, long = (
        pq.read_table(written(tmp_path, Recipe(0.1), cycles, str(cycles))).to_pydict() for cycles in (1, 3)
    )

    count = (HISTORY_CYCLES + 1) * ROWS
    assert all(values == long[name][:count] for name, values in short.items())


@pytest.mark.parametrize("recipe", [Recipe(0.1), Recipe(0.1, signal=0.0), Recipe(0.2, flipped=1 / 3)])
def test_the_share_of_positives_is_the_recipe_s(tmp_path, recipe):
    labels = pq.read_table(written(tmp_path, recipe))["label"].to_numpy()

    assert labels.mean() == pytest.approx(recipe.positives, abs=0.01)


def test_a_sudden_change_begins_with_its_cycle_and_not_before(tmp_path):
    still, changing = (
        pq.read_table(written(tmp_path, Recipe(0.3, change=change), 3, str(change)))["label"].to_numpy()
        for change in (None, 2)
    )

    before = (HISTORY_CYCLES + 1) * ROWS
    assert np.array_equal(still[:before], changing[:before])
    assert (still[before:] != changing[before:]).mean() > 0.1


def test_times_ascend_and_fill_the_schedule(tmp_path):
    times = pq.read_table(written(tmp_path, Recipe(0.1)))["time"].to_numpy()

    assert (np.diff(times) > np.timedelta64(0)).all()
    assert times[-1] < np.datetime64("2020-01-07") <= times[-1] + np.timedelta64(60, "s")


@pytest.mark.parametrize("stream", STREAMS, ids=lambda s: s.name)
def test_every_stream_has_the_defaults_and_one_tolerance(tmp_path, stream):
    try:
        found = find(stream, folder=tmp_path, data=None, cycle_rows=100, cycles=5)
    except MissingDataError:
        pytest.skip("its rows are not in the repository")
    spec = parse_object(found.resource(1, "0.001", 1.0), "test").spec
    plain = parse_object(
        {
            **found.resource(1, "0.001", 1.0),
            "spec": {
                **found.resource(1, "0.001", 1.0)["spec"],
                "exploration": {},
                "control": {},
                "budget": {},
                "sampling": {},
            },
        },
        "test",
    ).spec

    assert spec == plain
    assert "learningRate" not in found.parts["config"]


def test_a_stream_that_is_not_here_says_where_it_was_looked_for(tmp_path):
    aces = next(s for s in STREAMS if s.name == "ace")

    with pytest.raises(MissingDataError, match=r"tennis_women.parquet is not in .*tennis or .*empty"):
        find(replace(aces), folder=tmp_path, data=tmp_path / "empty", cycle_rows=100, cycles=5)


def test_a_real_stream_is_found_in_the_folder_that_is_given(tmp_path):
    (tmp_path / "tennis_women.parquet").touch()
    faults = next(s for s in STREAMS if s.name == "double-fault")

    found = find(faults, folder=tmp_path, data=tmp_path, cycle_rows=100, cycles=5)

    assert found.data == tmp_path / "tennis_women.parquet"
    assert found.parts["data"]["label"] == "double_fault"


def test_streams_have_names_of_their_own():
    assert len({stream.name for stream in STREAMS}) == len(STREAMS)
    assert all((s.example is None) != (s.recipe is None) for s in STREAMS if isinstance(s, Stream))
