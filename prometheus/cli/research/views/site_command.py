"""``site``: the static pages of an installation; they are built, and looked at without a server."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from prometheus import __version__
from prometheus.cli.names_of import run_of
from prometheus.cli.operate.page_files import language_of
from prometheus.cli.options import DEFAULT_ROOT, RUN_HELP, AsJson, Root, examples, group
from prometheus.cli.report import Report
from prometheus.cli.research.views.page_command import report_page
from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.errors import UsageError
from prometheus.v10.base.outputs import refuse_sealed_place
from prometheus.v10.base.paths import Layout
from prometheus.v10.ops.host.status import Look
from prometheus.v10.ops.host.systemd import Systemd
from prometheus.v10.ops.storage.sizes import bytes_under
from prometheus.v10.report.pages.phrases import Phrases
from prometheus.v10.report.site.site_build import Wish, build_site
from prometheus.v10.report.site.site_place import site_place

app = group("The site: static pages over all runs of an installation; no server, no script.")
Out = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Directory of the site; by default the installation's own.")
]


@app.command(epilog=examples("site build --root var", "site build --root var --out /tmp/site --lang zh"))
def build(
    *,
    root: Root = DEFAULT_ROOT,
    out: Out = None,
    lang: Annotated[str, typer.Option(metavar="en|zh", help="Language of the pages.")] = "en",
    runs: Annotated[int, typer.Option(metavar="N", min=0, help="Pages of runs that this build makes at most.")] = 20,
    again: Annotated[bool, typer.Option("--all", help="Build every page again, also where nothing changed.")] = False,
    as_json: AsJson = False,
) -> Report:
    """Build what has changed since the last build; does nothing where the ledger and the runs are the same."""
    layout = Layout.under(root)
    if not layout.lib.is_dir():
        raise UsageError(f"there is no installation in {layout.lib}", hint="name its root: --root DIR")
    place = out or site_place(layout)
    refuse_sealed_place(place / "index.html")
    wish = Wish(
        layout=layout, out=place, words=Phrases(language_of(lang)), most=runs, version=__version__, again=again
    )  # fmt: skip
    built = build_site(wish, lambda moment: _status(layout, place, moment))
    data = {"site": str(place), "written": built.written, "waiting": built.waiting, "unchanged": built.unchanged}
    said = [f"site: {place / 'index.html'}"]
    if built.unchanged:
        said.append("nothing has changed since the last build")
    else:
        said.append(f"pages written: {len(built.written):,}")
    if built.waiting:
        said.append(f"runs that have no page yet: {built.waiting:,}; build again, or --runs {built.waiting}")
    return Report(data, said).asked(as_json=as_json)


def _status(layout: Layout, place: Path, moment: str) -> dict[str, Any]:
    """What `status` says at a moment, without the bytes of the site: the same tree gives the same answer."""
    found = Look(layout, Systemd.of(layout), At(moment)).whole()
    used = found["disk"]["used_bytes"]
    if used is not None and place.resolve().is_relative_to(layout.lib.resolve()) and place.is_dir():
        found["disk"]["used_bytes"] = used - bytes_under(place)
    return found


class At(SystemClock):
    """A clock that stands at a moment of the ledger."""

    def __init__(self, moment: str) -> None:
        self._moment = datetime.fromisoformat(moment.removesuffix("Z") + "+00:00")

    def now(self) -> datetime:
        """The moment."""
        return self._moment


@app.command(epilog=examples("site page latest --out run.html --lang zh"))
def page(
    run: Annotated[str, typer.Argument(metavar="RUN", help=RUN_HELP)],
    *,
    root: Root = DEFAULT_ROOT,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="New file to write.")],
    lang: Annotated[str, typer.Option(metavar="en|zh", help="Language of the page.")] = "en",
    check: Annotated[bool, typer.Option("--check", help="Build the page again and compare it with the file.")] = False,
    as_json: AsJson = False,
) -> Report:
    """Write one run as a self-contained page; the same as ``report RUN --html FILE``."""
    place = run_of(run, Layout.under(root)).path
    return report_page(place, out, language_of(lang), check=check).asked(as_json=as_json)


@app.command(epilog=examples("site where --root var"))
def where(*, root: Root = DEFAULT_ROOT, out: Out = None, as_json: AsJson = False) -> Report:
    """Say where the site lies and how to look at it from another machine."""
    layout = Layout.under(root)
    place = out or site_place(layout)
    there = (place / "index.html").is_file()
    ways = {
        "here": f"file://{place / 'index.html'}",
        "copy": f"rsync -a HOST:{place}/ site/ && xdg-open site/index.html",
        "mount": f"sshfs HOST:{place} site -o ro && xdg-open site/index.html",
        "tunnel": f"ssh -L 8000:127.0.0.1:8000 HOST python3 -m http.server -b 127.0.0.1 -d {place} 8000",
    }
    data = {"site": str(place), "built": there, **ways}
    title = "the site" if there else "the site, which is not built yet: prometheus-quant site build"
    # A line each, unbroken, so that it can be copied.
    lines = [f"{name}: {way}" for name, way in {"place": str(place), **ways}.items()]
    return Report(data, [title, *lines]).asked(as_json=as_json)
