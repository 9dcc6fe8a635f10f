"""Measure what is missing, then write docs/results.md and its figures: `make results`.

    python -m experiments.accuracy --source PATH.zip [--only "vgg16 baseline_8x8"] [--anew 1]

Each job (see plan.py) runs in a process of its own and its records are kept at once, so that a
broken-off run goes on with what is missing; networks go on with their last whole epoch. A job that
fails does not stop the others, but the command fails in the end. Without an archive page and
figures are written anew from records.json, and nothing is measured.
"""

import argparse
import importlib
import os
import sys
import time
import traceback
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before Keras: hides TensorFlow's chatter
os.environ.setdefault("MPLBACKEND", "Agg")  # figures go to files

from experiments import records
from experiments.accuracy import plan, report, setting
from experiments.speed.harness import fresh
from helpers import datasets

WORK = records.FILE.parent.parent / "build" / "results"


def measure(script, name, seed, archive, work):
    """Run one job in this process, and return its records."""
    ready = setting.opened(archive, work)
    return importlib.import_module(script).measure(name, seed, ready)


def chosen(only, jobs):
    """Return the runs that are wanted, (job, seed) in order.

    Raises
    ------
    ValueError
        When `only` names no job, with a sentence that says which there are.
    """
    wanted, names = only.replace(",", " ").split(), [job.name for job in jobs]
    for name in wanted:
        if name not in names:
            raise ValueError(f"There is no experiment {name}: choose among {', '.join(names)}.")
    jobs = [job for job in jobs if not wanted or job.name in wanted]
    return [(job, seed) for job in jobs for seed in job.seeds]


def begun(archive, runs, anew, file, work):
    """Say in records.json what is measured on; with `anew` forget what was measured before.

    Raises
    ------
    ValueError
        When the archive does not fit, or records of another one would be left.
    """
    data, kept = setting.described(archive), records.load(file)
    if anew:
        again = {f"{job.name}/{seed}" for job, seed in runs}
        rows = kept["accuracy"].items()
        kept["accuracy"] = {key: row for key, row in rows if row["job"] not in again}
    if kept["accuracy"] and kept["archive"].get("fingerprint") != data["fingerprint"]:
        raise ValueError(
            "experiments/records.json tells of another archive, and results of two are not mixed: "
            "measure everything again, with ANEW=1 and without ONLY."
        )
    if anew:
        for job, seed in runs:
            _forget(job.name, seed, work / data["fingerprint"])
    records.write(kept | {"archive": data}, file)


def measured(runs, archive, file, work):
    """Run what is missing, one after the other; return the names of the runs that failed."""
    failed = []
    for job, seed in runs:
        key = f"{job.name}/{seed}"
        if any(row["job"] == key for row in records.load(file)["accuracy"].values()):
            continue
        print(f"== {key}", flush=True)
        start = time.perf_counter()
        try:
            found = fresh(measure, job.script, job.name, seed, str(archive), str(work))
            records.keep("accuracy", [row | {"job": key} for row in found], file)
        except Exception as error:  # whatever it is, the others can still run
            failed.append(key)
            if not isinstance(error, ValueError):  # whose sentence says enough
                traceback.print_exc()
            print(f"== {key} FAILED: {error}", flush=True)
            continue
        _forget(job.name, seed, work / datasets.fingerprint(Path(archive)))
        print(f"== {key} done after {time.perf_counter() - start:.0f} s", flush=True)
    return failed


def _forget(name, seed, folder):
    """Delete the states of a run, which are of no use once its records are kept."""
    for file in (folder / "state").glob(f"{name}-{seed}[-.]*"):
        file.unlink(missing_ok=True)


def arguments_of(given):
    """Return what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", default="", help="PATH.zip of the real chest X-rays")
    parser.add_argument("--only", default="", help='such as "vgg16 baseline_8x8"; all when empty')
    parser.add_argument("--anew", nargs="?", const="1", default="", help="measure again")
    parser.add_argument("--home", type=Path, default=report.HOME, help=argparse.SUPPRESS)
    parser.add_argument("--records", type=Path, default=None, help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, default=WORK, help=argparse.SUPPRESS)
    return parser.parse_args(given)


def main(given=None, jobs=plan.PLAN):
    """Do what was asked for; return the exit status: 0, 1 when a run failed, 2 for misuse."""
    args, failed = arguments_of(given), []
    try:
        runs = chosen(args.only, jobs)
        if args.source in ("", "auto"):
            if args.only or args.anew:
                raise ValueError("To measure, name the archive: add SOURCE=PATH.zip.")
        else:
            begun(args.source, runs, args.anew, args.records, args.work)
            failed = measured(runs, args.source, args.records, args.work)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    report.write(args.home, jobs, args.records)
    if failed:
        print(f"Failed: {', '.join(failed)}.", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
