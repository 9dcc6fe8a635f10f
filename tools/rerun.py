"""Run every cell of the lessons again, `make rerun`: it must do what it did the first time.

Each cell runs twice in a row. Then, with the whole lesson run, each quick cell runs once more, with
all names as the lesson leaves them: as when a student scrolls up and runs that cell alone. A cell
that fails then, or prints something else (but for what tests/sanitize.cfg lets differ), is named
with both outputs. The lessons are not touched.
"""

import argparse
import copy
import os
import re
import sys
import time

import nbformat
import run_course
from nbval.plugin import coalesce_streams, get_sanitize_patterns
from tqdm import tqdm

from helpers import runtime

QUICK = 2  # seconds: a cell that takes longer the second time is not run a third time
SANITIZE = runtime.ROOT / "tests" / "sanitize.cfg"
KEEP = "get_ipython().kept = dict(get_ipython().user_ns)"
PUT_BACK = "get_ipython().user_ns.update(get_ipython().kept)"


def main(arguments=None):
    """Run what was asked for; return the exit status: 0, 1 when a cell differs, 2 for misuse."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", default="sample", help="auto, sample, kaggle, or PATH.zip")
    parser.add_argument("--lessons", default="", help='such as "02 04"; all when empty')
    options = parser.parse_args(arguments)
    os.environ["COURSE_SOURCE"] = options.source
    try:
        os.environ["COURSE_SOURCE"] = runtime.source()
        lessons = run_course.chosen(options.lessons)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    count = 0
    for path in lessons:
        for fault in faults(path):
            tqdm.write(f"{path.stem}, {fault}\n", file=sys.stdout)
            count += 1
    found = f"{count} fault{'s' * (count > 1)}."
    print(found if count else "Every cell can be run again.")
    return int(count > 0)


def faults(path):
    """Run the cells of a lesson again, and yield what differs."""
    notebook = nbformat.read(path, as_version=4)
    cells = [(n, cell) for n, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    executor = run_course.client(notebook, allow_errors=True)
    first, quick = {}, []
    bar = {"desc": path.stem[:24], "unit": "cell", "leave": False, "file": sys.stdout}
    with executor.setup_kernel():
        for n, cell in tqdm(cells, **bar):
            first[n] = said, error = outcome(executor, n, cell)
            if error:  # what comes after it would fail as well
                yield f"cell {n}, fails the first time\n{said}{error}"
                return
            started = time.perf_counter()
            again = outcome(executor, n, cell)
            took = time.perf_counter() - started
            if differ(cell, first[n], again):
                yield sentence(n, "at once", first[n], again)
            elif took < QUICK:
                quick.append((n, cell))
        command(executor, KEEP)
        for n, cell in tqdm(quick, **bar):
            again = outcome(executor, n, cell)
            if differ(cell, first[n], again):
                yield sentence(n, "after the last cell", first[n], again)
            command(executor, PUT_BACK)
    said = f"{len(cells)} cells run twice, {len(quick)} of them once more after the last"
    tqdm.write(f"{path.stem}: {said}", file=sys.stdout)


def differ(cell, first, again):
    """Tell whether a cell did something else; where its output is ignored only errors count."""
    ignored = "nbval-ignore-output" in cell.metadata.get("tags", [])
    return again != first and (bool(again[1]) or not ignored)


def sentence(n, when, first, again):
    """Say which cell differs, with what it said at first and what it says now."""
    was, now = ("".join(parts) or "nothing\n" for parts in (first, again))
    return f"cell {n}, run again {when}\n--- said at first:\n{was}--- says now:\n{now}"


def command(executor, source):
    """Run a line of our own in the lesson's kernel."""
    executor.execute_cell(nbformat.v4.new_code_cell(source), 0)


def outcome(executor, n, cell):
    """Run a copy of a cell; return what it said, less what may differ, and its error or ""."""
    cell, said, error = copy.deepcopy(cell), [], ""
    executor.nb.cells[n] = cell  # where updates of a display go
    executor.execute_cell(cell, n)
    for out in coalesce_streams(cell.outputs):
        if out.output_type == "error":
            error = f"{out.ename}: {out.evalue}\n"
        else:
            said.append(out.get("text") or out.get("data", {}).get("text/plain", "") + "\n")
    return sanitized("".join(said)), error


def sanitized(text):
    """Replace what may differ between runs, as nbval does."""
    for pattern, replacement in get_sanitize_patterns(SANITIZE.read_text()):
        text = re.sub(pattern, replacement, text)
    return text


if __name__ == "__main__":
    sys.exit(main())
