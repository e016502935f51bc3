"""The site builds strictly, alone, and says what there is to say of everything that it must."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from sphinx.errors import SphinxError

from dataefficient.api.conditions import REASONS, ConditionType, Reason
from documentation.blocks import ROOT, pages

DOCS = ROOT / "docs"


def build(source: Path, site: Path) -> subprocess.CompletedProcess[str]:
    options = ("--quiet", "--fail-on-warning", "--keep-going", "--nitpicky")
    command = [sys.executable, "-m", "sphinx", *options, source, site]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("site")
    done = build(DOCS, place)
    assert done.returncode == 0, done.stderr
    return place


def test_every_page_is_in_the_site(site):
    for page in DOCS.rglob("*.md"):
        assert (site / page.relative_to(DOCS)).with_suffix(".html").is_file(), page


class Loads(HTMLParser):
    """What a browser fetches for a page by itself; links that a reader follows are not among it."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag in ("script", "img", "iframe", "source"):
            self.found.append(given.get("src") or "")
        if tag == "link" and given.get("rel") in ("stylesheet", "preload", "icon", "preconnect"):
            self.found.append(given.get("href") or "")


def test_no_page_loads_anything_from_elsewhere(site):
    for page in site.rglob("*.html"):
        loads = Loads()
        loads.feed(page.read_text())
        assert [one for one in loads.found if "//" in one] == [], page
    for style in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)[^;)]*//", style.read_text()), style


def test_formulas_are_drawn_by_the_browser_itself(site):
    text = (site / "concepts" / "sampling.html").read_text()
    assert text.count("<math ") > 20
    assert "$" not in re.sub(r"<(pre|code|script).*?</\1>", "", text, flags=re.DOTALL)


def test_what_leads_nowhere_ends_the_build_and_all_of_it_is_told(tmp_path):
    source = tmp_path / "docs"
    source.mkdir()
    for name in ("conf.py", "_ext", "_static", "approving.md"):
        copy = shutil.copytree if (DOCS / name).is_dir() else shutil.copy
        copy(DOCS / name, source / name)
    lost = ("[gone](nowhere.md)", "[gone](approving.md#nowhere)", "![gone](images/nowhere.png)")
    (source / "index.md").write_text("\n\n".join(["# A page", *lost]))
    done = build(source, tmp_path / "site")
    assert done.returncode != 0
    assert "'myst' cross-reference target not found: 'nowhere.md'" in done.stderr
    assert "'approving.md#nowhere'" in done.stderr or "'nowhere'" in done.stderr
    assert "image file not readable: images/nowhere.png" in done.stderr
    assert "approving.md: WARNING: document isn't included in any toctree" in done.stderr


def extension(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / "_ext" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_formula_that_cannot_be_translated_is_told_with_its_text():
    translated = extension("native_math").translated
    assert "<msup>" in translated("x^2", block=False)
    with pytest.raises(SphinxError, match=r"cannot be translated: '\\\\nosuchcommand"):
        translated(r"\nosuchcommand{x}", block=True)


def test_a_link_to_what_the_site_cannot_show_becomes_its_words(tmp_path):
    without = extension("repository_links").without_outside
    (tmp_path / "docs").mkdir()
    (tmp_path / "crds").mkdir()
    page = tmp_path / "docs" / "page.md"
    (tmp_path / "OTHER.md").touch()
    (tmp_path / "docs" / "inside.md").touch()
    for text, shown in (
        ("in [`crds/`](../crds), and", "in `crds/`, and"),
        ("in [`crds/`](../gone), and", "in [`crds/`](../gone), and"),
        ("[other](../OTHER.md)", "other"),
        ("[inside](../docs/inside.md)", "[inside](../docs/inside.md)"),
    ):
        assert without(text, page, tmp_path / "docs") == shown


def test_the_readmes_links_lead_to_files_and_headings():
    lost = []
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"):
        for address in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            name, _, anchor = address.partition("#")
            target = ROOT / name if name else page
            if "://" not in address and not (target.exists() and (not anchor or anchor in slugs(target))):
                lost.append(f"{page.name}: {address}")
    assert lost == []


def slugs(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_images_are_named_in_the_version_of_the_chart():
    chart = yaml.safe_load((ROOT / "charts" / "data-efficient-training" / "Chart.yaml").read_text())
    image = re.compile(r"(?:det|data-efficient-training)/(?:operator|trainer|flights):([\w.]+)")
    for page in pages():
        assert set(image.findall(page.read_text())) <= {chart["appVersion"]}, page


def test_the_generated_pages_are_in_step():
    command = [sys.executable, ROOT / "hack" / "reference_pages", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


TROUBLESHOOTING = (DOCS / "troubleshooting.md").read_text()


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_its_entry(reason):
    entries = re.findall(rf"^### {reason}\n\n(\S.*)$", TROUBLESHOOTING, re.MULTILINE)
    assert len(entries) == 1, f"write one entry '### {reason}' in docs/troubleshooting.md"


@pytest.mark.parametrize("kind", ConditionType)
def test_every_condition_lists_its_reasons(kind):
    (row,) = re.findall(rf"^\| `{kind}`: (.*)$", TROUBLESHOOTING, re.MULTILINE)
    listed = re.findall(r"\[(\w+)\]\(#(\w+)\)", row)
    assert {name for name, _ in listed} == REASONS[kind] - {Reason.NOT_YET_KNOWN}
    assert all(anchor == name.lower() for name, anchor in listed)


def test_no_entry_is_of_a_reason_that_does_not_exist():
    assert set(re.findall(r"^### (\w+)$", TROUBLESHOOTING, re.MULTILINE)) == {
        str(reason) for reason in Reason
    }
