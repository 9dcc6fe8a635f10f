"""Seconds of the whole course on the sample, and of `make test`, in a fresh clone.

    python -m experiments.speed.course_time

The last commit is cloned into a temporary folder, with the packages that are installed here. Then
the tests run as `make test` runs them and, from nothing again in another clone, tools/run_course.py
runs all lessons as `make course` does: both draw every image first. Setting up the packages is not
in it. A lesson or test that fails makes this fail, after both were tried.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from experiments.speed.harness import keep, peak

ROOT = Path(__file__).resolve().parent.parent.parent
TEST = ["-m", "pytest", "-q", "--nbval", "-m", "not slow", "-n", "2", "--dist", "loadscope"]


def clone(home):
    """Clone the last commit and return the folder and the environment for Python in it."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(home)], check=True)
    mine = {key: value for key, value in os.environ.items() if not key.startswith("COURSE_")}
    return home, mine | {"PYTHONPATH": str(home)}


def timed(command, home):
    """Run Python in a fresh clone and return the seconds and whether it went well."""
    folder, environment = clone(home)
    start = time.perf_counter()
    done = subprocess.run([sys.executable, *command], cwd=folder, env=environment)
    return time.perf_counter() - start, done.returncode == 0


def main():
    """Measure both; return the exit status."""
    with tempfile.TemporaryDirectory() as home:
        seconds, passed = timed(TEST, Path(home) / "test")
        if passed:
            most = peak(resource.RUSAGE_CHILDREN)
            keep("course.make_test", seconds, None, "s", 1, ours_peak_mb=most)
        course = Path(home) / "course"
        seconds, ran = timed(["tools/run_course.py", "--source", "sample"], course)
        if ran:
            lessons = json.loads((course / "build" / "course.json").read_text())["lessons"]
            each = {row["name"]: row["seconds"] for row in lessons}
            keep("course.sample", seconds, None, "s", len(lessons), **each)
    return int(not (ran and passed))


if __name__ == "__main__":
    sys.exit(main())
