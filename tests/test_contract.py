"""Every rule of the contract can fail: one small good lesson, broken in one place at a time."""

import contract
import nbformat
import pytest
from cell_names import names

ADDRESS = "https://github.com/me/course"
LINK = "https://colab.research.google.com/github/me/course/blob/main/notebooks"
SETUP = f"""import sys
if "google.colab" in sys.modules:
    !git clone --quiet {ADDRESS} course
from helpers import runtime
runtime.setup()"""
TITLE = """# 1. Small

[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](LINK/NAME)

**The question:** does it hold?

After this lesson you can

- tell.

Minutes: 1."""
RECAP = """## Recap

**What could fool you:** nothing.

<details><summary>One?</summary>Yes.</details>
<details><summary>Two?</summary>Yes.</details>

**Next:** the end."""
FOLDED = {"tags": ["solution"], "jupyter": {"source_hidden": True}, "cellView": "form"}
OPENED = {"tags": ["solution"], "jupyter": {"source_hidden": False}, "cellView": "form"}


def text(source):
    return nbformat.v4.new_markdown_cell(source)


def stream(words, name="stdout"):
    return nbformat.v4.new_output("stream", name=name, text=words)


def result(words, kind):
    return nbformat.v4.new_output("execute_result", data={kind: words})


def figure(alt, kind="image/png"):
    about = {kind: {"alt": alt}} if alt else {}
    data = {kind: "0" * 40, "text/plain": "a figure"}
    return nbformat.v4.new_output("display_data", data=data, metadata=about)


def run(source, *outputs, **metadata):
    return nbformat.v4.new_code_cell(source, outputs=list(outputs), metadata=metadata)


def good(name):
    """Return a lesson that keeps every rule; cells 5 to 9 are far from any check."""
    check = "claims.expect('net.auc', 0.93, at_least=0.9)"
    cells = [
        text(TITLE.replace("LINK", LINK).replace("NAME", name)),
        run(SETUP, stream("Running on this computer · images: sample\n")),
        text("**What do you expect?** An AUC of 0.9 or more, for 90% of 1,234 images."),
        run(check, stream("net.auc = 0.93 (at least 0.9)\n")),
        run("plot()", figure("A line that rises from the left to the right.")),
        text("A figure."),
        run("rate = 0.4", stream("done\n")),
        text("We took 40%. CC BY 4.0, 2.3 GB.\n\nOthers found 0.7 (Roth and others, 2022)."),
        text("## 1.10 No result\n\nSee [them](https://a.b/1.5): .97. `0.97` is code.\n\n    0.97"),
        text("More."),
        run("'one'", stream("one\n")),
        run("'two'", stream("two\n")),
        run("'three'", stream("three\n")),
        text("## Exercises"),
        run("# @title Solution\nclaims.expect('a', 1, equals=1)", **FOLDED),
        run("# @title Solution\nclaims.expect('b', 1, equals=1)", **FOLDED),
        text(RECAP),
    ]
    return nbformat.v4.new_notebook(cells=cells)


def numbered(notebook):
    for n, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), 1):
        cell.execution_count = n
    return notebook


def write(folder, *changes):
    """Write good lessons, one more than there are changes, and change them; return the paths."""
    paths = []
    for n, change in enumerate([None, *changes], 1):
        path = folder / f"{n:02}_small.ipynb"
        notebook = good(path.name)
        notebook.cells[0].source = notebook.cells[0].source.replace("# 1.", f"# {n}.")
        numbered(notebook)
        if change:
            change(notebook)
        nbformat.write(notebook, path)
        paths.append(path)
    return paths


def put(place, cell):
    """Return a change that inserts a cell, executed in its order."""

    def change(notebook):
        notebook.cells.insert(
            place, nbformat.from_dict(cell | {"id": f"new-{len(notebook.cells)}"})
        )
        numbered(notebook)

    return change


def replace(place, old, new):
    """Return a change of one cell's source."""

    def change(notebook):
        assert old in notebook.cells[place].source
        notebook.cells[place].source = notebook.cells[place].source.replace(old, new)

    return change


