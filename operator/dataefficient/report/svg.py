"""A small plotting module: scales, axes and marks as inline SVG.

Marks carry CSS classes and no colour of their own, so that one style sheet serves light and dark, and
print. Every mark may carry a ``<title>``, which browsers show as a tooltip. It draws what it is given:
what a plot means is in ``curve_plots`` and ``cycle_plots``.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil, floor, log10

XY = tuple[float, float]
_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 does not allow in a document."""


def escape(text: str) -> str:
    """Text that may stand in an element or a quoted attribute."""
    return html.escape(_FORBIDDEN.sub("\ufffd", text), quote=True)


@dataclass(frozen=True)
class Scale:
    """From values to pixels; ``log`` for a logarithmic axis."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Pixels of ``value``."""
        low, high, at = self.low, self.high, value
        if self.log:
            low, high, at = log10(low), log10(high), log10(max(value, 1e-300))
        part = 0.5 if high == low else (at - low) / (high - low)
        return self.start + part * (self.end - self.start)


def nice_ticks(low: float, high: float, count: int) -> list[float]:
    """About ``count`` round values from ``low`` to ``high``."""
    if not high > low:
        return [low]
    raw = (high - low) / max(count, 1)
    magnitude: float = 10.0 ** floor(log10(raw))
    step = next(s * magnitude for s in (1.0, 2.0, 2.5, 5.0, 10.0) if s * magnitude >= raw * 0.999)
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    return [i * step for i in range(first, last + 1)]


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """1, 2 and 5 times powers of ten from ``low`` to ``high``, thinned to at most ``most``."""
    decades = range(floor(log10(low)), ceil(log10(high)) + 1)
    found: list[float] = []
    for steps in ((1.0, 2.0, 5.0), (1.0, 3.0), (1.0,)):
        found = [s * 10.0**d for d in decades for s in steps if low * 0.999 <= s * 10.0**d <= high * 1.001]
        if len(found) <= most:
            break
    return found or [low, high]


def padded(values: Sequence[float], share: float = 0.08) -> tuple[float, float]:
    """Range of the values with room at both ends."""
    low, high = min(values), max(values)
    room = (high - low) * share or abs(high) * share or 1.0
    return low - room, high + room


@dataclass(frozen=True)
class Frame:
    """Outer size of a drawing and whether it is for a narrow screen."""

    width: float
    height: float
    narrow: bool = False


@dataclass
class Canvas:
    """Marks gathered in drawing order, then written once."""

    frame: Frame
    name: str
    """Prefix of all ids in this drawing, unique in the page."""
    marks: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    """Marks that are written last, over all others."""
    clips: int = 0

    def add(self, tag: str, classes: str, title: str = "", text: str = "", **attributes: object) -> None:
        """One element; numbers are rounded to a tenth of a pixel."""
        given = "".join(
            f' {key.replace("_", "-")}="{_value(value)}"'
            for key, value in attributes.items()
            if value is not None
        )
        tip = f"<title>{escape(title)}</title>" if title else ""
        self.marks.append(f'<{tag} class="{classes}"{given}>{tip}{escape(text)}</{tag}>')

    def line(self, points: Sequence[XY], classes: str, title: str = "") -> None:
        """A polyline."""
        if len(points) > 1:
            self.add("path", f"line {classes}", title, d=_path(points))

    def band(self, upper: Sequence[XY], lower: Sequence[XY], classes: str, title: str = "") -> None:
        """The area between two polylines over the same x."""
        if len(upper) > 1:
            self.add("path", f"band {classes}", title, d=_path([*upper, *reversed(lower)]) + "Z")

    def rect(self, corner: XY, size: XY, classes: str, title: str = "") -> None:
        """A rectangle by its upper left corner, width and height."""
        width, height = max(size[0], 0.0), max(size[1], 0.0)
        self.add("rect", classes, title, x=corner[0], y=corner[1], width=width, height=height)

    def text(self, at: XY, words: str, classes: str = "", anchor: str = "start") -> None:
        """A line of text."""
        anchor_class = {"start": "", "middle": " mid", "end": " end"}[anchor]
        self.add("text", f"{classes}{anchor_class}".strip() or "t", text=words, x=at[0], y=at[1])

    def point(self, at: XY, classes: str, title: str = "", shape: int = 0, *, size: float = 4.0) -> None:
        """A marker: circle, square, diamond or triangle."""
        x, y = at
        if shape % 4 == 0:
            self.add("circle", f"point {classes}", title, cx=x, cy=y, r=size)
            return
        corners = (
            [(x - size, y - size), (x + size, y - size), (x + size, y + size), (x - size, y + size)],
            [(x, y - 1.3 * size), (x + 1.3 * size, y), (x, y + 1.3 * size), (x - 1.3 * size, y)],
            [(x, y - 1.2 * size), (x + 1.2 * size, y + size), (x - 1.2 * size, y + size)],
        )[shape % 4 - 1]
        self.add("path", f"point {classes}", title, d=_path(corners) + "Z")

    def whisker(self, x: float, low: float, high: float, classes: str) -> None:
        """A vertical interval with caps."""
        path = f"M{_n(x)} {_n(low)}V{_n(high)}M{_n(x - 3)} {_n(low)}h6M{_n(x - 3)} {_n(high)}h6"
        self.add("path", f"whisker {classes}", d=path)

    def clipped(self, x: float, y: float, width: float, height: float) -> Callable[[], None]:
        """Clip what follows to a rectangle; call the result to end it."""
        self.clips += 1
        name = f"{self.name}-clip-{self.clips}"
        box = f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}"/>'
        self.marks.append(f'<clipPath id="{name}">{box}</clipPath><g clip-path="url(#{name})">')
        return lambda: self.marks.append("</g>")

    def render(self, title: str, description: str) -> str:
        """The drawing as one ``<svg>`` element with a title and a description for screen readers."""
        width, height = _n(self.frame.width), _n(self.frame.height)
        kind = "narrow" if self.frame.narrow else "wide"
        head = f'<svg class="plot {kind}" viewBox="0 0 {width} {height}" role="img"'
        labels = f' aria-labelledby="{self.name}-title {self.name}-desc">'
        words = f'<title id="{self.name}-title">{escape(title)}</title>'
        words += f'<desc id="{self.name}-desc">{escape(description)}</desc>'
        return head + labels + words + "".join(self.marks + self.names) + "</svg>"


