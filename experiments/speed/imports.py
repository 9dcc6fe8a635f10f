"""Start working: `import helpers` and the first cell of lessons 1 and 2, beside TensorFlow.

    python -m experiments.speed.imports [--repeats 5]

Ours is the code of each lesson's set-up cell, taken from the notebook and run in its folder; the
other is `import tensorflow`, with which most notebooks begin. Each runs in a fresh process, in
turn; the clock starts with the code, not with Python. Every import of a whole lesson is timed
apart. None of ours may load TensorFlow or Keras. Peaks are of the whole process. Linux or macOS.
"""

import ast
import json
import os
import sys
import time
from pathlib import Path

from experiments.speed.harness import arguments, compare, fresh, in_turn, middle, peak

NOTEBOOKS = Path(__file__).resolve().parent.parent.parent / "notebooks"
HEAVY = ("tensorflow", "keras")


def cells(lesson):
    """Return a lesson's code cells as plain Python."""
    from IPython.core.inputtransformer2 import TransformerManager

    (path,) = NOTEBOOKS.glob(f"{lesson:02d}_*.ipynb")
    found = [c for c in json.loads(path.read_text("utf-8"))["cells"] if c["cell_type"] == "code"]
    # lines such as `!git clone` become calls, which only Colab reaches
    return [TransformerManager().transform_cell("".join(cell["source"])) for cell in found]


def imports(codes):
    """Return the set-up cell and then every import of a lesson."""
    nodes = [node for code in codes for node in ast.walk(ast.parse(code))]
    wanted = [node for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom))]
    return codes[0] + "\n".join(dict.fromkeys(map(ast.unparse, wanted)))


def codes():
    """Return the code of every way, by name."""
    found = {"tensorflow": "import tensorflow", "helpers": "import helpers"}
    for lesson in (1, 2):
        code = cells(lesson)
        found |= {f"lesson_{lesson}": code[0], f"lesson_{lesson}_all": imports(code)}
    return found


def measure(way, code):
    """Run the code of one way, and return the seconds and the peak."""
    os.chdir(NOTEBOOKS)
    start = time.perf_counter()
    exec(compile(code[way], way, "exec"), {})
    seconds = time.perf_counter() - start
    loaded = [name for name in HEAVY if name in sys.modules]
    assert way == "tensorflow" or not loaded, f"{way} loads {loaded[0]}."
    return {"seconds": seconds, "peak_mb": peak()}


def main():
    args = arguments(__doc__, repeats=5)
    code = fresh(codes)  # elsewhere, as IPython is large
    runs = in_turn(measure, tuple(code), args.repeats, code)
    for way in ("helpers", "lesson_1", "lesson_2"):
        extra = {"more": ("peak_mb",)}
        if f"{way}_all" in runs:
            extra["all_imports_s"] = middle(runs, f"{way}_all", "seconds")
            extra["all_imports_peak_mb"] = middle(runs, f"{way}_all", "peak_mb")
        compare(f"imports.{way}", runs, "seconds", "s", 1, (way, "tensorflow"), **extra)


if __name__ == "__main__":
    main()
