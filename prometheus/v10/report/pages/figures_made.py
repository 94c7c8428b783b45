"""What a page shows: pictures with their legends and numbers, and tables."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import field, frozen

from prometheus.v10.report.pages.safe_markup import Markup


@frozen
class Cell:
    """A cell of a table that is a link, or has a tone (``good``, ``bad``, ``warn``)."""

    text: str
    href: str = ""
    tone: str = ""

    def __str__(self) -> str:
        return self.text


@frozen(kw_only=True)
class Grid:
    """A table; ``left`` are the columns whose cells are words and stand to the left."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    left: frozenset[int] = frozenset([0])
    caption: str = ""


@frozen(kw_only=True)
class Figure:
    """A picture, its legend (class and words), its numbers as a table, and what is said beside it.

    Attributes:
        folded: whether the numbers stay folded away where there is room beside the picture.
    """

    heading: str
    svg: Markup
    legend: Sequence[tuple[str, str]] = ()
    numbers: Grid | None = None
    notes: Sequence[str] = ()
    folded: bool = False


@frozen(kw_only=True)
class Section:
    """A part of a page; ``empty`` says why there is nothing in it."""

    name: str
    title: str
    lead: str = ""
    figures: Sequence[Figure] = ()
    grids: Sequence[Grid] = ()
    notes: Sequence[str] = ()
    code: str = ""
    empty: str = ""


@frozen(kw_only=True)
class Tile:
    """A figure of the head: words, value, what stands beside it, and whether it is good, bad or neither."""

    words: str
    value: str
    beside: str = ""
    tone: str = ""


@frozen(kw_only=True)
class Page:
    """A page: its head and its parts.

    Attributes:
        verdict: sentences, the first one large.
        chips: words with a tone (``good``, ``bad``, ``warn``, or nothing).
        made_from: what it was made from, for whoever archives it.
        menu: addresses with their titles.
        home: address of the site's first page, where there is a site.
    """

    title: str
    kicker: str
    verdict: Sequence[str]
    chips: Sequence[tuple[str, str]] = ()
    tiles: Sequence[Tile] = ()
    sections: Sequence[Section] = ()
    made_from: Sequence[str] = ()
    home: str = ""
    menu: Sequence[tuple[str, str]] = field(factory=list)