def mark(place, source="", **metadata):
    """Return a change of one cell's tags and the like, and of the first line of its source."""

    def change(notebook):
        notebook.cells[place].metadata.update(metadata)
        notebook.cells[place].source = source + notebook.cells[place].source

    return change


def both(*changes):
    return lambda notebook: [change(notebook) for change in changes]


def count(place, number):
    return lambda notebook: notebook.cells[place].update(execution_count=number)


def lines(number):
    return run("\n".join(["1"] * number))


ERROR = nbformat.v4.new_output("error", ename="KeyError", evalue="'x'", traceback=["KeyError"])
REASON = "# NBVAL_IGNORE_OUTPUT: digits differ between machines\n"
IGNORED = {"tags": ["nbval-ignore-output"]}

BROKEN = {
    "parts": [
        replace(0, "# 2. Small", "# 3. Small"),
        replace(0, "**The question:**", "Question:"),
        replace(0, "After this lesson you can", "You learn"),
        replace(0, "Minutes:", "Time:"),
        replace(2, "What do you expect", "What comes"),
        replace(13, "## Exercises", "## Homework"),
        replace(16, "## Recap", "## End"),
        replace(16, "could fool you", "matters"),
        replace(16, "**Next:**", "Then:"),
        replace(16, "<details><summary>Two?</summary>Yes.</details>", ""),
    ],
    "solutions": [
        mark(15, tags=[]),
        put(14, run("claims.expect('c', 1, equals=1)", **OPENED)),
        mark(15, cellView="code"),
        replace(15, "claims.expect", "print"),
        both(*[put(14, run("claims.expect('c', 1, equals=1)", **FOLDED))] * 3),
    ],
    "no_blank": [
        put(4, run("claims.expect('c', ..., equals=1)")),
        put(4, run("claims.expect(\n    'c', value=...\n)")),
        replace(15, "1, equals", "..., equals"),
    ],
    "colab_link": [
        replace(0, "02_small", "01_small"),
        replace(0, "me/course", "you/course"),
        replace(0, "blob/main", "blob/draft"),
        put(5, text(f"Also [here]({LINK}/other.ipynb).")),
    ],
    "executed": [count(3, None), count(4, 9), both(count(3, 3), count(4, 2))],
    "no_errors": [
        put(4, run("x", ERROR)),
        put(4, run("x", stream("UserWarning: old\n", name="stderr"))),
    ],
    "no_absolute_path": [
        put(4, run("open('/home/anna/x.png')")),
        put(4, run("x", stream("read /root/course/x.png\n"))),
        put(4, run("x", stream(r"read C:\Users\anna\x.png"))),
        put(4, run("folder = '/content/drive/MyDrive'")),
        put(4, text("It lies in /Users/anna.")),
        put(4, run("x", result("/tmp/x", "text/html"))),
        lambda notebook: notebook.metadata.update(papermill={"input_path": "/home/anna/x.ipynb"}),
    ],
    "no_secret": [
        put(4, run("token = 'KGAT_" + "x" * 8 + "'")),
        put(4, run("x", stream('{"username": "me", "key": "' + "0123456789abcdef" * 2 + '"}'))),
        put(4, text("ghp_" + "a1" * 12)),
        put(
            4, run("x", nbformat.v4.new_output("execute_result", {"text/plain": "hf_" + "a" * 30}))
        ),
        put(4, run("key = '" + "aB3" * 12 + "'")),
        lambda notebook: notebook.metadata.update(aws="AKIA" + "A" * 16),
    ],
    "alt_text": [
        put(4, run("plot()", figure(""))),
        put(4, run("plot()", figure("A figure."))),
        put(4, run("plot()", figure("A line that rises from the left to the right"))),
        put(4, run("plot()", figure("", "image/jpeg"))),
        put(4, run("plot()", figure("", "image/svg+xml"))),
        put(4, text("![](figure.png)")),
        put(4, text('<img src="figure.png">')),
    ],
    "numbers": [
        put(8, text("The AUC is 0.97.")),
        put(8, text("The AUC is **.97**.")),
        put(8, text("It was right for 97% of the images.")),
        put(8, text("There are 5,856 images.")),
        put(8, text("A source elsewhere (Roth, 2022).\n\nThe AUC is 0.97.")),
        replace(6, "rate = 0.4", "rate = 0.5"),
        replace(3, "claims.expect", "print"),
    ],
    "ignored": [
        mark(4, **IGNORED),
        mark(4, "# NBVAL_IGNORE_OUTPUT\n", **IGNORED),
        mark(4, "# NBVAL_IGNORE_OUTPUT: because\n", **IGNORED),
        mark(4, REASON),
        mark(4, 2 * REASON, **IGNORED),
        mark(4, REASON, tags=["nbval-skip"]),
        mark(4, "# NBVAL_SKIP\n"),
        mark(4, "# PYTEST_VALIDATE_IGNORE_OUTPUT\n"),
        mark(4, tags=["raises-exception"]),
    ],
    "one_meaning": [
        both(put(4, run("rate = 1")), put(8, run("rate"))),
        both(put(4, run("for rate in (1, 2):\n    1")), put(8, run("def f():\n    return rate"))),
        both(put(4, run("rate += 1"))),
        both(put(4, run("def rate():\n    return 1")), put(8, run("rate()"))),
    ],
    "small_file": [put(4, text("word " * 200_000))],
    "drawn_sample": [
        lambda notebook: notebook.cells[1].outputs[0].update(text="Running · images: archive.zip")
    ],
    "same_setup": [
        replace(1, "--quiet", "-q"),
        replace(1, "me/course", "you/course"),
        put(1, run(SETUP + "\n\n\n1", stream("images: sample"))),
        put(1, run(SETUP.replace("\nruntime", ";runtime"), stream("images: sample"))),
    ],
    "short_cells": [
        put(4, lines(16)),
        both(*[put(4, lines(11))] * 3),
        both(*[put(4, lines(6))] * 20),
    ],
    "small_together": [[put(4, text("word " * 190_000))] * 7],
    "mostly_compared": [both(*[mark(n, REASON, **IGNORED) for n in (4, 6, 10)])],
}
CASES = [(rule, n) for rule in BROKEN for n in range(len(BROKEN[rule]))]


