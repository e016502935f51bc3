import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from dataefficient.estimate.columns import Use
from dataefficient.estimate.errors import EstimateError
from dataefficient.estimate.features import parse
from dataefficient.estimate.log import Roles, open_log
from dataefficient.estimate.survey import Options, prepare
from dataefficient.estimate.times import TimeColumn
from dataefficient.estimate.working import COPY
from trainer import motley
from trainer.motley import COLUMNS

ROLES = Roles("ts", "clicked")


def look(path, folder, roles=ROLES, **more):
    return prepare(Options(path, roles, 5.0, 0.002, ("true",), **more), folder)


def uses(found):
    return {c.name: c.use for c in found.columns}


def test_text_integers_and_floats_become_features_and_parts_of_the_time_are_added(write, table, tmp_path):
    table = table.append_column("price", pa.array(np.linspace(1.0, 2.0, table.num_rows)))
    found = look(write(table), tmp_path)
    assert found.features.names() == ["site", "ad", "price", "hour(ts)", "weekday(ts)"]
    assert found.features.config()["numeric"] == ["price"]


def test_integers_that_missing_values_made_floats_are_categories(write, table, tmp_path):
    users = [None if i % 10 == 0 else float(i % 50) for i in range(table.num_rows)]
    prices = [float("nan") if i % 10 == 0 else i % 50 + 0.5 for i in range(table.num_rows)]
    table = table.append_column("user", pa.array(users)).append_column("price", pa.array(prices))
    found = uses(look(write(table), tmp_path))
    assert found["user"] is Use.CATEGORICAL
    assert found["price"] is Use.NUMERIC


def clicked_by(strength, random):
    return pa.array((random.random(len(strength)) < 1 / (1 + np.exp(1.0 - strength))).astype(np.int8))


def test_whole_numbers_whose_neighbours_are_alike_are_numbers_and_names_are_not(write, table, tmp_path):
    random, rows = np.random.default_rng(5), table.num_rows
    count, shop = random.integers(0, 5_000, rows), random.integers(0, 300, rows)
    effect = random.normal(0.0, 1.5, 300)
    table = table.drop_columns("clicked").append_column("count", pa.array(count))
    table = table.append_column("shop", pa.array(shop)).append_column("row", pa.array(np.arange(rows)))
    table = table.append_column("clicked", clicked_by(count / 2_000 + effect[shop], random))
    for features in (None, "count,shop,ad"):
        found = look(write(table), tmp_path, features=features)
        assert found.features.numeric == ("count",)
        assert {"shop", "ad"} <= set(found.features.categorical)
    assert uses(found)["row"] is Use.UNUSED


@pytest.mark.parametrize("mark", ["\t", ";", "|"])
def test_values_of_a_csv_may_stand_between_other_marks(table, tmp_path, mark):
    pa_csv.write_csv(table, tmp_path / "log.csv")
    (tmp_path / "other.csv").write_text((tmp_path / "log.csv").read_text().replace(",", mark))
    plain, other = (look(str(tmp_path / name), tmp_path) for name in ("log.csv", "other.csv"))
    assert other.features == plain.features


def test_a_column_that_is_the_label_in_disguise_is_left_out_and_said_so(write, table, tmp_path):
    table = table.append_column("paid", pc.multiply(table["clicked"].cast("float64"), 3.5))
    found = look(write(table), tmp_path)
    assert uses(found)["paid"] is Use.LEAK
    assert "paid" not in found.features.names()
    assert any(n.startswith("Warning: paid was left out") for n in found.notes)


def test_a_leak_suspect_that_the_owner_names_is_used_with_a_warning(write, table, tmp_path):
    table = table.append_column("paid", table["clicked"])
    found = look(write(table), tmp_path, features="site,paid")
    assert found.features.names() == ["site", "paid"]
    assert any("paid is used because you named it" in n for n in found.notes)


def test_another_label_that_excludes_this_one_is_left_out(write, table, tmp_path):
    random = np.random.default_rng(1)
    other = (np.asarray(table["clicked"]) == 0) & (random.random(table.num_rows) < 0.1)
    found = look(write(table.append_column("hidden", pa.array(other))), tmp_path)
    assert uses(found)["hidden"] is Use.LEAK


