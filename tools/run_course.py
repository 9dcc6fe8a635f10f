"""Run the lessons in order, `make course`; the committed notebooks are not touched.

Executed copies go to build/notebooks, the results that the lessons record to build/course.json.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from tqdm import tqdm

from helpers import runtime

NOTEBOOKS = runtime.ROOT / "notebooks"
BUILD = runtime.ROOT / "build"
# without the two last, a lesson saved as a script is a .txt with lines that no Python reads
LANGUAGE = {"file_extension": ".py", "name": "python", "nbconvert_exporter": "python"}
# What came out of each lesson, of all that it records: shown at the end of `make course`.
HEADLINES = {
    "01_data_download": ("chest_xray.images", "patients.number", "shortcut.file_size_auc"),
    "02_splitting": ("random_split.leaked", "course_split.leaked", "course_split.validation_share"),
    "03_generators": ("pipeline.first_epoch_times", "pipeline.later_epochs_times"),
    "04_smallnet": ("baseline.8x8_auc", "smallnet.test_auc", "compactnet.test_auc"),
    "05_vgg16_transfer": ("smallnet.small_test_auc", "vgg16.test_auc", "ppv.at_5_percent"),
    "06_grad_cam": (
        "compactnet.pointing_over_chance",
        "marker.auc_as_in_training",
        "marker.auc_nobody",
    ),
    "07_autoencoder_anomaly_detection": (
        "chest.best_auc",
        "chest.best_minus_autoencoder",
        "chest.false_alarms",
    ),
    "08_label_spreading": (
        "alexnet.test_accuracy",
        "spreading.largest_gain",
        "one_vs_normal.minus_three_class",
    ),
    "09_retina_capstone": (
        "compactnet.test_auc",
        "compactnet.minus_best_rival",
        "compactnet.lowest_sensitivity",
    ),
}


def main(arguments=None):
    """Run what was asked for; return the exit status: 0, 1 when a cell failed, 2 for misuse."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", default="auto", help="auto, sample, kaggle, or PATH.zip")
    parser.add_argument("--lessons", default="", help='such as "02 04"; all when empty')
    parser.add_argument("--in-place", action="store_true", help="rewrite lessons and figures")
    options = parser.parse_args(arguments)
    os.environ["COURSE_SOURCE"] = options.source
    os.environ["COURSE_WIDGETS"] = "off"  # nobody is there to move a slider
    try:
        source = os.environ["COURSE_SOURCE"] = runtime.source()
        lessons = chosen(options.lessons)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    (BUILD / "notebooks").mkdir(parents=True, exist_ok=True)
    if options.in_place:
        os.environ["COURSE_FIGURES"] = str(runtime.ROOT / "figures")
    bar = tqdm(lessons, desc="lessons", unit="lesson", file=sys.stdout)
    runs = [run(path, options.in_place, bar) for path in bar]
    metrics = {name: value for lesson in runs for name, value in lesson["metrics"].items()}
    rows = [{key: lesson[key] for key in ("name", "cells", "seconds")} for lesson in runs]
    report = {"source": Path(source).name, "lessons": rows, "metrics": metrics}
    (BUILD / "course.json").write_text(json.dumps(report, indent=1) + "\n")
    print(table(runs))
    return int(any(lesson["error"] for lesson in runs))


def chosen(wanted):
    """Return the lessons' files: all, or those whose numbers are in `wanted`."""
    lessons = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
    numbers = wanted.replace(",", " ").split()
    unknown = [n for n in numbers if not any(p.name.startswith(n) for p in lessons)]
    if unknown:
        raise ValueError(
            f"There is no lesson {unknown[0]}: choose among {lessons[0].name[:2]} to "
            f'{lessons[-1].name[:2]}, such as LESSONS="02 04".'
        )
    return [p for p in lessons if not numbers or p.name.startswith(tuple(numbers))]


def run(path, in_place, bar):
    """Execute one lesson; return its name, cells, seconds, metrics and error or None."""
    bar.set_postfix_str(path.stem)
    notebook = nbformat.read(path, as_version=4)
    metrics = BUILD / f"{path.stem}.jsonl"
    metrics.unlink(missing_ok=True)
    os.environ["COURSE_METRICS"] = str(metrics)
    cells = sum(cell.cell_type == "code" for cell in notebook.cells)
    progress = tqdm(total=cells, desc=path.stem[:24], unit="cell", leave=False, file=sys.stdout)
    executor = client(notebook, on_cell_executed=lambda **_: progress.update())
    started, error = time.perf_counter(), None
    try:
        executor.execute()
    except CellExecutionError as failure:
        error = failure
        place = next(n for n, cell in enumerate(notebook.cells) if failed(cell))
        print(f"\n{path.stem}, cell {place}: {failure.ename}: {failure.evalue}", file=sys.stderr)
    finally:
        progress.close()
    seconds = round(time.perf_counter() - started, 1)
    clean(notebook)
    if not (in_place and error):  # a lesson that failed never replaces one that ran
        nbformat.write(notebook, path if in_place else BUILD / "notebooks" / path.name)
    lines = metrics.read_text().splitlines() if metrics.exists() else []
    found = {name: value for line in lines for name, value in json.loads(line).items()}
    return {"name": path.stem, "cells": cells, "seconds": seconds, "metrics": found, "error": error}


def client(notebook, **options):
    """Return what executes a notebook, in the lessons' folder."""
    return NotebookClient(
        notebook,
        timeout=None,
        kernel_name="python3",
        extra_arguments=["--IPKernelApp.log_level=40"],  # no warning about a local connection
        resources={"metadata": {"path": str(NOTEBOOKS)}},
        **options,
    )


def failed(cell):
    """Tell whether a cell's output holds an error."""
    return any(out.output_type == "error" for out in cell.get("outputs", []))


def clean(notebook):
    """Drop what differs in every run and no reader needs: times and the exact Python."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = dict(LANGUAGE)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)


def table(runs):
    """Return the closing table: lesson, cells, seconds, headline results."""
    lines = [f"\n{'lesson':34} {'cells':>5} {'seconds':>8}  headline results"]
    for lesson in runs:
        named = [name for name in HEADLINES.get(lesson["name"], ()) if name in lesson["metrics"]]
        shown = ", ".join(f"{name} {lesson['metrics'][name]:.3g}" for name in named)
        end = "FAILED" if lesson["error"] else shown
        lines.append(f"{lesson['name']:34} {lesson['cells']:5} {lesson['seconds']:8.1f}  {end}")
    total = sum(lesson["seconds"] for lesson in runs)
    return "\n".join([*lines, f"{'all':34} {'':5} {total:8.1f}"])


if __name__ == "__main__":
    sys.exit(main())
