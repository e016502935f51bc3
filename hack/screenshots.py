"""Pictures of the report and of the terminal, for README and docs.

    python hack/screenshots.py WORKDIR OUTPUT

reads the work folder of a ``detctl run`` and writes report-light.png, report-dark.png, report-phone.png
and terminal.svg to OUTPUT. It needs Chromium on the PATH and no network.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from html import escape
from pathlib import Path

from dataefficient.report import build, text
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
DARK, LIGHT = 0, 1
COLUMNS = 100
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


def terminal(shown: str) -> str:
    """What the terminal shows, as a drawing."""
    lines = shown.rstrip("\n").split("\n")
    width, height = 2 * MARGIN + COLUMN * COLUMNS, 2 * MARGIN + LINE * len(lines)
    rows = "".join(
        f'<text x="{MARGIN}" y="{MARGIN + LINE * (i + 1) - 5}" xml:space="preserve">{escape(line)}</text>'
        for i, line in enumerate(lines)
    )
    style = "font-family:ui-monospace,Menlo,Consolas,'Liberation Mono',monospace;font-size:14px;fill:#e8ebee"
    box = f'<rect width="{width:.0f}" height="{height}" rx="8" fill="#13171b"/>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" style="{style}">'
    return f"{head}{box}{rows}</svg>\n"


def main() -> int:
    """Write all pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("workdir", type=Path, help="work folder of a detctl run")
    parser.add_argument("output", type=Path, help="folder for the pictures; made if it is not there")
    parser.add_argument("--height", type=int, default=1500, help="pixels of the wide pictures")
    given = parser.parse_args()
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        print(f"none of {', '.join(PROGRAMS)} is on the PATH; install Chromium", file=sys.stderr)
        return 1
    given.output.mkdir(parents=True, exist_ok=True)
    statement = build(given.workdir)
    (given.output / "terminal.svg").write_text(terminal(text.render(statement, COLUMNS)), encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        report, phone = Path(folder) / "report.html", Path(folder) / "phone.html"
        report.write_text(page.render(statement), encoding="utf-8")
        phone.write_text(PHONE.format(report.name, 1700), encoding="utf-8")
        wide = (1280, given.height)
        shoot(program, report.as_uri(), given.output / "report-light.png", wide, LIGHT)
        shoot(program, report.as_uri(), given.output / "report-dark.png", wide, DARK)
        shoot(program, phone.as_uri(), given.output / "report-phone.png", (500, 1700), LIGHT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
