"""`make course`: names what fails, runs the rest, and reports what the lessons recorded."""

import json
import sys
from pathlib import Path

import nbformat
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
import badges
import run_course


def lesson(folder, name, *sources):
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / f"{name}.ipynb")


@pytest.fixture
def course(tmp_path, monkeypatch):
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    expect = "from helpers import runtime\nruntime.expect('net.test_auc', 0.91, at_least=0.9)"
    lesson(notebooks, "01_fails", "1 + 1", "raise KeyError('no such column')", "2 + 2")
    lesson(notebooks, "02_works", expect)
    monkeypatch.setattr(run_course, "NOTEBOOKS", notebooks)
    monkeypatch.setattr(run_course, "BUILD", tmp_path / "build")
    for name in ("COURSE_METRICS", "COURSE_FIGURES"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("COURSE_SOURCE", "sample")
    return tmp_path


def test_a_failing_cell_is_named_and_the_others_run(course, capsys):
    before = (course / "notebooks/01_fails.ipynb").read_bytes()
    assert run_course.main(["--source", "sample"]) == 1
    out, err = capsys.readouterr()
    assert "01_fails, cell 1: KeyError: 'no such column'" in err
    assert "FAILED" in out and "net.test_auc 0.91" in out
    report = json.loads((course / "build/course.json").read_text())
    assert report["source"] == "sample"
    assert report["metrics"] == {"net.test_auc": 0.91}
    assert [set(row) for row in report["lessons"]] == [{"name", "cells", "seconds"}] * 2
    assert (course / "notebooks/01_fails.ipynb").read_bytes() == before
    assert (course / "build/notebooks/02_works.ipynb").is_file()


def test_lessons_are_chosen_by_number(course):
    assert run_course.main(["--source", "sample", "--lessons", "02"]) == 0
    report = json.loads((course / "build/course.json").read_text())
    assert [row["name"] for row in report["lessons"]] == ["02_works"]


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--lessons", "07"], "There is no lesson 07: choose among 01 to 02"),
        (["--source", "missing.zip"], "COURSE_SOURCE is 'missing.zip'"),
    ],
)
def test_misuse_is_one_sentence(course, capsys, arguments, sentence):
    assert run_course.main(arguments) == 2
    err = capsys.readouterr().err
    assert sentence in err and "Traceback" not in err


def test_in_place_never_keeps_a_failed_lesson(course):
    before = (course / "notebooks/01_fails.ipynb").read_bytes()
    run_course.main(["--source", "sample", "--in-place"])
    assert (course / "notebooks/01_fails.ipynb").read_bytes() == before
    assert "net.test_auc" in (course / "notebooks/02_works.ipynb").read_text()


def test_nobody_is_there_to_move_a_slider(course, monkeypatch):
    monkeypatch.delenv("COURSE_WIDGETS", raising=False)
    assert run_course.main(["--lessons", "02"]) == 0
    assert run_course.os.environ["COURSE_WIDGETS"] == "off"


def test_badges_are_rewritten_everywhere(tmp_path):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "pyproject.toml").write_text('Repository = "https://github.com/OWNER/course"\n')
    (tmp_path / "README.md").write_text("github.com/OWNER/course and github/OWNER/course/blob")
    (tmp_path / "notebooks/01_a.ipynb").write_text("OWNER/course")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/help.md").write_text("github.com/OWNER/course/issues")
    changed = ["pyproject.toml", "README.md", "help.md", "01_a.ipynb"]
    assert badges.rewrite("me/mine", tmp_path) == changed
    assert badges.address(tmp_path) == "me/mine"
    assert "OWNER" not in (tmp_path / "README.md").read_text()
    assert badges.rewrite("me/mine", tmp_path) == []
    with pytest.raises(ValueError, match="write make badges"):
        badges.rewrite("https://github.com/me/mine", tmp_path)
