"""Measure what is missing, then write docs/results.md and its figures: `make results`.

Each job (see plan.py) runs in a process of its own and its records are kept at once, so that a
broken-off run goes on with what is missing; networks go on with their last whole epoch. A job that
fails does not stop the others, but the command fails in the end. Without an archive page and
figures are written anew from metrics.json, and nothing is measured.
"""

import argparse
import os
import sys
import time
import traceback
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before Keras: hides TensorFlow's chatter
os.environ.setdefault("MPLBACKEND", "Agg")  # figures go to files

import metrics
import page
import plan
import setting
from harness import fresh  # of benchmarks/, which `metrics` makes known

WORK = metrics.ROOT / "build" / "results"


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


def begun(archive, runs, anew, home, work):
    """Say in metrics.json what is measured on; with `anew` forget what was measured before.

    Raises
    ------
    ValueError
        When the archive does not fit, or records of another one would be left.
    """
    data, kept = setting.described(archive), metrics.load(home)
    if anew:
        again = {f"{job.name}/{seed}" for job, seed in runs}
        records = kept["records"].items()
        kept["records"] = {key: row for key, row in records if row["job"] not in again}
    if kept["records"] and kept["data"].get("fingerprint") != data["fingerprint"]:
        raise ValueError(
            "docs/results/metrics.json tells of another archive, and results of two are not mixed: "
            "measure everything again, with ANEW=1 and without ONLY."
        )
    if anew:
        for job, seed in runs:
            _forget(job.name, seed, work / data["fingerprint"])
    metrics.save(kept | {"data": data, "machine": metrics.machine()}, home)


def measured(runs, archive, home, work):
    """Run what is missing, one after the other; return the names of the runs that failed."""
    failed = []
    for job, seed in runs:
        key = f"{job.name}/{seed}"
        if any(row["job"] == key for row in metrics.load(home)["records"].values()):
            continue
        print(f"== {key}", flush=True)
        start = time.perf_counter()
        try:
            records = fresh(plan.measure, job.script, job.name, seed, str(archive), str(work))
            metrics.keep([record | {"job": key} for record in records], home)
        except Exception as error:  # whatever it is, the others can still run
            failed.append(key)
            if not isinstance(error, ValueError):  # whose sentence says enough
                traceback.print_exc()
            print(f"== {key} FAILED: {error}", flush=True)
            continue
        _forget(job.name, seed, work / setting.fingerprint(archive))
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
    parser.add_argument("--home", type=Path, default=metrics.HOME, help=argparse.SUPPRESS)
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
            begun(args.source, runs, args.anew, args.home, args.work)
            failed = measured(runs, args.source, args.home, args.work)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    page.write(args.home, jobs)
    if failed:
        print(f"Failed: {', '.join(failed)}.", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
