"""docs/howto/your-data.md names all that the reference trainer may be told, and nothing that it refuses."""

import re

import pytest
import yaml

from dataefficient_trainer.config import PARTS, TIME_PARTS, parse
from dataefficient_trainer.errors import UserError
from documentation.blocks import ROOT

PAGE = (ROOT / "docs/howto/your-data.md").read_text()
SHORT = re.findall(r"`((?:time|label|format): [^`…]+)`", PAGE)


def allowed(value):
    """The fields that a refusal lists."""
    with pytest.raises(UserError) as refused:
        parse(value)
    return str(refused.value).partition("allowed are ")[2].split(", ")


@pytest.mark.parametrize("text", SHORT)
def test_what_the_page_says_to_write_is_read(text):
    parse(yaml.safe_load(text))


def test_the_page_has_examples_of_every_kind_of_time_and_label():
    assert len(SHORT) >= 9


def test_every_field_is_on_the_page():
    fields = [*allowed({"?": 1}), *allowed({"features": {"?": 1}}), *allowed({"time": {"?": 1}})]
    fields += [*allowed({"label": {"?": 1}}), *PARTS, *TIME_PARTS]
    assert [field for field in fields if not re.search(rf"\b{field}\b", PAGE)] == []
