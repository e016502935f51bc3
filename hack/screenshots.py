"""Pictures of the report and of the terminal, for README and docs.

    make demo && python hack/screenshots.py

reads the work folder of a ``detctl run`` and writes report.png, report-dark.png, report-phone.png, why.svg
and status.svg, which a README can show. The status is what ``kubectl det status`` prints of such a resource.
It needs Chromium on the PATH, and no network.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
from html import escape
from io import StringIO
from pathlib import Path

from rich.console import Console

from dataefficient.cluster.status import status
from dataefficient.cluster.view import View
from dataefficient.cycle.model import CycleRecord
from dataefficient.kubectl.looking import show_list, show_one
from dataefficient.kubectl.page import Page
from dataefficient.local.errors import WrongInputError
from dataefficient.local.store import Store
from dataefficient.local.why import explain
from dataefficient.report import build
from dataefficient.report import html as page

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
ROOT = Path(__file__).parents[1]
DARK, LIGHT = 0, 1
COLUMNS = 100
COLOURS = {"1": "font-weight:bold;", "31": "fill:#ff7b72;", "32": "fill:#7ee787;", "33": "fill:#e3b341;"}
"""By the terminal's code."""
LINE, MARGIN, COLUMN = 18, 24, 8.43
PHONE = "<body style='margin:0'><iframe src='{}' style='border:0;width:390px;height:{}px'></iframe>"
"""Chromium makes no window narrower than 500 pixels, but a frame within one."""


def shoot(program: str, address: str, picture: Path, size: tuple[int, int], scheme: int) -> None:
    """One picture of a page, in light or dark."""
    with tempfile.TemporaryDirectory() as profile:
        arguments = [
            f"--user-data-dir={profile}",
            f"--blink-settings=preferredColorScheme={scheme}",
            f"--window-size={size[0]},{size[1]}",
            f"--screenshot={picture}",
        ]
        subprocess.run([program, *QUIET, *arguments, address], check=True, capture_output=True, timeout=120)


def printed(store: Store) -> str:
    """What ``kubectl det status`` prints of the resource in a work folder, colours included."""
    resource, memory = store.resource(), store.memory()
    now = memory.history[-1].end
    assert memory.champion is not None, "a cycle has finished"
    body = {
        "metadata": {"namespace": resource.metadata.namespace, "name": resource.metadata.name},
        "spec": resource.spec.model_dump(mode="json", by_alias=True),
        "status": status(View(resource, memory, now)),
    }
    body["status"]["champion"]["uri"] = memory.champion.checkpoint.uri.replace(str(store.folder), "work/demo")
    out = StringIO()
    console = Console(
        file=out, width=COLUMNS, force_terminal=True, highlight=False, markup=False, soft_wrap=True
    )
    shown, again = Page(console), f"{resource.metadata.name} -n {resource.metadata.namespace}"
    out.write("$ kubectl det status\n")
    show_list(shown, [body], everywhere=False)
    out.write(f"\n$ kubectl det status {resource.metadata.name}\n")
    show_one(shown, body, now=now, again=again)
    return out.getvalue()


def told(store: Store) -> str:
    """What ``detctl why`` prints of the cycle that refused its options for the most reasons."""
    memory = store.memory()

    def reasons(record: CycleRecord) -> int:
        return len({option.verdict for option in record.plan.options}) if record.plan else 0

    cycle = max(memory.history, key=reasons).cycle
    lines = explain(memory, store.resource().spec, cycle).lines
    wrapped = [
        part for line in lines for part in (textwrap.wrap(line, COLUMNS, subsequent_indent="    ") or [""])
    ]
    return "\n".join((f"$ detctl why work/demo --cycle {cycle}", *wrapped))


def terminal(shown: str) -> str:
    """What the terminal shows, as a drawing."""
    lines = shown.rstrip("\n").split("\n")
    width, height = 2 * MARGIN + COLUMN * COLUMNS, 2 * MARGIN + LINE * len(lines)
    rows = "".join(
        f'<text x="{MARGIN}" y="{MARGIN + LINE * (i + 1) - 5}" xml:space="preserve">{_coloured(line)}</text>'
        for i, line in enumerate(lines)
    )
    style = "font-family:ui-monospace,Menlo,Consolas,'Liberation Mono',monospace;font-size:14px;fill:#e8ebee"
    box = f'<rect width="{width:.0f}" height="{height}" rx="8" fill="#13171b"/>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" style="{style}">'
    return f"{head}{box}{rows}</svg>\n"


def _coloured(line: str) -> str:
    """A line with the terminal's colours as the drawing's."""
    parts, style = [], ""
    for piece in re.split(r"(\x1b\[[0-9;]*m)", line):
        if piece.startswith("\x1b"):
            codes = piece[2:-1].split(";")
            style = "".join(COLOURS.get(code, "") for code in codes)
        elif piece:
            parts.append(f'<tspan style="{style}">{escape(piece)}</tspan>' if style else escape(piece))
    return "".join(parts)


def main() -> int:
    """Write all pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "workdir", type=Path, nargs="?", default=ROOT / "work" / "demo", help="work folder of a detctl run"
    )
    parser.add_argument(
        "output",
        type=Path,
        nargs="?",
        default=ROOT / "docs" / "images",
        help="folder for the pictures; made if it is not there",
    )
    parser.add_argument("--height", type=int, default=1500, help="pixels of the wide pictures")
    given = parser.parse_args()
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        print(f"none of {', '.join(PROGRAMS)} is on the PATH; install Chromium", file=sys.stderr)
        return 1
    given.output.mkdir(parents=True, exist_ok=True)
    try:
        store = Store.open(given.workdir)
    except WrongInputError as error:
        print(f"{error} `make demo` makes one.", file=sys.stderr)
        return 1
    statement = build(given.workdir)
    for name, shown in (("status", printed(store)), ("why", told(store))):
        (given.output / f"{name}.svg").write_text(terminal(shown), encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        report, phone = Path(folder) / "report.html", Path(folder) / "phone.html"
        report.write_text(page.render(statement), encoding="utf-8")
        phone.write_text(PHONE.format(report.name, 1700), encoding="utf-8")
        wide = (1280, given.height)
        shoot(program, report.as_uri(), given.output / "report.png", wide, LIGHT)
        shoot(program, report.as_uri(), given.output / "report-dark.png", wide, DARK)
        shoot(program, phone.as_uri(), given.output / "report-phone.png", (500, 1700), LIGHT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