@dataclass(frozen=True)
class Axes:
    """A plotting area within a canvas and its scales; ``y`` grows upwards."""

    canvas: Canvas
    x: Scale
    y: Scale

    def at(self, x: float, y: float) -> XY:
        """Pixels of a value."""
        return self.x(x), self.y(y)

    def grid(
        self,
        x_ticks: Sequence[tuple[float, str]],
        y_ticks: Sequence[tuple[float, str]],
        x_label: str,
        y_label: str,
    ) -> None:
        """Horizontal rules, tick labels and what the axes mean; the y label stands above its axis."""
        left, right, bottom, top = self.x.start, self.x.end, self.y.start, self.y.end
        for value, label in y_ticks:
            y = self.y(value)
            self.canvas.add("path", "rule", d=f"M{_n(left)} {_n(y)}H{_n(right)}")
            self.canvas.text((left - 6, y + 4), label, "tick", "end")
        self.canvas.add("path", "axis", d=f"M{_n(left)} {_n(bottom)}H{_n(right)}")
        for value, label in x_ticks:
            x = self.x(value)
            self.canvas.add("path", "axis", d=f"M{_n(x)} {_n(bottom)}v4")
            self.canvas.text((x, bottom + 17), label, "tick", "middle")
        if x_label:
            self.canvas.text(((left + right) / 2, bottom + 34), x_label, "label", "middle")
        if y_label:
            self.canvas.text((max(2.0, left - 46), top - 10), y_label, "label")

    def level(self, value: float, label: str, classes: str) -> None:
        """A horizontal reference line with its name at the right end."""
        y = self.y(value)
        self.canvas.add("path", f"line {classes}", label, d=f"M{_n(self.x.start)} {_n(y)}H{_n(self.x.end)}")
        self.canvas.text((self.x.end - 2, y - 5), label, f"name {classes}", "end")
        self.canvas.names.append(self.canvas.marks.pop())


def area(canvas: Canvas, x: tuple[float, float], y: tuple[float, float], *, log_x: bool = False) -> Axes:
    """Axes over the whole canvas with the usual margins."""
    frame = canvas.frame
    return Axes(
        canvas,
        Scale(x[0], x[1], 52.0, frame.width - 12.0, log_x),
        Scale(y[0], y[1], frame.height - 42.0, 28.0),
    )


def _path(points: Sequence[XY]) -> str:
    return "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in points)


def _value(value: object) -> str:
    return _n(value) if isinstance(value, float) else escape(str(value))


def _n(value: float) -> str:
    text = f"{value:.1f}"
    return text[:-2] if text.endswith(".0") else text
