"""Writes the generated pages of the site: the resource, its status, the contract, the chart, detctl, metrics.

python hack/reference_pages            write them to docs/
python hack/reference_pages --check    exit 1 and name those that are out of step
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import commands
import fields
import messages

import chart
from dataefficient.telemetry import reference

DOCS = Path(__file__).parents[2] / "docs"
PAGES: Mapping[str, Callable[[], str]] = {
    "reference/resource.md": fields.resource,
    "reference/status.md": fields.status,
    "reference/contract.md": messages.page,
    "reference/chart.md": chart.page,
    "reference/detctl.md": commands.page,
    "metrics.md": reference.page,
}


def main() -> int:
    """Write or check all pages."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; name what is out of step")
    check = parser.parse_args().check
    stale = []
    for name, page in PAGES.items():
        place, text = DOCS / name, page()
        if not place.exists() or place.read_text() != text:
            stale.append(name)
            if not check:
                place.parent.mkdir(exist_ok=True)
                place.write_text(text)
    if check and stale:
        print(f"out of step: {', '.join(stale)}; run: python hack/reference_pages", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
