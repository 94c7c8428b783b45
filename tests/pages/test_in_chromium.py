"""Pages in a real browser: no request, nothing on the console, no sideways scrolling, readable in light and dark.

Screenshots are kept in ``$PQ_SCREENSHOTS``, or among the test's own files.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from prometheus.cli import main as cli
from prometheus.cli.research.views.page_command import page_of
from prometheus.v10.base.errors import ExitCode
from prometheus.v10.report.pages.diff_page import diff_bytes
from prometheus.v10.report.pages.phrases import Language

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

WIDTHS = {"wide": 1200, "phone": 390}
LEAST_CONTRAST = 4.5

CONTRAST = """() => {
  const parse = (text) => {
    const found = text.match(/rgba?\\(([^)]+)\\)/);
    if (!found) return null;
    const [r, g, b, a = '1'] = found[1].split(/[, /]+/).filter((one) => one !== '');
    return [Number(r), Number(g), Number(b), Number(a)];
  };
  const light = ([r, g, b]) => {
    const linear = (c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    const [x, y, z] = [r, g, b].map((c) => linear(c / 255));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const over = (top, below) => [0, 1, 2].map((k) => top[k] * top[3] + below[k] * (1 - top[3]));
  const ground = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour && colour[3] > 0) { layers.push(colour); if (colour[3] === 1) break; }
    }
    let found = [255, 255, 255];
    for (const layer of layers.reverse()) found = over(layer, found);
    return found;
  };
  const faint = [];
  let count = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.textContent.trim() || ['TITLE', 'STYLE'].includes(element.tagName.toUpperCase())) continue;
    const style = getComputedStyle(element);
    if (style.visibility === 'hidden' || style.display === 'none') continue;
    const inPicture = element instanceof SVGElement;
    const ink = parse(inPicture ? style.fill : style.color);
    if (!ink) continue;
    const paper = ground(inPicture ? element.ownerSVGElement.parentElement : element);
    const pair = [light(over(ink, paper)), light(paper)].sort((a, b) => b - a);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    count += 1;
    if (ratio < LEAST_CONTRAST) faint.push([node.textContent.trim().slice(0, 40), ratio.toFixed(2), element.tagName]);
  }
  return [count, faint.slice(0, 5)];
}""".replace("LEAST_CONTRAST", str(LEAST_CONTRAST))

OVERLAPS = """() => {
  const found = [];
  for (const picture of document.querySelectorAll('svg')) {
    const boxes = [...picture.querySelectorAll('text')].map((one) => [one.textContent, one.getBoundingClientRect()]);
    const frame = picture.getBoundingClientRect();
    if (!frame.width) continue;
    for (let i = 0; i < boxes.length; i += 1) {
      const [name, box] = boxes[i];
      if (box.left < frame.left - 1 || box.right > frame.right + 1) found.push(['outside', name]);
      for (let j = i + 1; j < boxes.length; j += 1) {
        const other = boxes[j][1];
        const wide = Math.min(box.right, other.right) - Math.max(box.left, other.left);
        const high = Math.min(box.bottom, other.bottom) - Math.max(box.top, other.top);
        if (wide > 1 && high > 3) found.push([name, boxes[j][0], picture.getAttribute('aria-label')]);
      }
    }
  }
  return found.slice(0, 6);
}"""

UNNAMED = """() => [...document.querySelectorAll('svg, nav, [role=region], a, summary, table')].filter((one) => {
  if (one.tagName.toLowerCase() === 'svg') return one.getAttribute('role') !== 'img' || !one.getAttribute('aria-label');
  if (one.tagName === 'TABLE') return !one.querySelector('th[scope=col]');
  if (one.tagName === 'NAV' || one.getAttribute('role') === 'region') return !one.getAttribute('aria-label');
  return !one.textContent.trim();
}).map((one) => one.outerHTML.slice(0, 80))"""


@pytest.fixture(scope="session")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    named = os.environ.get("PQ_SCREENSHOTS")
    place = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    place.mkdir(parents=True, exist_ok=True)
    return place


class Opened:
    """A page of the browser, and what it did besides showing something."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.said: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))
        page.goto(address)
        self.asked = [one for one in self.asked if one not in {address, "data:,"}]

    def hold(self, least: int = 20) -> None:
        """Everything that must hold at any width and in any colours."""
        assert self.said == []
        assert self.asked == []
        wide, there = self.ask("[document.documentElement.scrollWidth, window.innerWidth]")
        assert wide <= there, f"the page is {wide} wide in a window of {there}"
        count, faint = self.ask(CONTRAST)
        assert count > least
        assert faint == []
        assert self.ask(OVERLAPS) == []
        assert self.ask(UNNAMED) == []

    def ask(self, script: str) -> Any:
        return self.page.evaluate(script)


