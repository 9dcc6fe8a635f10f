"""Every lesson keeps the contract."""

import ast

import contract
import nbformat
import pytest
from nbconvert.exporters import ScriptExporter

LESSONS = sorted((contract.ROOT / "notebooks").glob("*.ipynb"))
ADDRESS = contract.repository()


@pytest.mark.parametrize("rule", contract.EACH, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson(path, rule):
    assert rule(path, ADDRESS) == []


@pytest.mark.parametrize("rule", contract.ALL, ids=lambda rule: rule.__name__)
def test_all_lessons(rule):
    assert rule(LESSONS, ADDRESS) == []


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_saved_as_a_script_is_python(path):
    text, about = ScriptExporter().from_notebook_node(nbformat.read(path, as_version=4))
    assert about["output_extension"] == ".py"
    ast.parse(text)


def test_there_are_lessons():
    assert [path.stem[:2] for path in LESSONS] == [f"{n:02}" for n in range(1, len(LESSONS) + 1)]
    assert len(LESSONS) >= 7
