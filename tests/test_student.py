"""`make student`: copies of the lessons that ask for answers, give none away, and run."""

import ast
import builtins
import re
import symtable
from unittest.mock import MagicMock

import nbformat
import numpy as np
import pytest
import student
from IPython.core.inputtransformer2 import TransformerManager
from nbclient import NotebookClient

from helpers import claims

LESSONS = sorted((student.ROOT / "notebooks").glob("*.ipynb"))
every_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
# names of the lessons that stubs need for a bound or a condition, as they may be there
AROUND = {"drawn": True, "chest_drawn": True, "small_log": {"loss": [0.3]}}
AROUND |= {"leaked": np.array([0.4]), "claims": claims}


def pair(path):
    """Return a lesson and its copy, both as notebooks."""
    return nbformat.read(path, as_version=4), nbformat.reads(student.text(path), as_version=4)


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tagged(notebook, tag):
    return [cell for cell in code(notebook) if tag in cell.metadata.get("tags", [])]


def checks(source):
    """Return the calls of `expect` in a cell."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [call for call in calls if ast.unparse(call.func) == "claims.expect"]


@every_lesson
def test_a_copy_is_the_lesson_with_stubs_and_without_outputs(path):
    lesson, copy = pair(path)
    nbformat.validate(copy)
    assert copy.metadata == lesson.metadata
    assert [cell.id for cell in copy.cells] == [cell.id for cell in lesson.cells]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code(copy))
    old, new = tagged(lesson, "solution"), tagged(copy, "exercise")
    assert [cell.id for cell in new] == [cell.id for cell in old] and len(new) >= 2
    assert all(dict(cell.metadata) == {"tags": ["exercise"]} for cell in new)
    changed = [b.id for a, b in zip(lesson.cells, copy.cells, strict=True) if a.source != b.source]
    setup = code(copy)[0]
    told = [cell.id for cell in lesson.cells if "`make student`" in cell.source]
    assert set(changed) == {copy.cells[0].id, setup.id, *told, *(cell.id for cell in new)}
    assert "colab.research" not in copy.cells[0].source and "Minutes:" in copy.cells[0].source
    assert '["course", "../.."]' in setup.source and "git clone" in setup.source


@every_lesson
def test_no_answer_is_left(path):
    lesson, copy = pair(path)
    answers = tagged(lesson, "solution")
    others = {
        line.strip() for c in lesson.cells if c not in answers for line in c.source.split("\n")
    }
    left = {line.strip() for cell in copy.cells for line in cell.source.split("\n")}
    given = re.compile(r"claims\.expect\(|from helpers import|for count in \(3, 7, 30\):|if drawn:")
    for cell in answers:
        lines = {line.strip() for line in cell.source.split("\n")} - others
        lines = {line for line in lines if len(line) > 2 and not given.match(line)}
        assert lines and not lines & left
    for cell in tagged(copy, "exercise"):
        comments = [line for line in cell.source.split("\n") if "#" in line]
        assert comments == [student.TASK.strip()]
    assert not re.search(r"\bsolutions?\b", student.text(path), re.IGNORECASE)


def names(source):
    """Return the names that a cell defines, and those that it needs, in its functions too."""
    top = symtable.symtable(TransformerManager().transform_cell(source), "<cell>", "exec")
    defined = {s.get_name() for s in top.get_symbols() if s.is_assigned() or s.is_imported()}
    needed, tables = set(), [top]
    for table in tables:
        symbols = [s for s in table.get_symbols() if table is top or s.is_global()]
        needed |= {s.get_name() for s in symbols if s.is_referenced()}
        tables += table.get_children()
    return defined, needed


@every_lesson
def test_no_cell_needs_a_name_that_only_an_answer_defined(path):
    known = {*dir(builtins), "get_ipython", "display", "_exit_code"}
    for cell in code(pair(path)[1]):
        defined, needed = names(cell.source)
        assert needed <= known | defined, cell.source[:60]
        known |= defined


@every_lesson
def test_every_stub_asks_for_each_result_of_the_answer(path, capsys):
    lesson, copy = pair(path)
    both = zip(tagged(lesson, "solution"), tagged(copy, "exercise"), strict=True)
    for answer, stub in both:
        wanted = [ast.unparse(call.args[0]) for call in checks(answer.source)]
        assert [ast.unparse(call.args[0]) for call in checks(stub.source)] == wanted
        around = {name: MagicMock() for name in names(stub.source)[1] - set(dir(builtins))}
        exec(stub.source, around | {"claims": claims})
        out = capsys.readouterr().out.splitlines()
        assert len(out) >= len(wanted) and all(": your turn (" in line for line in out)


def limits(call):
    """Return a value that a check takes, and one that it refuses."""
    bounds = {word.arg: eval(ast.unparse(word.value), dict(AROUND)) for word in call.keywords}
    for arg, beyond in (("equals", 1), ("at_most", 1), ("at_least", -1)):
        if arg in bounds:
            return bounds[arg], bounds[arg] + beyond


def filled(source, values):
    """Return a stub with the student's values where ... stands."""
    first, *rest = source.replace(student.TASK, "").split(" ..., ")
    assert len(rest) == len(values)
    return first + "".join(f" {value!r}, {part}" for value, part in zip(values, rest, strict=True))