def test_a_telling_column_whose_name_speaks_of_afterwards_is_left_out(write, table, tmp_path):
    random = np.random.default_rng(1)
    label = np.asarray(table["clicked"], float)
    signal = label + random.normal(0, 1.5, table.num_rows)
    table = table.append_column("arr_delay", pa.array(signal)).append_column("queue", pa.array(signal))
    found = look(write(table), tmp_path)
    assert uses(found)["arr_delay"] is Use.LEAK
    assert uses(found)["queue"] is Use.NUMERIC


def test_an_honest_strong_column_is_kept(write, table, tmp_path):
    assert uses(look(write(table), tmp_path))["site"] is Use.CATEGORICAL


def test_identifiers_constants_and_second_times_are_not_features(write, table, tmp_path):
    rows = table.num_rows
    table = table.append_column("request", pa.array([f"r{i}" for i in range(rows)]))
    table = table.append_column("country", pa.array(["x"] * rows)).append_column("later", table["ts"])
    found = uses(look(write(table), tmp_path))
    assert found["request"] == found["country"] == found["later"] == Use.UNUSED


def test_a_running_number_that_never_comes_again_is_not_a_feature(write, table, tmp_path):
    table = table.append_column("session", pa.array(np.arange(table.num_rows) // 4))
    assert uses(look(write(table), tmp_path))["session"] is Use.UNUSED


def test_a_day_that_a_folder_names_is_not_a_feature_but_a_change_that_stays_is(write, table, tmp_path):
    at = np.arange(table.num_rows) * 14 // table.num_rows
    table = table.append_column("day", pa.array([f"{d:02d}" for d in at]))
    table = table.append_column("release", pa.array(["old" if d < 5 else "new" for d in at]))
    table = table.append_column("shift", pa.array([f"s{d % 3}" for d in at]))
    found = uses(look(write(table), tmp_path))
    assert found["day"] is Use.UNUSED
    assert found["release"] == found["shift"] == Use.CATEGORICAL


def test_rows_without_label_or_time_are_left_out_and_counted(write, table, tmp_path):
    label = pa.array([None, 1, *np.asarray(table["clicked"])[2:].tolist()], pa.int8())
    found = look(write(table.set_column(3, "clicked", label)), tmp_path)
    assert found.working.rows == table.num_rows - 1
    assert any("1 rows without a label" in n for n in found.notes)


def test_rows_out_of_order_are_sorted_and_the_owner_is_told(write, table, tmp_path):
    found = look(write(table.take(pa.array(range(table.num_rows - 1, -1, -1)))), tmp_path)
    assert (np.diff(found.working.times) >= 0).all()
    assert any("sort the log before using it" in n for n in found.notes)
    assert found.working.labels.sum() == pc.sum(table["clicked"]).as_py()


def test_integer_times_are_read_in_the_unit_they_fit(write, table, tmp_path):
    seconds = pc.divide(table["ts"].cast("int64"), 1_000_000)
    found = look(write(table.set_column(0, "ts", seconds)), tmp_path)
    assert found.working.time_unit == "s"
    assert found.working.times[0] // 1_000_000 == seconds[0].as_py()


def whole_seconds(table):
    return table["ts"].cast(pa.timestamp("s", "UTC"), safe=False)


@pytest.mark.parametrize("form", ["%y%m%d%H", "%Y%m%d%H", "%Y%m%d%H%M", "%Y%m%d%H%M%S"])
def test_integers_that_are_digits_of_a_calendar_are_read_so(write, table, tmp_path, form):
    digits = pc.strftime(whole_seconds(table), form).cast("int64")
    found = look(write(table.set_column(0, "ts", digits)), tmp_path)
    assert found.working.time_format == form
    assert found.working.time_unit is None
    assert any(f"their digits were read as {form}" in n for n in found.notes)
    hour = found.working.times // 3_600_000_000
    assert hour.tolist() == pc.divide(table["ts"].cast("int64"), 3_600_000_000).to_pylist()


def test_a_form_that_is_named_reads_text_and_goes_into_the_resource(write, table, tmp_path):
    form = "%d/%m/%Y %H:%M:%S"
    text = pc.strftime(whole_seconds(table), form)
    text = pc.if_else(pa.array([i == 5 for i in range(table.num_rows)]), "soon", text)
    roles = Roles("ts", "clicked", time_format=form)
    found = look(write(table.set_column(0, "ts", text)), tmp_path, roles)
    assert found.working.bad_times == 1
    assert found.working.times[0] // 1_000_000 == table["ts"][0].as_py().timestamp() // 1


def test_zeros_that_numbers_lose_at_their_front_are_given_back():
    read = TimeColumn("ts", "%y%m%d%H").read(pa.chunked_array([[9_010_503, 14_102_100, None]]))
    assert [t and t.isoformat() for t in read.to_pylist()] == [
        "2009-01-05T03:00:00+00:00",
        "2014-10-21T00:00:00+00:00",
        None,
    ]


@pytest.mark.parametrize(
    ("values", "form", "told"),
    [
        ([1, 2, 3], None, "no time since 1970"),
        (["soon", "later"], None, "--time-format"),
        ([20_010_131], "%H", "has no year"),
        (["soon", "later"], "%Y%m%d", "soon, later is no time of this form"),
        ([1.5], None, "no time since 1970"),
        ([True], None, "not a time"),
    ],
)
def test_what_is_no_time_is_refused_with_what_to_say(values, form, told):
    with pytest.raises(EstimateError, match=told):
        TimeColumn("ts", form).read(pa.chunked_array([values]))


def test_seconds_since_1970_may_be_fractions():
    column = TimeColumn("ts", None)
    values = pa.chunked_array([[1_709_251_217.25, None, float("nan"), float("inf")]])
    times = [t and t.isoformat() for t in column.read(values).to_pylist()]
    assert times == ["2024-03-01T00:00:17.250000+00:00", None, None, None]
    assert column.unit == "s"


def test_a_form_for_a_column_of_times_is_refused(table):
    with pytest.raises(EstimateError, match="leave the option out"):
        TimeColumn("ts", "%Y").read(table["ts"])


def test_seconds_since_1970_are_not_taken_for_a_calendar():
    column = TimeColumn("ts", None)
    column.read(pa.chunked_array([[1_401_580_800, 1_401_667_200]]))
    assert (column.unit, column.form) == ("s", None)


def test_a_file_whose_name_says_nothing_is_known_by_its_first_bytes(write, table, tmp_path):
    assert open_log(write(table, "clicks")).format == "parquet"
    with pa.CompressedOutputStream(str(tmp_path / "clicks.gz"), "gzip") as file:
        pa_csv.write_csv(table, file)
    assert open_log(str(tmp_path / "clicks.gz")).format == "csv"


def test_a_folder_and_a_pattern_of_csv_files_are_one_log(table, tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    for i, start in enumerate(range(0, table.num_rows, 1_000)):
        pa_csv.write_csv(table.slice(start, 1_000), folder / f"part-{i}.csv")
    (folder / "_SUCCESS").touch()
    for place in (str(folder), str(folder / "part-*.csv")):
        found = look(place, tmp_path)
        assert found.working.rows == table.num_rows
        assert found.working.late == 0
    assert look(str(folder / "part-[01].csv"), tmp_path).working.rows == 2_000


def test_a_folder_named_as_hive_does_has_its_columns(write, table, tmp_path):
    for half in range(2):
        folder = tmp_path / "lake" / f"half={half}"
        folder.mkdir(parents=True)
        write(table.slice(half * 2_000, 2_000), folder / "part.parquet")
    assert "half" in open_log(str(tmp_path / "lake")).columns


def test_csv_with_text_times_is_read(table, tmp_path):
    text = table.set_column(0, "ts", pc.strftime(table["ts"], "%Y-%m-%dT%H:%M:%SZ"))
    with pa.CompressedOutputStream(str(tmp_path / "log.csv.gz"), "gzip") as file:
        pa_csv.write_csv(text, file)
    found = look(str(tmp_path / "log.csv.gz"), tmp_path)
    assert found.working.rows == table.num_rows


def test_a_label_can_be_made_of_a_number(write, table, tmp_path):
    delay = pa.array(np.arange(table.num_rows, dtype=float))
    found = look(
        write(table.set_column(3, "clicked", delay)), tmp_path, Roles("ts", "clicked", at_least=100.0)
    )
    assert found.working.positives == table.num_rows - 100


def test_without_a_key_equal_rows_are_counted_over_all_columns(write, table, tmp_path):
    doubled = pa.concat_tables([table, table]).sort_by("ts")
    found = look(write(doubled), tmp_path)
    assert any(f"{table.num_rows:,} of the last" in n for n in found.notes)


def test_features_may_name_columns_parts_of_times_and_crosses(write, table):
    features = parse("site, hour(ts), site*ad", open_log(write(table)), ROLES)
    assert features.config() == {
        "categorical": ["site", "ad"],
        "derived": {"ts_hour": {"from": "ts", "part": "hour"}},
        "crosses": [["site", "ad"]],
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sit", "did you mean site?"),
        ("clicked", "the label cannot be a feature"),
        ("year(ts)", "not one of hour"),
        (" , ", "no feature"),
    ],
)
def test_wrong_features_are_refused_with_what_is_allowed(write, table, text, words):
    with pytest.raises(EstimateError, match=words.replace("?", "[?]")):
        parse(text, open_log(write(table)), ROLES)


def tagged(rows, seed=3):
    """One to four of twenty tags a row."""
    random = np.random.default_rng(seed)
    return [
        [f"tag {i}" for i in random.choice(20, random.integers(1, 5), replace=False)] for _ in range(rows)
    ]


def test_columns_of_lists_are_features_with_as_many_values_as_rows_usually_have(write, table, tmp_path):
    table = table.append_column("tags", pa.array(tagged(table.num_rows)))
    table = table.append_column("history", pa.array([[i % 7] * (i % 60) for i in range(table.num_rows)]))
    found = look(write(table), tmp_path)
    assert uses(found)["tags"] is Use.LIST
    assert found.features.config()["lists"] == {"tags": {"most": 4}, "history": {"most": 32}}
    assert "tags" in found.features.names()
    assert "tags" not in found.key


@pytest.mark.parametrize(("mark", "between"), [("|", "|"), (";", "; "), (",", ",")])
def test_text_whose_parts_come_again_is_a_list_of_them(write, table, tmp_path, mark, between):
    words = [between.join(t).replace("tag ", "tag-") for t in tagged(table.num_rows)]
    words[0], words[1] = None, ""
    found = look(write(table.append_column("tags", pa.array(words))), tmp_path)
    assert found.features.config()["lists"] == {"tags": {"most": 4, "separator": mark}}
    assert f"tags is text, read as lists with {mark} between values." in found.notes


def test_lists_that_were_written_as_text_with_brackets_are_lists(write, table, tmp_path):
    words = [str(t).replace("tag ", "") for t in tagged(table.num_rows)]
    found = look(write(table.append_column("tags", pa.array(words))), tmp_path)
    assert found.features.config()["lists"] == {"tags": {"most": 4, "separator": ","}}


def test_places_and_sentences_are_no_lists(write, table, tmp_path):
    towns = ["New York, NY", "Albany, NY", "Newark, NJ", "Trenton, NJ"]
    table = table.append_column("town", pa.array([towns[i % 4] for i in range(table.num_rows)]))
    assert uses(look(write(table), tmp_path))["town"] is Use.CATEGORICAL


def test_what_holds_no_categories_is_not_used(write, table, tmp_path):
    table = table.append_column("odd", pa.array([[0.1] * (i % 5) for i in range(table.num_rows)]))
    table = table.append_column("long", pa.array([[0.1] * 1025] * table.num_rows))
    table = table.append_column("pair", pa.array([{"a": 1}] * table.num_rows))
    table = table.append_column("nothing", pa.array([[]] * table.num_rows, pa.list_(pa.int64())))
    found = uses(look(write(table), tmp_path))
    assert {found[name] for name in ("odd", "long", "pair", "nothing")} == {Use.UNUSED}


def test_a_list_that_tells_the_label_is_left_out_unless_it_is_named(write, table, tmp_path):
    seen = [["won"] if label else ["lost"] for label in table["clicked"].to_pylist()]
    path = write(table.append_column("seen", pa.array(seen)))
    assert uses(look(path, tmp_path))["seen"] is Use.LEAK
    named = look(path, tmp_path, features="site,seen")
    assert named.features.config()["lists"] == {"seen": {"most": 1}}
    assert any("seen is used because you named it" in note for note in named.notes)


def test_the_working_copy_is_not_written_into_the_log(write, table, tmp_path):
    path, folder = write(table, COPY), tmp_path / "log"
    (folder / "day").mkdir(parents=True)
    write(table, "log/day/rows.parquet")
    for log in (path, str(folder), str(tmp_path / "*.parquet")):
        inside = tmp_path if log != str(folder) else folder / "work"
        with pytest.raises(EstimateError, match=r"--workdir .*: its working copy would lie in the log"):
            look(log, inside)
    assert pq.read_table(path) == table


def test_of_several_labels_any_makes_a_row_positive(write, table, tmp_path):
    likes = [None if i % 9 == 0 else i % 5 == 0 for i in range(table.num_rows)]
    path = write(table.append_column("liked", pa.array(likes)))
    roles = Roles("ts", "clicked_or_liked", any_of=("clicked", "liked"))
    found = look(path, tmp_path, roles)
    known = {(1, None): 1, (0, None): None}
    labels = [
        known.get((click, like), int(click or bool(like)))
        for click, like in zip(table["clicked"].to_pylist(), likes, strict=True)
    ]
    assert found.working.labels.tolist() == [label for label in labels if label is not None]
    assert any("rows without a label (clicked or liked) were left out" in note for note in found.notes)
    assert found.features.names() == ["site", "ad", "hour(ts)", "weekday(ts)"]
    assert not {"clicked", "liked", roles.label} & set(found.key)
    with pytest.raises(EstimateError, match="--features liked: the label cannot be a feature"):
        look(path, tmp_path, roles, features="site,liked")


def test_lists_of_fractions_that_are_as_long_in_all_rows_are_vectors(write, table, tmp_path):
    random = np.random.default_rng(3)
    image = [None if i % 50 == 0 else random.normal(size=5) for i in range(table.num_rows)]
    path = write(table.append_column("image", pa.array(image)))
    for features in (None, "site,image"):
        found = look(path, tmp_path, features=features)
        assert found.features.config()["vectors"] == {"image": {"length": 5}}
        assert "image" in found.features.names()
        assert "image" not in found.key
    with pytest.raises(
        EstimateError, match=r"--features site\*image: image holds lists, which cannot be cross"
    ):
        look(path, tmp_path, features="site*image")


def test_vectors_of_different_lengths_are_refused_where_they_are_named(write, table, tmp_path):
    path = write(table.append_column("odd", pa.array([[0.1] * (i % 5) for i in range(table.num_rows)])))
    with pytest.raises(EstimateError, match="--features odd: no vectors: its rows have different numbers of"):
        look(path, tmp_path, features="site,odd")


def test_a_vector_that_tells_the_label_is_left_out(write, table, tmp_path):
    random = np.random.default_rng(4)
    label = table["clicked"].to_numpy()
    known = random.normal(size=(table.num_rows, 3)) * 0.3 + np.outer(label, [1.0, -1.0, 0.0])
    found = look(write(table.append_column("known", pa.array(list(known)))), tmp_path)
    assert uses(found)["known"] is Use.LEAK
    assert found.features.vectors == ()


def test_lists_whose_values_never_come_again_are_not_used(write, table, tmp_path):
    found = look(write(table.append_column("ids", pa.array([[i] for i in range(table.num_rows)]))), tmp_path)
    assert uses(found)["ids"] is Use.UNUSED


def test_a_list_in_a_cross_is_refused(write, table, tmp_path):
    path = write(table.append_column("tags", pa.array(tagged(table.num_rows))))
    with pytest.raises(
        EstimateError, match=r"--features site\*tags: tags holds lists, which cannot be crossed"
    ):
        look(path, tmp_path, features="site*tags")


@pytest.mark.parametrize("column", COLUMNS)
def test_a_column_of_any_type_is_looked_at_or_refused_with_its_name(tmp_path, column):
    path = str(motley.write(tmp_path / "motley.parquet"))
    plain, refusals = Roles("at", "click"), []
    for roles, named in (
        (Roles("at", column), {}),
        (Roles("at", column, at_least=0.5), {}),
        (Roles(column, "click"), {}),
        (Roles("at", "click", (column,)), {}),
        (Roles("at", "click", served=column), {}),
        (plain, {"features": column}),
        (plain, {"features": f"user*{column}"}),
        (plain, {"features": f"hour({column})"}),
        (plain, {"exclude": (column,)}),
    ):
        try:
            look(path, tmp_path, roles, **named)
        except EstimateError as refused:
            refusals.append(str(refused))
    assert [told for told in refusals if column not in told or "damaged" in told] == []
    assert len(refusals) < 9
