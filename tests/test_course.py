"""`make course`: names what fails, runs the rest, and reports what the lessons recorded."""

import json
import re

import badges
import nbformat
import pytest
import run_course


def lesson(folder, name, *sources):
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / f"{name}.ipynb")


@pytest.fixture
def course(tmp_path, monkeypatch):
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    expect = "from helpers import claims\nclaims.expect('net.test_auc', 0.91, at_least=0.9)"
    lesson(notebooks, "01_fails", "1 + 1", "raise KeyError('no such column')", "2 + 2")
    lesson(notebooks, "02_works", expect)
    monkeypatch.setattr(run_course, "NOTEBOOKS", notebooks)
    monkeypatch.setattr(run_course, "BUILD", tmp_path / "build")
    monkeypatch.setattr(run_course, "HEADLINES", {"02_works": ("net.test_auc", "net.not_reached")})
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


def test_the_table_shows_what_each_lesson_named(monkeypatch):
    monkeypatch.setattr(run_course, "HEADLINES", {"01_a": ("b.two", "b.one"), "02_b": ("c.d",)})
    run = {"cells": 3, "seconds": 2.0, "error": None}
    first = run | {"name": "01_a", "metrics": {"b.one": 1, "b.two": 0.25, "exercise.last": 7}}
    second = run | {"name": "02_b", "metrics": {"c.d": 1}, "error": KeyError("x")}
    lines = run_course.table([first, second]).splitlines()
    assert lines[2].endswith("2.0  b.two 0.25, b.one 1") and lines[3].endswith("  FAILED")


def test_every_headline_is_recorded_in_its_lesson():
    lessons = {path.stem: path for path in run_course.NOTEBOOKS.glob("*.ipynb")}
    assert set(run_course.HEADLINES) == set(lessons)
    for name, headlines in run_course.HEADLINES.items():
        cells = nbformat.read(lessons[name], as_version=4).cells
        source = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
        recorded = re.findall(r'claims\.(?:expect|record)\(\s*"([^"]+)"', source)
        assert 1 <= len(headlines) <= 3 and set(headlines) <= set(recorded), name


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
