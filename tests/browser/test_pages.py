"""The book as a reader meets it: opened from its folder, without a network."""

import browser as tool
import pytest
from playwright.sync_api import expect

from helpers import runtime

BOOK = runtime.ROOT / "build" / "book"
PAGES = sorted(path.relative_to(BOOK).as_posix() for path in BOOK.rglob("*.html"))
LESSONS = sorted(path.stem for path in (runtime.ROOT / "notebooks").glob("*.ipynb"))
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
RULES = {  # the dark page differs in its colours alone
    "light": {"type": "tag", "values": TAGS},
    "dark": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]},
}
UNFOLD = "() => document.querySelectorAll('details').forEach(box => box.open = true)"
WRONG_IMAGES = """() => [...document.images]
    .filter(image => !image.naturalWidth || !image.alt.trim())
    .map(image => image.src.slice(0, 100) + ' alt: ' + image.alt)"""
BACKGROUND = "() => getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"


def go(page, name, fold=True):
    page.goto((BOOK / name).as_uri())
    if not fold:
        page.evaluate(UNFOLD)


@pytest.fixture
def reader(page):
    """A page that is cut from any network."""
    page.context.set_offline(True)
    return page


def test_every_lesson_is_a_page():
    assert [f"notebooks/{name}.html" for name in LESSONS] == [p for p in PAGES if "notebooks/" in p]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole(reader, name):
    go(reader, name, fold=False)
    assert reader.evaluate(WRONG_IMAGES) + reader.complaints == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_a_phone(reader, name):
    reader.set_viewport_size({"width": 390, "height": 844})
    go(reader, name, fold=False)
    assert reader.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_accessible(reader, name, scheme):
    reader.emulate_media(color_scheme=scheme)
    go(reader, name, fold=False)
    assert (sum(reader.evaluate(BACKGROUND)[:3]) < 3 * 64) == (scheme == "dark")
    reader.add_script_tag(path=tool.AXE)
    found = reader.evaluate("rules => axe.run({runOnly: rules})", RULES[scheme])
    assert found["passes"]
    assert [told(wrong) for wrong in found["violations"]] == []


def told(wrong):
    """Return what breaks a rule of axe's, in a line: the rule, and where."""
    places = [str(node["target"][0]) for node in wrong["nodes"]]
    return f"{wrong['id']}: {wrong['help']}, {len(places)} times: {', '.join(places[:3])}"


def test_the_search_finds_pages_that_open(reader):
    go(reader, "index.html")
    reader.get_by_role("textbox", name="Search").fill("sensitivity")
    reader.keyboard.press("Enter")
    results = reader.locator("#search-results li a")
    expect(results.first).to_be_visible()
    results.first.click()
    expect(reader.locator("article")).to_contain_text("sensitivity", ignore_case=True)
    assert reader.complaints == []


@pytest.mark.parametrize("link, lessons", [("next", LESSONS), ("prev", LESSONS[::-1])])
def test_one_lesson_leads_to_the_next(reader, link, lessons):
    go(reader, f"notebooks/{lessons[0]}.html")
    for lesson in lessons[1:]:
        reader.locator(f"a.{link}-page").click()
        expect(reader).to_have_url((BOOK / "notebooks" / f"{lesson}.html").as_uri())


def test_a_solution_unfolds(reader, pictures):
    go(reader, f"notebooks/{LESSONS[1]}.html")
    solution = reader.locator("details.solution").first
    code = solution.locator(".highlight").first
    expect(code).not_to_be_visible()
    solution.locator("summary").click()
    expect(code).to_contain_text("hasty")
    expect(code).to_be_visible()
    reader.screenshot(path=pictures / "book-solution.png")


def test_the_switch_makes_it_dark(reader, pictures):
    go(reader, f"notebooks/{LESSONS[5]}.html")
    assert min(reader.evaluate(BACKGROUND)[:3]) > 200
    reader.locator("article img").first.scroll_into_view_if_needed()
    reader.screenshot(path=pictures / "book-light.png")
    reader.locator(".theme-toggle:visible").click()
    expect(reader.locator("body")).to_have_attribute("data-theme", "dark")
    reader.wait_for_function(f"() => Math.max(...({BACKGROUND})().slice(0, 3)) < 64")
    reader.screenshot(path=pictures / "book-dark.png")
