"""`make rerun` names a cell that does something else when it is run again, and only such cells."""

import builtins
from pathlib import Path

import contract
import nbformat
import pytest
import rerun
import run_course
from cell_names import names

LESSONS = Path(run_course.NOTEBOOKS)
GOOD = [
    "import time\n\nseen, size, figures = [], 2, {'loss': 1}",
    "# NBVAL_IGNORE_OUTPUT: the time of day\nprint(time.time())",
    "print('net.seconds =', time.time(), '(recorded)')",  # sanitized
    "figures['auc'] = 0.9\nprint(figures)",
]
BAD = [
    *GOOD,
    "seen.append(1)\nprint(len(seen), 'seen')",  # 4
    "# NBVAL_IGNORE_OUTPUT: errors count all the same\nfigures.pop('loss')",  # 5
    "print(size * 2)",  # 6: another size, once the next cell has run
    "size = 3",
    "print(size * 2)",
]


@pytest.fixture
def lesson(tmp_path, monkeypatch):
    """Return what writes a lesson made of cells."""
    monkeypatch.setattr(run_course, "NOTEBOOKS", tmp_path)
    monkeypatch.setattr(rerun, "QUICK", 60)  # not to hang on a busy machine
    monkeypatch.setenv("COURSE_SOURCE", "sample")

    def write(*sources):
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        for cell in cells:
            cell.metadata["tags"] = ["nbval-ignore-output"] * ("NBVAL_IGNORE" in cell.source)
        nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "01_made_up.ipynb")
        return tmp_path / "01_made_up.ipynb"

    return write


def test_cells_that_differ_are_named(lesson):
    again = "--- said at first:\n{}\n--- says now:\n{}\n"
    assert list(rerun.faults(lesson(*BAD))) == [
        "cell 4, run again at once\n" + again.format("1 seen", "2 seen"),
        "cell 5, run again at once\n" + again.format("1", "KeyError: 'loss'"),
        "cell 3, run again after the last cell\n"
        + again.format("{'loss': 1, 'auc': 0.9}", "{'auc': 0.9}"),
        "cell 6, run again after the last cell\n" + again.format("4", "6"),
    ]


def test_a_slow_cell_is_not_run_a_third_time(lesson, monkeypatch):
    monkeypatch.setattr(rerun, "QUICK", 0)
    assert list(rerun.faults(lesson(*BAD[:1], *BAD[6:]))) == []


def test_a_lesson_that_fails_at_once_is_left(lesson, capsys):
    lesson("1 / 0", "print(x)")
    assert rerun.main([]) == 1
    out = capsys.readouterr().out
    assert "01_made_up, cell 0, fails the first time\nZeroDivisionError" in out
    assert "NameError" not in out and "1 fault." in out


def test_a_lesson_that_can_be_run_again(lesson, capsys):
    lesson(*GOOD)
    assert rerun.main([]) == 0
    assert "Every cell can be run again." in capsys.readouterr().out
    assert rerun.main(["--lessons", "07"]) == 2
    assert "There is no lesson 07" in capsys.readouterr().err


def test_your_own_images_need_only_the_cells_that_the_lesson_names():
    (path,) = LESSONS.glob("09_*.ipynb")
    cells = contract.read(path).cells
    told = "run the first two code cells of this lesson and the one that defines `outside`"
    start, end = (
        next(n for n, cell in enumerate(cells) if words in cell.source)
        for words in (told, "## Exercises")
    )
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    before = [*code[:2], *[source for source in code if "def outside(" in source]]
    known = {*dir(builtins), "get_ipython", "_exit_code"}
    for source in [*before, *[c.source for c in cells[start:end] if c.cell_type == "code"]]:
        bound, imported, taken = names(source)
        assert taken <= known, source
        known |= bound | imported


@pytest.mark.slow
@pytest.mark.parametrize("number", ["01", "02", "03", "09"])
def test_every_cell_of_a_lesson_can_be_run_again(number):
    (path,) = LESSONS.glob(f"{number}_*.ipynb")
    assert list(rerun.faults(path)) == []