def test_the_good_lesson_is_good(tmp_path):
    assert contract.broken(write(tmp_path, None), ADDRESS) == set()


@pytest.mark.parametrize("rule, n", CASES)
def test_exactly_that_rule_catches_it(tmp_path, rule, n):
    changes = BROKEN[rule][n]
    paths = write(tmp_path, *(changes if isinstance(changes, list) else [changes]))
    assert contract.broken(paths, ADDRESS) == {rule}


def test_every_rule_has_a_broken_lesson():
    assert set(BROKEN) == {rule.__name__ for rule in contract.EACH + contract.ALL}


@pytest.mark.parametrize(
    "source, bound, imported, taken",
    [
        ("x = 1\nprint(x, y)", {"x"}, set(), {"print", "y"}),
        ("x = x / 255", {"x"}, set(), {"x"}),
        ("found = [k + z for k in rows]", {"found"}, set(), {"rows", "z"}),
        ("import time\nstarted = time.time()", {"started"}, {"time"}, set()),
        ("import a.b as c, d.e\nfrom f import g as h\nc, d, h", set(), {"c", "d", "h"}, set()),
        ("def f(x):\n    return x + y", {"f"}, set(), {"y"}),
        ("def f():\n    return y\n\n\ny = 1", {"f", "y"}, set(), set()),
        ("def f():\n    def g():\n        return y\n    return g", {"f"}, set(), {"y"}),
        ("%load_ext a\n!ls {b}", set(), set(), {"get_ipython"}),
    ],
)
def test_what_a_cell_binds_and_takes(source, bound, imported, taken):
    assert names(source) == (bound, imported, taken)


def test_rules_say_what_is_wrong(tmp_path):
    path = write(tmp_path, put(8, text("The AUC is 0.97.")))[1]
    assert contract.numbers(path, ADDRESS) == ["0.97 in cell 8 has no check and no source"]
    path = write(tmp_path, mark(4, REASON))[1]
    (sentence,) = contract.ignored(path, ADDRESS)
    assert sentence.startswith("ignored without the tag nbval-ignore-output: # NBVAL")
