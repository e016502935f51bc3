import pytest

from dataefficient.api.document import MAX_BYTES, read
from dataefficient.api.load import InvalidResource


def message(text: str) -> str:
    with pytest.raises(InvalidResource) as caught:
        read(text, "file.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1e-3", 0.001),
        ("1E6", 1e6),
        (".5", 0.5),
        ("1.", 1.0),
        ("12", 12),
        ("-3", -3),
        ("0x1f", 31),
        ("1:30", "1:30"),
        ("2001-01-01", "2001-01-01"),
        ("2001-01-01T00:00:00Z", "2001-01-01T00:00:00Z"),
        ("1.2.3", "1.2.3"),
        ("yes", True),
        ("~", None),
        ("'1e-3'", "1e-3"),
        ("=", "="),
    ],
)
def test_a_scalar_means_what_kubectl_takes_it_for(written, meant):
    assert read(f"a: {written}", "f").value == {"a": meant}


def test_each_field_has_its_line():
    lines = read("a:\n  b: 1\n  c:\n  - 2\n  - d: 3\n", "f").lines
    assert lines["a", "c", 1, "d"] == 5
    assert lines["a", "b"] == 2


def test_a_syntax_error_has_line_and_column():
    assert "file.yaml:3: " in message("a: 1\nb: [1, 2\nc: 3\n")
    assert "at line 3, column 2: " in message("a: 1\nb: [1, 2\nc: 3\n")


def test_a_collection_as_a_key_is_a_syntax_error():
    assert "file.yaml:1: " in message("{? [a] : 1}\n")


def test_a_tab_is_named_as_the_cause():
    assert "indent with blanks, not tabs" in message("a:\n\tb: 1\n")


@pytest.mark.parametrize("text", ["", "---\n", "# only a comment\n", "null\n"])
def test_an_empty_file_is_told(text):
    assert "found nothing; allowed: one resource" in message(text)


def test_several_documents_are_told():
    assert "2 documents" in message("a: 1\n---\nb: 2\n")


def test_an_empty_second_document_does_no_harm():
    assert read("a: 1\n---\n", "f").value == {"a": 1}


def test_control_characters_are_told():
    assert "not YAML" in message("a: \x00\n")


def test_a_text_beyond_the_limit_is_refused_before_it_is_parsed():
    assert "at most 1048576 bytes" in message("a" * (MAX_BYTES + 1))


def test_aliases_cannot_multiply_without_end():
    text = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
        for before, name in zip("abcdef", "bcdefg", strict=True)
    )
    assert "too many values" in message(text)


@pytest.mark.parametrize("text", ["a: &a [*a]\n", "a: " + "[" * 100 + "]" * 100, "[" * 20_000])
def test_values_cannot_nest_without_end(text):
    assert "nested too deep" in message(text)


def test_anchors_and_merges_are_read():
    assert read("a: &a {x: 1}\nb: {<<: *a, y: 2}\n", "f").value["b"] == {"x": 1, "y": 2}


@pytest.mark.parametrize("key", ["1", "true", "~", "2.5"])
def test_a_key_that_is_no_string_is_a_problem(key):
    document = read(f"a: {{? {key} : 2, b: 3}}\n", "f")
    assert document.value == {"a": {"b": 3}}
    assert [path for path, _ in document.problems] == [("a",)]


@pytest.mark.parametrize("tagged", ["!!binary aGk=", "!!set {a}", "!!timestamp 2001-01-01"])
def test_other_types_are_problems(tagged):
    assert [path for path, _ in read(f"a: {tagged}\n", "f").problems] == [("a",)]


def test_a_tag_of_the_users_own_is_a_syntax_error():
    assert "line 1" in message("a: !secret x\n")