def opened(browser: BrowserContext, place: Path, scheme: Any, width: int) -> Opened:
    page = browser.new_page()
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    return Opened(page, place.as_uri())


EVERY = (("light", "wide"), ("light", "phone"), ("dark", "wide"), ("dark", "phone"))
OTHERS = (("dark", "wide"), ("light", "phone"))
LOOKED_AT = ("plain", "walk", "stage 2", "tier 2", "cut off", "damaged")


@pytest.mark.parametrize("name", LOOKED_AT)
def test_a_page_of_a_run_is_readable_everywhere(browser, shots, kinds, tmp_path, name):
    for language in Language if name == "plain" else [Language.ENGLISH]:
        place = tmp_path / f"{name.replace(' ', '_')}_{language}.html"
        place.write_bytes(page_of(kinds[name], language))
        for scheme, size in EVERY if name == "plain" else OTHERS:
            look = opened(browser, place, scheme, WIDTHS[size])
            look.hold()
            look.page.screenshot(path=shots / f"{place.stem}_{scheme}_{size}.png", full_page=True)
            look.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
            look.hold()
            look.page.close()


@pytest.mark.parametrize("name", ["walk", "damaged"])
def test_a_site_is_readable_everywhere(browser, shots, kinds, tmp_path, name):
    root = kinds[name].parent.parent
    for language in Language if name == "walk" else [Language.ENGLISH]:
        out = tmp_path / language
        assert cli.main(["site", "build", "--root", str(root), "--out", str(out), "--lang", language]) == ExitCode.DONE
        for page in [*sorted(out.glob("*.html")), out / "runs" / "index.html"]:
            for scheme, size in OTHERS:
                look = opened(browser, page, scheme, WIDTHS[size])
                look.hold(least=5)
                if name == "walk":
                    shot = f"site_{language}_{page.parent.name}_{page.stem}_{scheme}_{size}.png"
                    look.page.screenshot(path=shots / shot, full_page=True)
                look.page.close()


@pytest.mark.parametrize("pair", [("plain", "collapse"), ("walk", "stage 2"), ("cut off", "plain")], ids=" ".join)
def test_a_page_of_two_runs_is_readable_everywhere(browser, shots, kinds, tmp_path, pair):
    for language in Language if pair == ("plain", "collapse") else [Language.ENGLISH]:
        place = tmp_path / f"two_{'_'.join(pair).replace(' ', '_')}_{language}.html"
        place.write_bytes(diff_bytes(kinds[pair[0]], kinds[pair[1]], language, "0"))
        for scheme, size in EVERY if language is Language.ENGLISH else OTHERS:
            look = opened(browser, place, scheme, WIDTHS[size])
            look.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
            look.hold()
            look.page.screenshot(path=shots / f"{place.stem}_{scheme}_{size}.png", full_page=True)
            look.page.close()


def test_a_page_prints(browser, shots, kinds, tmp_path):
    place = tmp_path / "plain.html"
    place.write_bytes(page_of(kinds["plain"], Language.ENGLISH))
    look = opened(browser, place, "dark", 1200)
    look.page.emulate_media(media="print")
    assert look.ask("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    data = look.page.pdf(path=shots / "plain.pdf", format="A4")
    assert data.startswith(b"%PDF")
    assert look.said == []
    look.page.close()


def test_the_browser_refuses_what_a_page_may_not_do(browser, kinds, tmp_path):
    """The policy works: a script and a picture that somebody adds to a page are not run and not loaded."""
    place = tmp_path / "plain.html"
    added = b"<script>document.title = 'acted'</script><img src='http://example.org/x.png' alt='x'></body>"
    place.write_bytes(page_of(kinds["plain"], Language.ENGLISH).replace(b"</body>", added))
    look = opened(browser, place, "light", 1200)
    assert look.page.title() != "acted"
    refused = [one for one in look.said if "Content Security Policy" in one]
    assert any("script" in one for one in refused), look.said
    assert any("image" in one for one in refused), look.said
    look.page.close()
