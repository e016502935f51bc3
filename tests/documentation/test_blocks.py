"""Every command and manifest in README.md and docs/ is run, applied or counted among the exceptions."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
import yaml

from dataefficient.cli import COMMANDS, detctl
from documentation import blocks, stage
from documentation.blocks import ROOT, Block

PAGES = sorted(
    (page for page in blocks.pages() if "```" in page.read_text()),
    key=lambda page: (
        not stage.installs(blocks.of(page))
    ),  # the chart is then installed and removed least often
)
FENCE = "`" * 3


def all_blocks() -> list[Block]:
    return [block for page in PAGES for block in blocks.of(page)]


def treated(*languages: str) -> list[Block]:
    return [block for block in all_blocks() if block.language in languages]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_does_what_it_says(page, tmp_path, request):
    found = blocks.of(page)
    folder = stage.folder_like_a_clone(tmp_path)
    if stage.speaks_to_a_cluster(found):
        ground = request.getfixturevalue("ground")
        with ground.lent(installed=not stage.installs(found)) as cluster:
            stage.Stage(folder, cluster).play_all(found)
    else:
        stage.Stage(folder).play_all(found)


class StrictLoader(yaml.SafeLoader):
    """Refuses a key that is given twice."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        twice = [key for key, count in Counter(keys).items() if count > 1]
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"given twice: {twice}", node.start_mark)
        return super().construct_mapping(node, deep)


@pytest.mark.parametrize("block", treated("yaml"), ids=str)
def test_every_manifest_is_yaml_without_a_key_given_twice(block):
    documents = [one for one in yaml.load_all(block.text, StrictLoader) if one is not None]
    assert documents
    if block.needs:
        for one in documents:
            assert {"apiVersion", "kind", "metadata"} <= set(one), f"{block}: no object of Kubernetes"


def test_every_json_is_json_and_every_python_compiles():
    for block in treated("json", "python"):
        json.loads(block.text) if block.language == "json" else compile(block.text, str(block), "exec")


def test_every_query_is_one_that_prometheus_reads(tmp_path):
    if shutil.which("promtool") is None:
        pytest.skip("NOT TESTED: promtool, of the package prometheus, is not installed")
    found = treated("promql")
    rules = [
        {"record": f"docs:{i}", "expr": re.sub(r"\$\{windowSeconds\}", "3600", block.text)}
        for i, block in enumerate(found)
    ]
    place = tmp_path / "rules.yaml"
    place.write_text(yaml.safe_dump({"groups": [{"name": "docs", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", place], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def counted() -> Counter[str]:
    """How many blocks are run, applied, parsed and excepted."""
    count: Counter[str] = Counter()
    for block in all_blocks():
        if block.needs:
            count[f"needs {block.needs}"] += 1
        else:
            count[f"{block.language} {block.treatment}".strip()] += 1
    return count


def test_the_counts_are_told_and_most_blocks_are_run(record_property):
    count = counted()
    told = ", ".join(f"{number} {name}" for name, number in sorted(count.items()))
    record_property("told", f"Blocks of README.md and docs/: {told}")
    done = count["bash run"] + count["yaml apply"] + count["yaml valid"] + count["yaml values"]
    excepted = sum(number for name, number in count.items() if name.startswith("needs"))
    assert done > 2 * excepted


@pytest.mark.parametrize(
    ("info", "said"),
    [
        ("", "a block of 'no language'"),
        ("sh", "a block of 'sh'"),
        ("bash", "does not say what is done with it; add one of run, or needs="),
        ("bash runs", "does not say what is done with it"),
        ("bash needs=luck", "needs=luck is not one of"),
        ("bash run needs=pods", "cannot be read"),
        ("yaml apply twice", "cannot be read"),
    ],
)
def test_a_block_that_is_not_marked_is_refused_with_its_place(tmp_path, info, said):
    page = tmp_path / "page.md"
    page.write_text(f"# A page\n\n{FENCE}{info}\nmake demo\n{FENCE}\n")
    with pytest.raises(blocks.UnmarkedError, match=re.escape(said)) as caught:
        blocks.of_page(page, "page.md")
    assert str(caught.value).startswith("page.md:3: ")


def test_an_indented_block_is_not_marked_either(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A page\n\n    make demo\n")
    with pytest.raises(blocks.UnmarkedError, match=r"page\.md:3: a block of 'no language'"):
        blocks.of_page(page, "page.md")


def played(tmp_path: Path, *texts: str) -> None:
    page = tmp_path / "page.md"
    page.write_text("\n\n".join(texts))
    stage.Stage(tmp_path).play_all(blocks.of_page(page, "page.md"))


def test_a_command_that_fails_is_told_with_its_page_and_what_it_printed(tmp_path):
    with pytest.raises(stage.BlockError, match=r"(?s)page.md:1: exit code 3 .* no such luck"):
        played(tmp_path, f"{FENCE}bash run\necho no such luck; exit 3\n{FENCE}")


def test_output_that_was_not_printed_is_told(tmp_path):
    command = f"{FENCE}bash run\nprintf 'one  1\\ntwo 22 s\\n'\n{FENCE}"
    played(tmp_path, command, f"{FENCE}text output\none 1\ntwo … s\n{FENCE}")
    with pytest.raises(stage.BlockError, match="not printed, or not in this order: 'one 1'"):
        played(tmp_path, command, f"{FENCE}text output\ntwo … s\none 1\n{FENCE}")


def test_what_a_reader_fills_in_is_filled_in():
    assert stage.filled_in("kubectl get det NAME -n NAMESPACE") == "kubectl get det late-flights -n ads"
    assert stage.filled_in("echo $NAMES") == "echo $NAMES"


INLINE = re.compile(r"`(?:\.venv/bin/)?(detctl|make) ([a-z0-9-]+)([^`]*)`")


def test_every_command_named_in_a_sentence_exists():
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    wrong = []
    for page in blocks.pages():
        for program, name, rest in INLINE.findall(page.read_text()):
            if name not in (targets if program == "make" else COMMANDS):
                wrong.append(f"{page.relative_to(ROOT)}: {program} {name}")
            elif program == "detctl":
                command = detctl.get_command(None, name)
                known = {
                    opt
                    for parameter in command.params
                    for opt in (*parameter.opts, *parameter.secondary_opts)
                }
                given = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", rest)) - {"--help"}
                wrong += [f"{page.relative_to(ROOT)}: detctl {name} {option}" for option in given - known]
    assert wrong == []
