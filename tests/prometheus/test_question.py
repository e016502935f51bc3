import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataefficient.prometheus.placeholders import Subject, escaped, resolved
from dataefficient.prometheus.question import is_bare_selector

SUBJECT = Subject("ads", "late-flights", 3, "c003-candidate", "sha256:ab", 1200)


@pytest.mark.parametrize(
    "query",
    [
        "up",
        " up ",
        "a:b_1",
        "up{}",
        'up{job="a"}',
        'up{job=\'a\', x!="b",y=~`c.*`,z!~"d\\"}",}',
        '{__name__="up"}',
        'up {job="}{"}',
        '{"utf8.name", job="x"}',
    ],
)
def test_a_selector_and_nothing_else_is_bare(query):
    assert is_bare_selector(query)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "1",
        "NaN",
        "inf",
        "up[5m]",
        "up offset 5m",
        "up @ 1",
        "sum(up)",
        "up + up",
        "up == 1",
        "-up",
        "(up)",
        'up{job="a"} or x{job="b"}',
        'up{job="a"',
        "up # comment",
        "up\n+ 1",
        'up{job="a\nb"}',
    ],
)
def test_anything_more_is_not_bare(query):
    assert not is_bare_selector(query)


def test_every_variable_is_filled_in():
    query = 'x{a="${namespace}/${name}",b="${run}",c="${digest}",d="${cycle}"}[${windowSeconds}s] =~ "a$"'
    assert resolved(query, SUBJECT) == (
        'x{a="ads/late-flights",b="c003-candidate",c="sha256:ab",d="3"}[1200s] =~ "a$"'
    )


def test_an_unknown_variable_is_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match=r"\$\{pod\} is no variable"):
        resolved("${pod}", SUBJECT)


@given(value=st.text())
def test_no_value_can_end_the_string_that_it_stands_in(value):
    text = escaped(value)
    assert not set(text) & set("\"'`\n\r${}()[], ")
    assert text.isascii()
    assert text.encode().decode("unicode_escape") == value or any(0xD800 <= ord(x) < 0xE000 for x in value)