@every_lesson
def test_a_right_result_passes_a_stub_and_a_wrong_one_stops_it(path, capsys):
    for stub in tagged(pair(path)[1], "exercise"):
        pairs = [[float(value) for value in limits(call)] for call in checks(stub.source)]
        right = [good for good, _ in pairs]
        exec(filled(stub.source, right), dict(AROUND))
        assert "your turn" not in capsys.readouterr().out
        for k, (_, wrong) in enumerate(pairs):
            with pytest.raises(AssertionError, match="but the lesson expects"):
                exec(filled(stub.source, [*right[:k], wrong, *right[k + 1 :]]), dict(AROUND))


def test_bounds_that_the_answer_computes_are_left_out_and_sums_worked_out():
    answer = """# @title Solution
from helpers import evaluation
from scipy.stats import norm
best = norm.ppf(0.9)  # the trick
claims.expect("a.b", best, at_least=0.1, at_most=2 * best)
if drawn:
    worst = -best
    claims.expect("a.c", worst, equals=2 * (3 + 1), at_most=norm.pdf(0))
for k in (1, 2):
    claims.record(f"a.{k}", k * best)
# That is why."""
    assert student.stub(answer).split("\n") == [
        "from helpers import evaluation",
        "",
        student.TASK.strip(),
        "",
        'claims.expect("a.b", ..., at_least=0.1)',
        "if drawn:",
        '    claims.expect("a.c", ..., equals=8)',
    ]
    with pytest.raises(ValueError, match="nothing bounds 'a.b'"):
        student.stub('low = 1\nclaims.expect("a.b", 2, at_least=low)')
    with pytest.raises(ValueError, match="checks nothing"):
        student.stub("print(1)")


def test_copies_are_the_same_every_time_and_nobodys_work_is_lost(tmp_path, capsys):
    folder = tmp_path / "build" / "student"
    assert student.main(folder=folder) == 0
    written = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert sorted(written) == [path.name for path in LESSONS]
    assert student.main(folder=folder) == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == written
    work = folder / LESSONS[4].name
    work.write_text("my work")
    (folder / LESSONS[0].name).unlink()
    assert student.main(folder=folder) == 1
    assert LESSONS[4].name in capsys.readouterr().err
    assert work.read_text() == "my work" and not (folder / LESSONS[0].name).exists()


def run(path, root):
    """Execute a lesson's copy in root/build/student, with the packages in root; return it."""
    folder = root / "build" / "student"
    folder.mkdir(parents=True)
    for name in ("helpers", "phantoms"):
        (root / name).symlink_to(student.ROOT / name)
    notebook = nbformat.reads(student.text(path), as_version=4)
    where = "import helpers, os\nprint(os.path.normpath(helpers.__file__))"
    notebook.cells.append(nbformat.v4.new_code_cell(where))
    arguments = ["--IPKernelApp.log_level=40"]
    place = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=None, extra_arguments=arguments, resources=place).execute()
    return notebook


def assert_it_ran(path, root):
    notebook = run(path, root)
    printed = ["".join(out.get("text", "") for out in cell.outputs) for cell in code(notebook)]
    assert printed[-1].strip() == str(root / "helpers" / "__init__.py")
    stubs = tagged(notebook, "exercise")
    asked = "".join(out.text for cell in stubs for out in cell.outputs if out.name == "stdout")
    assert asked.count(": your turn (") >= len(stubs)


def test_lesson_2_runs_when_nobody_has_written_anything(tmp_path):
    assert_it_ran(LESSONS[1], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("number", ["01", "03", "09"])
def test_other_lessons_run_too(tmp_path, number):
    assert_it_ran(next(path for path in LESSONS if path.name.startswith(number)), tmp_path)
