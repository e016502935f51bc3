"""Two small SVG pictures for the page: the history's curve, and the arms with their bounds."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from html import escape
from statistics import median

from dataefficient.estimate.findings import Finding, History

_WIDTH = 640.0


def _ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round values that span [low, high]."""
    raw = (high - low) / count
    unit = 10 ** math.floor(math.log10(raw))
    step = next(m * unit for m in (1, 2, 2.5, 5, 10) if m * unit >= raw)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _percent(value: float) -> str:
    return f"{100 * value:+.3g} %" if abs(value) > 1e-12 else "0 %"


def _text(x: float, y: float, words: str, anchor: str = "middle", kind: str = "axis") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">{escape(words)}</text>'


def _rows(rows: float) -> str:
    return f"{rows / 1e6:.3g}M" if rows >= 1e6 else f"{rows / 1e3:.3g}k" if rows >= 1e3 else f"{rows:.0f}"


def curve(past: History, tolerance: float) -> str:
    """Relative log loss by length of history (log scale), with one standard error and the tolerance."""
    left, right, top, bottom, height = 70.0, 20.0, 20.0, 48.0, 280.0
    points = past.rungs
    low = min(0.0, *(p.gap - p.error for p in points))
    high = max(1.5 * tolerance, *(p.gap + p.error for p in points))
    low, high = low - 0.05 * (high - low), high + 0.05 * (high - low)
    first, last = math.log2(points[0].rows), math.log2(points[-1].rows)

    def x(rows: float) -> float:
        return left + (math.log2(rows) - first) / max(1e-9, last - first) * (_WIDTH - left - right)

    def y(gap: float) -> float:
        return top + (high - gap) / (high - low) * (height - top - bottom)

    out = [
        f'<svg viewBox="0 0 {_WIDTH:.0f} {height:.0f}" role="img" aria-label="Log loss by length of history">'
    ]
    out.append(
        f'<rect class="band" x="{left}" width="{_WIDTH - left - right}" '
        f'y="{y(tolerance):.1f}" height="{y(low) - y(tolerance):.1f}"/>'
    )
    for tick in _ticks(low, high):
        out.append(
            f'<line class="grid" x1="{left}" x2="{_WIDTH - right}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>'
        )
        out.append(_text(left - 8, y(tick) + 4, _percent(tick), "end"))
    path = " ".join(f"{x(p.rows):.1f},{y(p.gap):.1f}" for p in points)
    out.append(f'<polyline class="line" points="{path}"/>')
    for p in points:
        at = x(p.rows)
        out.append(
            f'<line class="error" x1="{at:.1f}" x2="{at:.1f}" '
            f'y1="{y(p.gap - p.error):.1f}" y2="{y(p.gap + p.error):.1f}"/>'
        )
        out.append(
            f'<circle class="dot" cx="{at:.1f}" cy="{y(p.gap):.1f}" r="4">'
            f"<title>{p.rows:,} rows: log loss {p.loss:.5f}</title></circle>"
        )
        out.append(_text(at, height - bottom + 18, _rows(p.rows)))
    if past.rows is not None:
        at = x(past.rows)
        out.append(f'<line class="mark" x1="{at:.1f}" x2="{at:.1f}" y1="{top}" y2="{height - bottom}"/>')
        out.append(_text(at, top - 6, "enough from here", kind="note"))
    out.append(_text((left + _WIDTH - right) / 2, height - 8, "latest rows trained on"))
    return "".join((*out, "</svg>"))


def arms(findings: Sequence[Finding], tolerance: float) -> str:
    """Each arm's relative log loss with its one-sided bounds; beyond the axis they are cut."""
    row, top, bottom, label = 42.0, 8.0, 46.0, 250.0
    height = top + row * len(findings) + bottom
    # One arm far off must not squeeze the others together: it is drawn at the edge.
    limit = max(4 * tolerance, 2 * median(max(abs(f.low), abs(f.high)) for f in findings))

    def x(gap: float) -> float:
        return label + (min(limit, max(-limit, gap)) + limit) / (2 * limit) * (_WIDTH - label - 16)

    base = height - bottom
    out = [
        f'<svg viewBox="0 0 {_WIDTH:.0f} {height:.0f}" role="img" aria-label="Cost of each way of training">'
    ]
    out.append(
        f'<rect class="band" x="{x(-limit):.1f}" width="{x(tolerance) - x(-limit):.1f}" '
        f'y="{top}" height="{base - top}"/>'
    )
    for tick in _ticks(-limit, limit, 4):
        out.append(f'<line class="grid" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{top}" y2="{base}"/>')
        out.append(_text(x(tick), base + 16, _percent(tick)))
    for i, f in enumerate(findings):
        y = top + row * (i + 0.5)
        kind = f.status.value.lower()
        out.append(_label(f.title, label - 10, y))
        out.append(
            f'<line class="error {kind}" x1="{x(f.low):.1f}" x2="{x(f.high):.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        out.append(
            f'<circle class="dot {kind}" cx="{x(f.gap):.1f}" cy="{y:.1f}" r="5">'
            f"<title>{escape(f.title)}: {100 * f.gap:+.2f} %</title></circle>"
        )
    out.append(
        _text(
            (label + _WIDTH) / 2, height - 8, "log loss; shaded: inside the tolerance; at the edge: beyond it"
        )
    )
    return "".join((*out, "</svg>"))


def _label(words: str, x: float, y: float) -> str:
    """A title on as many lines as it needs."""
    lines = textwrap.wrap(words, 36)
    first = y + 4 - 6.5 * (len(lines) - 1)
    return "".join(_text(x, first + 13 * i, line, "end", "label") for i, line in enumerate(lines))
