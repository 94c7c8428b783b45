"""Pictures as SVG text: a plot area with axes, and what stands in it. Colours are classes of the page's style sheet.

There is no script and no style attribute, so a strict content security policy allows them. Every text is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import field, frozen

from prometheus.v10.base.text import printable
from prometheus.v10.report.pages.safe_markup import Markup, escape
from prometheus.v10.report.pages.scales import Format, Scale, plain

Points = Sequence[tuple[float, float]]
WIDTH, HEIGHT = 520, 270
LEFT, RIGHT, TOP, BOTTOM = 98, 14, 14, 46


def clean(text: object) -> Markup:
    """A text for a picture: escaped, with characters that no reader sees spelt out."""
    return escape(printable(str(text)))


def fixed(value: float) -> str:
    """A coordinate to a tenth of a unit."""
    text = f"{value:.1f}"
    return text.removesuffix(".0") if text != "-0.0" else "0"


@frozen(kw_only=True)
class Plot:
    """A plot in the making; what is added last lies on top.

    Attributes:
        title: what it shows, in one sentence, for readers who do not see it.
        x: the horizontal axis, with ``x_label``; ``x_format`` writes its numbers.
        numbers: whether the horizontal axis has numbers; else `names` are put there.
        flat: whether bars lie: grid lines then stand upright.
    """

    title: str
    x: Scale
    y: Scale
    x_label: str
    y_label: str
    x_format: Format = plain
    y_format: Format = plain
    height: int = HEIGHT
    left: int = LEFT
    numbers: bool = True
    flat: bool = False
    parts: list[str] = field(factory=list)

    def px(self, value: float) -> float:
        """Horizontal place of a value."""
        return self.left + self.x.at(value) * (WIDTH - self.left - RIGHT)

    def py(self, value: float) -> float:
        """Vertical place of a value."""
        return self.height - BOTTOM - self.y.at(value) * (self.height - TOP - BOTTOM)

    # ---- what stands in it

    def line(self, points: Points, css: str) -> None:
        """A line through points."""
        if points:
            self.parts.append(f'<path class="ln {css}" d="{self._path(points)}"/>')

    def band(self, upper: Points, lower: Points, css: str) -> None:
        """The area between two lines."""
        if upper:
            around = self._path([*upper, *reversed(lower)])
            self.parts.append(f'<path class="ar {css}" d="{around}Z"/>')

    def bar(self, x0: float, x1: float, y0: float, y1: float, css: str, hint: str = "") -> None:
        """A rectangle between values; ``hint`` is shown when it is pointed at."""
        left, right = sorted((self.px(x0), self.px(x1)))
        top, bottom = sorted((self.py(y0), self.py(y1)))
        shape = (
            f'<rect class="br {css}" x="{fixed(left)}" y="{fixed(top)}" width="{fixed(max(right - left, 0.5))}" '
            f'height="{fixed(max(bottom - top, 0.5))}">'
        )
        self.parts.append(f"{shape}<title>{clean(hint)}</title></rect>")

    def cross(self, x: float, y: float, css: str, hint: str = "") -> None:
        """A small cross at a point."""
        at, level = self.px(x), self.py(y)
        path = f"M{fixed(at - 4)} {fixed(level - 4)}l8 8m0 -8l-8 8"
        self.parts.append(f'<path class="mk {css}" d="{path}"><title>{clean(hint)}</title></path>')

    def dot(self, x: float, y: float, css: str, hint: str = "") -> None:
        """A dot at a point."""
        place = f'cx="{fixed(self.px(x))}" cy="{fixed(self.py(y))}" r="3.5"'
        self.parts.append(f'<circle class="dt {css}" {place}><title>{clean(hint)}</title></circle>')

    def stairs(self, times: Sequence[float], values: Sequence[float], css: str) -> None:
        """A line that keeps each value to the next time."""
        self.line(stepped(list(zip(times, values, strict=True))), css)

    def band_of_stairs(self, times: Sequence[float], upper: Sequence[float], lower: Sequence[float], css: str) -> None:
        """The area between two such lines."""
        edges = [stepped(list(zip(times, values, strict=True))) for values in (upper, lower)]
        self.band(edges[0], edges[1], css)

    def upright(self, x: float, css: str) -> None:
        """A thin line from bottom to top."""
        at = fixed(self.px(x))
        self.parts.append(f'<path class="{css}" d="M{at} {TOP}V{self.height - BOTTOM}"/>')

    def level(self, y: float, css: str) -> None:
        """A thin line from left to right."""
        self.parts.append(f'<path class="{css}" d="M{self.left} {fixed(self.py(y))}H{WIDTH - RIGHT}"/>')

    def text(self, x: float, y: float, said: str, anchor: str = "middle", dy: float = -5) -> None:
        """A text at a point."""
        at = self.px(x) - (6 if anchor == "end" else 0)
        place = f'x="{fixed(at)}" y="{fixed(self.py(y) + dy)}" text-anchor="{anchor}"'
        self.parts.append(f'<text class="tx" {place}>{clean(said)}</text>')

    def names(self, places: Iterable[tuple[float, str]]) -> None:
        """Names below the horizontal axis."""
        for at, name in places:
            place = f'x="{fixed(self.px(at))}" y="{self.height - BOTTOM + 17}" text-anchor="middle"'
            self.parts.append(f'<text class="tk" {place}>{clean(name)}</text>')

    def _path(self, points: Points) -> str:
        places = [f"{fixed(self.px(x))} {fixed(self.py(y))}" for x, y in points]
        return "M" + "L".join(places)

    # ---- as text

    def svg(self) -> Markup:
        """The finished picture."""
        floor = self.height - BOTTOM
        across, down = f"H{WIDTH - RIGHT}", f"V{floor}"
        starts = (
            [f"M{fixed(self.px(tick))} {TOP}{down}" for tick in self.x.ticks]
            if self.flat
            else [f"M{self.left} {fixed(self.py(tick))}{across}" for tick in self.y.ticks]
        )
        grid = f'<path class="gd" d="{"".join(starts)}"/>'
        ticks = "".join(
            f'<text class="tk" x="{self.left - 7}" y="{fixed(self.py(tick) + 4)}" text-anchor="end">'
            f"{clean(self.y_format(tick))}</text>"
            for tick in self.y.ticks
        )
        below = self._across(floor) if self.numbers else ""
        middle = (self.left + WIDTH - RIGHT) // 2
        labels = (
            f'<text class="lb" x="{middle}" y="{self.height - 8}" text-anchor="middle">{clean(self.x_label)}</text>'
            f'<text class="lb" transform="translate(16 {(TOP + floor) // 2}) rotate(-90)" text-anchor="middle">'
            f"{clean(self.y_label)}</text>"
        )
        axis = f'<path class="ax" d="M{self.left} {floor}H{WIDTH - RIGHT}"/>'
        return Markup(
            f'<svg viewBox="0 0 {WIDTH} {self.height}" role="img" aria-label="{clean(self.title)}">'
            f"<title>{clean(self.title)}</title>{grid}{''.join(self.parts)}{axis}{ticks}{below}{labels}</svg>"
        )

    def _across(self, floor: int) -> str:
        return "".join(
            f'<path class="ax" d="M{fixed(self.px(tick))} {floor}v4"/><text class="tk" x="{fixed(self.px(tick))}" '
            f'y="{floor + 17}" text-anchor="{self._anchor(tick)}">{clean(self.x_format(tick))}</text>'
            for tick in self.x.ticks
        )

    def _anchor(self, tick: float) -> str:
        """The last number ends at the right edge, so that none is cut."""
        return "end" if self.px(tick) > WIDTH - RIGHT - 12 else "middle"


def stepped(points: Points) -> list[tuple[float, float]]:
    """A line that keeps each value to the next point, and then jumps."""
    found: list[tuple[float, float]] = []
    for x, y in points:
        if found:
            found.append((x, found[-1][1]))
        found.append((x, y))
    return found


def spark(values: Sequence[float], title: str) -> Markup:
    """A line of the size of a word."""
    if len(values) < 2:
        return Markup("")
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    places = [
        f"{fixed(1 + k * 98 / (len(values) - 1))} {fixed(21 - 18 * (value - low) / span)}"
        for k, value in enumerate(values)
    ]
    path = "M" + "L".join(places)
    return Markup(
        f'<svg class="spark" viewBox="0 0 100 24" role="img" aria-label="{clean(title)}"><path class="ln c1" '
        f'd="{path}"/></svg>'
    )
