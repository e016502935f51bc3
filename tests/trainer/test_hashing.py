from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from dataefficient_trainer.hashing import NULL, combine, hash_column, salt, uniform

HOUR = timedelta(hours=1)


def test_a_value_hashes_alike_in_every_width_and_encoding():
    wide = hash_column(pa.array([1, 2, -3], pa.int64()))
    assert (hash_column(pa.array([1, 2, -3], pa.int8())) == wide).all()
    texts = pa.array(["ATL", "a longer name than eight", None, "ATL", ""])
    plain = hash_column(texts)
    assert (hash_column(texts.dictionary_encode()) == plain).all()
    assert (hash_column(texts.cast(pa.large_string())) == plain).all()
    assert plain[0] == plain[3] != plain[1]
    times = pa.array([1_000_000, 2_000_000], pa.timestamp("us"))
    assert (hash_column(times.cast(pa.timestamp("ms"))) == hash_column(times)).all()


def test_the_hash_never_changes_between_versions():
    assert [int(h) for h in hash_column(pa.array(["ATL", "a longer name"]))] == [
        int(h) for h in hash_column(pa.array(["x", "ATL", "a longer name"]).slice(1))
    ]
    assert int(hash_column(pa.array([42]))[0]) == EXPECTED_42
    assert int(hash_column(pa.array(["ATL"]))[0]) == EXPECTED_ATL


def test_a_missing_value_has_its_own_hash():
    assert hash_column(pa.array([None, 0], pa.int32()))[0] == NULL
    assert hash_column(pa.array([0], pa.int32()))[0] != NULL
    assert hash_column(pa.array([None, 1.5]))[0] == NULL


def test_texts_that_differ_in_one_byte_or_in_length_differ():
    texts = ["", "a", "b", "aa", "aaaaaaaa", "aaaaaaaaa", "aaaaaaaab", "a\0", "\0a"]
    assert len(set(hash_column(pa.array(texts)).tolist())) == len(texts)


def test_shares_by_hash_are_even_and_independent_between_salts():
    keys = hash_column(pa.array(np.arange(100_000)))
    first, second = uniform(keys, salt("one")), uniform(keys, salt("two"))
    assert abs((first < 0.3).mean() - 0.3) < 0.005
    assert abs(((first < 0.3) & (second < 0.5)).mean() - 0.15) < 0.005


def test_the_order_of_key_columns_counts():
    a, b = hash_column(pa.array([1, 2])), hash_column(pa.array([2, 1]))
    assert (combine([a, b]) != combine([b, a])).all()


MOMENT = datetime(2024, 2, 29, 13, 5, 7)
FLAT = [
    *(
        (kind, [1, 2])
        for kind in (pa.int8(), pa.uint16(), pa.uint64(), pa.float16(), pa.float32(), pa.float64())
    ),
    (pa.bool_(), [False, True]),
    *((pa.timestamp(unit, tz="Asia/Tokyo"), [MOMENT, MOMENT + HOUR]) for unit in ("s", "ms", "us", "ns")),
    *((kind, [MOMENT.date(), MOMENT.date() + 24 * HOUR]) for kind in (pa.date32(), pa.date64())),
    *(
        (kind, [MOMENT.time(), (MOMENT + HOUR).time()])
        for kind in (pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns"))
    ),
    *((pa.duration(unit), [HOUR, 2 * HOUR]) for unit in ("s", "ns")),
    *((kind(9, 2), [Decimal("1.25"), Decimal("7")]) for kind in (pa.decimal128, pa.decimal256)),
    *((kind, ["one", "two"]) for kind in (pa.string(), pa.large_string(), pa.string_view())),
    *((kind, [b"one", b"two"]) for kind in (pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(3))),
]


@pytest.mark.parametrize(
    ("kind", "values"), FLAT, ids=lambda value: str(value) if isinstance(value, pa.DataType) else ""
)
def test_every_type_that_is_not_nested_has_hashes(kind, values):
    first, second = values
    hashes = hash_column(pa.array([first, second, None, first], kind))
    assert hashes[0] == hashes[3] != hashes[1]
    assert hashes[2] == NULL
    assert NULL not in {hashes[0], hashes[1]}


def test_a_nested_column_is_refused():
    with pytest.raises(TypeError):
        hash_column(pa.array([[1]]))


EXPECTED_42 = 13679457532755275413  # the published first output of SplitMix64 from 42
EXPECTED_ATL = 4733526925392806027
