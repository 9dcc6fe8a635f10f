"""The lessons in JupyterLab, as a student meets them: opened, unfolded, run from the menu."""

import re
from itertools import groupby

import nbformat
import pytest
from playwright.sync_api import expect

from helpers import runtime

LESSONS = sorted((runtime.ROOT / "notebooks").glob("*.ipynb"))
SLOW = 120_000  # milliseconds: a kernel that starts, a lesson that runs, on a busy machine
BADGE = "colab-badge.svg"  # the one picture that lies elsewhere
OUTPUT = ".jp-OutputArea-child"
WRONG = "[data-mime-type$='jupyter.stderr'], [data-mime-type$='jupyter.error']"  # errors too
FIGURE = ".jp-OutputArea-output img"
FOLDED = ".jp-InputPlaceholder"
LOADED = "images => images.every(image => image.complete && image.naturalWidth > 0)"


def open_lesson(page, lab, path):
    """Open a notebook in the lab and wait until its cells are there and its kernel is idle."""
    address, token = lab
    cells = nbformat.read(path, as_version=4).cells
    page.goto(f"{address}/lab/tree/{path.name}?reset&token={token}")
    expect(page.locator(".jp-Cell")).to_have_count(len(cells), timeout=SLOW)
    wait_until_idle(page)
    return cells


def wait_until_idle(page):
    # the status bar's word: the circle above the notebook is idle before there is a kernel, too
    expect(page.get_by_role("button", name="(ipykernel) | Idle")).to_be_visible(timeout=SLOW)


def menu(page, name, entry):
    page.get_by_role("menuitem", name=name, exact=True).click()
    page.get_by_role("menuitem", name=entry, exact=True).click()


def outputs(cells):
    """Return the outputs of cells; lines printed one after the other are shown as one."""
    each = (cell.outputs for cell in cells if cell.cell_type == "code")
    return [next(same) for outs in each for _, same in groupby(outs, part)]


def part(out):
    return ("stream", out.name) if out.output_type == "stream" else id(out)


def alt_texts(cells):
    """Return the alt texts of all figures, in order."""
    shown = [out for out in outputs(cells) if "image/png" in out.get("data", {})]
    return [out.metadata["image/png"]["alt"] for out in shown]


def solutions(cells):
    """Return the places of the solutions among all cells."""
    return [n for n, cell in enumerate(cells) if "solution" in cell.metadata.get("tags", [])]


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_opens_with_its_figures(page, lab, path):
    cells = open_lesson(page, lab, path)
    figures = page.locator(FIGURE)
    expect(figures).to_have_count(len(alt_texts(cells)))
    assert figures.evaluate_all(LOADED)
    expect(page.locator(OUTPUT)).to_have_count(len(outputs(cells)))
    expect(page.locator(FOLDED)).to_have_count(len(solutions(cells)))
    expect(page.locator(".jp-RenderedLatex, .katex-error, mjx-merror")).to_have_count(0)
    wrong = [c for c in page.complaints if BADGE not in c and "net::ERR_FAILED" not in c]
    assert wrong == []


def test_a_solution_unfolds(page, lab, course, pictures):
    cells = open_lesson(page, lab, course / "notebooks/02_splitting.ipynb")
    for place in solutions(cells):
        cell = page.locator(".jp-Cell").nth(place)
        source = cell.locator(".jp-InputArea-editor")
        expect(cell.locator(FOLDED)).to_be_visible()
        expect(source).to_have_count(0)
        cell.locator(".jp-Placeholder-content").click()
        expect(source).to_be_visible()
        expect(source).to_contain_text(cells[place].source.splitlines()[1])
        expect(cell.locator(FOLDED)).to_have_count(0)
    page.screenshot(path=pictures / "lab-solution.png")


def test_an_answer_unfolds(page, lab, course):
    open_lesson(page, lab, course / "notebooks/02_splitting.ipynb")
    answer = page.locator("details").first
    expect(answer.locator("p")).not_to_be_visible()
    answer.locator("summary").click()
    expect(answer.locator("p")).to_be_visible()


def test_a_lesson_runs_from_the_menu(page, lab, course, pictures):
    cells = open_lesson(page, lab, course / "notebooks/02_splitting.ipynb")
    menu(page, "Edit", "Clear Outputs of All Cells")
    expect(page.locator(OUTPUT)).to_have_count(0)
    menu(page, "View", "Expand All Code")  # a folded cell shows no number
    menu(page, "Run", "Run All Cells")
    count = sum(cell.cell_type == "code" for cell in cells)
    last = page.locator(".jp-CodeCell .jp-InputArea-prompt").nth(count - 1)
    done = last.filter(has_text=f"[{count}]:").or_(page.locator(WRONG))
    expect(done.first).to_be_attached(timeout=SLOW)
    assert page.locator(WRONG).all_text_contents() == []
    wait_until_idle(page)
    expect(page.locator(OUTPUT)).to_have_count(len(outputs(cells)))
    figures = page.locator(FIGURE)
    expect(figures).to_have_count(len(alt_texts(cells)))
    for figure in figures.all():
        figure.scroll_into_view_if_needed()
        expect(figure).to_be_visible()
    assert figures.evaluate_all(LOADED)
    page.screenshot(path=pictures / "lab-after-the-run.png")


# JupyterLab up to 4.6 drops the alt text of an output's metadata; strict, so that the version that
# keeps it makes itself known here
@pytest.mark.xfail(strict=True, reason="JupyterLab gives figures no alt text")
def test_alt_text_reaches_the_page(page, lab, course):
    cells = open_lesson(page, lab, course / "notebooks/02_splitting.ipynb")
    figures = page.locator(FIGURE)
    expect(figures).to_have_count(len(alt_texts(cells)))
    assert figures.evaluate_all("e => e.map(i => i.alt)") == alt_texts(cells)


EXPLORER = """
import sys

sys.path[:0] = [".."]
from helpers import explore, plots


def steps(height):
    figure, axis = plots.plt.subplots()
    axis.bar([0, 1], [1, height])
    axis.set_title(f"the right bar is {height} high")
    return figure


explore.show(steps, "steps", "Two bars, the right one as high as you say.", height=(0, 9, 1, 4))
""".strip()


def test_an_explorer_answers(page, lab, course, pictures):
    path = course / "notebooks" / "explorer.ipynb"
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    cells = [nbformat.v4.new_code_cell(EXPLORER)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), path)
    open_lesson(page, lab, path)
    menu(page, "Run", "Run All Cells")
    slider, figure = page.get_by_role("slider"), page.locator(FIGURE)
    expect(figure).to_have_attribute("alt", re.compile("is 4 high"), timeout=SLOW)
    before = figure.get_attribute("src")
    slider.press("ArrowRight")
    expect(figure).to_have_attribute("alt", re.compile("is 5 high"))
    assert figure.get_attribute("src") != before and figure.evaluate("i => i.naturalWidth > 0")
    page.screenshot(path=pictures / "lab-explorer.png")
