"""The contract of the lessons: same shape, same set-up, clean outputs, short cells."""

import re
import statistics
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
REPOSITORY = re.search(r'Repository = "(.*)"', (ROOT / "pyproject.toml").read_text())[1]
ABSOLUTE = re.compile(r"(?:/(?:root|home|tmp|work|Users|content/drive|var)/|[A-Z]:\\)\w")
SECRET = re.compile(r"KGAT_|\"key\"\s*:\s*\"[0-9a-f]{32}|\b[0-9a-f]{32}\b|ghp_\w{20}|AKIA\w{16}")


def read(path):
    notebook = nbformat.read(path, as_version=4)
    return notebook, [c for c in notebook.cells if c.cell_type == "code" and c.source.strip()]


def lines(cell):
    return len([line for line in cell.source.splitlines() if line.strip()])


def output_texts(cell):
    for out in cell.outputs:
        yield out.get("text", "")
        yield out.get("data", {}).get("text/plain", "")


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_shape_of_a_lesson(path):
    notebook, _ = read(path)
    prose = [c.source for c in notebook.cells if c.cell_type == "markdown"]
    number = int(path.stem[:2])
    assert prose[0].startswith(f"# {number}. ")
    link = REPOSITORY.replace("https://github.com/", "https://colab.research.google.com/github/")
    assert f"({link}/blob/main/notebooks/{path.name})" in prose[0]
    for part in ("**The question:**", "After this lesson you can", "Minutes:"):
        assert part in prose[0], part
    whole = "\n".join(prose)
    for part in ("What do you expect", "## Exercises", "## Recap", "could fool you", "**Next:**"):
        assert part in whole, part
    assert whole.count("<details>") >= 2
    solutions = [c for c in notebook.cells if "solution" in c.metadata.get("tags", [])]
    assert 2 <= len(solutions) <= 4
    for cell in solutions:
        assert cell.metadata["jupyter"]["source_hidden"] and cell.metadata["cellView"] == "form"
        assert "runtime.expect(" in cell.source


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_executed_in_order_and_clean(path):
    _, cells = read(path)
    assert [c.execution_count for c in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        for out in cell.outputs:
            assert out.output_type != "error"
            assert out.get("name") != "stderr", cell.source
        for text in (cell.source, *output_texts(cell)):
            assert not ABSOLUTE.search(text), text
            assert not SECRET.search(text), text


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_figures_have_alt_text(path):
    _, cells = read(path)
    for cell in cells:
        for out in cell.outputs:
            if "image/png" in out.get("data", {}):
                alt = out.metadata["image/png"]["alt"]
                assert alt.endswith(".") and len(alt.split()) >= 6, alt


def test_cells_are_short():
    sizes = sorted(lines(cell) for path in LESSONS for cell in read(path)[1])
    assert statistics.median(sizes) <= 5
    assert sizes[int(0.9 * (len(sizes) - 1))] <= 10
    assert sizes[-1] <= 15


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_no_lesson_is_large(path):
    assert path.stat().st_size < 1_000_000


def test_all_together():
    assert sum(path.stat().st_size for path in LESSONS) < 6_000_000
    setups = [read(path)[1][0] for path in LESSONS]
    assert len({setup.source for setup in setups}) == 1
    assert 3 <= lines(setups[0]) <= 6
    assert f"{REPOSITORY} course" in setups[0].source


def test_most_cells_are_compared():
    """Cells are compared unless marked; a marked one says why in a comment."""
    compared = everything = 0
    for path in LESSONS:
        for cell in read(path)[1]:
            ignored = "nbval-ignore-output" in cell.metadata.get("tags", [])
            if ignored or "NBVAL_" in cell.source:
                assert re.search(r"# NBVAL_IGNORE_OUTPUT: \w+ \w+", cell.source), cell.source
            assert "nbval-skip" not in cell.metadata.get("tags", [])
            everything += 1
            compared += not ignored
    assert compared / everything >= 0.85


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_committed_lessons_are_those_of_the_sample(path):
    _, cells = read(path)
    assert "images: sample" in cells[0].outputs[0]["text"]
