"""The documents as a site: every one is in it, every link in it leads somewhere, nothing comes from another host."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.integration import test_evidence_documents as evidence
from tests.integration import test_operations_document as operations
from tests.pages.documents import REPOSITORY, TYPED, Page, built
from tests.test_repository import documents, without_code

CHINESE = ".zh-CN"
ELSEWHERE = re.compile(r"(?:https?:)?//", re.IGNORECASE)
NAMES = [str(place.relative_to(REPOSITORY).with_suffix("")) for place in documents()]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place, said = built(tmp_path_factory)
    assert said == ""
    return place


@pytest.fixture(scope="session")
def pages(site) -> dict[str, Page]:
    return {str(one.relative_to(site)): Page(one) for one in site.rglob("*.html")}


def test_the_site_is_built_without_a_warning_and_has_every_document(pages):
    assert len(NAMES) > 80
    assert {f"{name}.html" for name in NAMES} - set(pages) == set()


def test_nothing_is_loaded_from_another_host(site, pages):
    assert {name: found for name, page in pages.items() if (found := [*filter(ELSEWHERE.match, page.loads)])} == {}
    styles = [*site.rglob("*.css")]
    texts = {one: one.read_text(encoding="utf-8") for one in [*styles, *(site / name for name in pages)]}
    fetched = r"(?:url\(|@import)\s*[\"']?((?:https?:)?//[^\"')\s]+)"
    assert {str(one): found for one, text in texts.items() if (found := re.findall(fetched, text))} == {}
    assert styles


def test_every_link_inside_the_site_leads_to_a_place_that_is_there(site, pages):
    wrong = []
    for name, page in pages.items():
        for link in {*page.links, *page.loads}:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or link in {"#", ""}:
                continue
            target = (site / name).parent / unquote(parts.path) if parts.path else site / name
            if not target.is_file():
                wrong.append(f"{name}: {link}")
            elif parts.fragment and target.suffix == ".html":
                known = pages[str(target.resolve().relative_to(site.resolve()))]
                if unquote(parts.fragment) not in known.anchors:
                    wrong.append(f"{name}: {link}")
    assert wrong == []


def test_a_page_and_its_translation_link_each_other_and_say_their_language(pages):
    translated = [name for name in NAMES if name.endswith(CHINESE)]
    assert len(translated) > 10
    for name in translated:
        english = name.removesuffix(CHINESE)
        assert (pages[f"{name}.html"].language, pages[f"{english}.html"].language) == ("zh-CN", "en")
        assert f"{Path(english).name}.html" in pages[f"{name}.html"].links
        assert f"{Path(name).name}.html" in pages[f"{english}.html"].links


def test_a_source_that_a_document_names_by_a_link_is_in_the_site_as_it_is(site, pages):
    links = re.findall(r"\]\(([^)\s#]+\.(?:py|toml|ipynb))\)", without_code((REPOSITORY / "docs/index.md").read_text()))
    copies = {Path(one).name: site / "docs" / one for one in pages["docs/index.html"].links if "_downloads" in one}
    assert len(links) > 5
    for link in links:
        assert copies[Path(link).name].read_bytes() == (REPOSITORY / "docs" / link).read_bytes()


def test_a_page_says_which_of_its_commands_a_test_types(site):
    (named,) = [mark for mark in evidence.test_a_page_shows_what_is_printed.pytestmark if mark.name == "parametrize"]
    typed = {f"docs/{page}".removesuffix(".md"): section for page, section in named.args[1]}
    assert set(TYPED) - {""} == {*typed, "README", *(f"docs/{one.stem}" for one in operations.DOCUMENTS[:1])}
    assert [name for name, section in typed.items() if section.removeprefix("## ") not in TYPED[name][0]] == []
    shows = [name for name in NAMES if "\n```console\n" in (REPOSITORY / f"{name}.md").read_text(encoding="utf-8")]
    for name in shows:
        said = TYPED.get(name.removesuffix(CHINESE), TYPED[""])[name.endswith(CHINESE)]
        text = re.sub(r"<[^>]+>", "", (site / f"{name}.html").read_text(encoding="utf-8"))
        assert said.split("`")[0] in text, name


def test_the_index_of_the_search_has_words_of_both_languages(site):
    text = (site / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text[text.index("(") + 1 : text.rindex(")")])
    assert {"evid", "账本", "账"} <= set(index["terms"])


@pytest.mark.parametrize(
    ("asked", "page"),
    [("mass_death_cluster", "stage2.html"), ("hash chain", "threat-model.html"), ("账本的条目", "evidence.zh-CN.html"),
     ("快照", "stage2.zh-CN.html")],
)  # fmt: skip
def test_a_search_needs_no_server_and_finds_a_page(asked, page, site, browser):
    asking, requests, said = browser.new_page(), [], []
    asking.on("request", lambda request: requests.append(request.url))
    asking.on("console", lambda message: said.append(message.text))
    asking.on("pageerror", lambda error: said.append(str(error)))
    asking.goto(f"{site.as_uri()}/index.html")
    asking.wait_for_url("**/docs/index.html")
    asking.locator("input[name=q]:visible").first.fill(asked)
    asking.keyboard.press("Enter")
    asking.wait_for_selector("#search-results li a")
    asking.wait_for_function("document.querySelector('.search-summary')?.textContent.length > 0")
    found = asking.eval_on_selector_all("#search-results li a", "all => all.map(one => one.pathname.split('/').pop())")
    asking.close()
    assert page in found
    assert [one for one in requests if not one.startswith((f"{site.as_uri()}/", "data:"))] == []
    assert said == []
