"""Run every benchmark, one after the other, then write the page: `make bench`.

    python -m experiments.speed [--only "tables imports"] [--source PATH.zip]

One that fails does not stop the others, but the command fails in the end. A real archive adds
those that need one.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

PACKAGE = "experiments.speed"
NAMES = ("tables", "phantoms", "imports", "batches", "training_speed", "grad_cam", "anomaly_scores",
         "label_spreading", "shrunk_images", "memory", "course_time")  # fmt: skip
REAL = ("real_chest", "phantom_to_real")  # each takes the path of a real archive


def chosen(source, only):
    """Return what to run: (script's name, its arguments) in order.

    Raises
    ------
    ValueError
        When `only` names no benchmark, with a sentence that says which there are.
    """
    real = str(Path(source).resolve()) if source.endswith(".zip") else None
    plan = [(name, []) for name in NAMES] + [(name, [real]) for name in REAL if real]
    wanted = only.replace(",", " ").split()
    for name in wanted:
        if name in REAL and not real:
            raise ValueError(f"{name} needs a real archive: add SOURCE=PATH.zip.")
        if name not in dict(plan):
            known = ", ".join(NAMES + REAL)
            raise ValueError(f"There is no benchmark {name}: choose among {known}.")
    return [(name, given) for name, given in plan if not wanted or name in wanted]


def run(plan, package=PACKAGE):
    """Run the scripts and the report, and return the names of those that failed."""
    failed = []
    for name, given in [*plan, ("report", [])]:
        print(f"== {name}", flush=True)
        start = time.perf_counter()
        done = subprocess.run([sys.executable, "-m", f"{package}.{name}", *given])
        took = f"after {time.perf_counter() - start:.0f} s"
        if done.returncode:
            failed.append(name)
            print(f"== {name} FAILED {took}, exit status {done.returncode}", flush=True)
        else:
            print(f"== {name} done {took}", flush=True)
    return failed


def main(arguments=None):
    """Run what was asked for; return the exit status: 0, 1 when one failed, 2 for misuse."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", default="", help="PATH.zip of the real chest X-rays")
    parser.add_argument("--only", default="", help='such as "tables imports"; all when empty')
    args = parser.parse_args(arguments)
    try:
        plan = chosen(args.source, args.only)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    failed = run(plan)
    if failed:
        print(f"Failed: {', '.join(failed)}.", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
