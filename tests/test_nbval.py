"""nbval really compares: a changed output, label or seed in a copy of a lesson fails."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
LESSON = "02_splitting"  # needs no TensorFlow


def compare(folder, name=LESSON, change=None, **environment):
    """Run nbval, as `make test` does, on a changed copy of a lesson.

    Returns the failed cells, counted among code cells from 0, and how many passed.
    """
    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    if change:
        change([cell for cell in notebook.cells if cell.cell_type == "code"])
    nbformat.write(notebook, folder / f"{name}.ipynb")
    command = [sys.executable, "-m", "pytest", "--nbval", "-c", "pyproject.toml", "-rA", "-q"]
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "COV_"))}
    env |= {"PYTHONPATH": str(ROOT), "COURSE_SOURCE": "sample", "NO_COLOR": "1"} | environment
    done = subprocess.run(
        [*command, f"--rootdir={folder}", folder], cwd=ROOT, env=env, capture_output=True, text=True
    )
    found = re.findall(r"^(PASSED|FAILED) \S+::Cell (\d+)", done.stdout, re.MULTILINE)
    failed = {int(number) for verdict, number in found if verdict == "FAILED"}
    assert done.returncode == bool(failed) and found, done.stdout[-3000:] + done.stderr[-3000:]
    return failed, len(found) - len(failed)


def source(old, new):
    """Return a change of the one cell that holds some words."""

    def change(cells):
        (cell,) = [cell for cell in cells if old in cell.source]
        cell.source = cell.source.replace(old, new)

    return change


def texts(cell):
    """Return the parts of a cell's outputs that hold text, each with the key to it."""
    parts = [(out, "text") for out in cell.outputs if "text" in out]
    return parts + [(out.data, "text/plain") for out in cell.outputs if "data" in out]


def test_the_lesson_itself_passes(tmp_path):
    failed, passed = compare(tmp_path)
    assert failed == set() and passed > 15


def test_every_stored_output_is_compared(tmp_path):
    told = []

    def change(cells):
        for number, cell in enumerate(cells):
            for part, key in texts(cell)[:1]:
                told.append(number)
                part[key] = part[key].rstrip("\n") + " or so\n"

    failed, _ = compare(tmp_path, change=change)
    assert failed == set(told) - {0}  # the set-up cell tells the machine
    assert len(failed) >= 15


@pytest.mark.slow
@pytest.mark.parametrize(
    "old, new",
    [
        ("1378", "1379"),  # a count
        ("person12_virus", "person12_virux"),
        ("random_split.leaked = ", "random_split.leak = "),
        ("at least 0.3 and", "at least 0.2 and"),  # the range of a result that may differ
        ("PNEUMONIA    1378\nNORMAL        488", "NORMAL        488\nPNEUMONIA    1378"),
    ],
)
def test_one_stored_character_is_enough(tmp_path, old, new):
    places = []

    def change(cells):
        for number, cell in enumerate(cells):
            for part, key in texts(cell):
                if old in part[key]:
                    places.append(number)
                    part[key] = part[key].replace(old, new)

    failed, _ = compare(tmp_path, change=change)
    assert failed == set(places) and len(places) == 1


@pytest.mark.slow
def test_a_lost_output_is_missed(tmp_path):
    assert compare(tmp_path, change=lambda cells: cells[1].update(outputs=[]))[0] == {1}


@pytest.mark.slow
@pytest.mark.parametrize(
    "old, new",
    [
        ("name for file in files]", "name for file in files[::-1]]"),
        (".size().unstack()", '.size().unstack()[["PNEUMONIA", "NORMAL"]]'),
        (
            "train_test_split(pot, test_size=0.2, random_state=42)",
            "train_test_split(pot, test_size=0.2, random_state=43)",
        ),
        ("course_split(table)", "course_split(table, seed=43)"),
    ],
    ids=["labels turned round", "classes turned round", "seed", "split"],
)
def test_labels_and_seeds(tmp_path, old, new):
    failed, passed = compare(tmp_path, change=source(old, new))
    assert failed and passed


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        source('["chest_xray"].classes', '["chest_xray"].classes[::-1]'),
        source("splits.course_split(table)", "splits.course_split(table, seed=43)"),
    ],
    ids=["classes turned round", "split"],
)
def test_labels_and_seeds_of_batches(tmp_path, change):
    failed, passed = compare(tmp_path, "03_generators", change)
    assert failed and passed
