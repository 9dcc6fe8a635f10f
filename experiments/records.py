"""Keep what was measured in records.json: one kind of record, for speed and for accuracy."""

import json
import math
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

FILE = Path(__file__).resolve().with_name("records.json")
PACKAGES = ("tensorflow", "keras", "numpy", "pandas", "scikit-learn", "tf-keras-vis")
# what decides a figure; the records themselves change while they are measured
CODE = ("helpers", "phantoms", ":(glob)experiments/**/*.py")


def load(file=None):
    """Return all that was kept.

    Returns
    -------
    dict
        "archive" (what `accuracy` was measured on), and "speed" and "accuracy": records by key,
        see `keep`.
    """
    file = file or FILE
    kept = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    return {"archive": {}, "speed": {}, "accuracy": {}} | kept


def keep(part, found, file=None):
    """Write records, whole or not at all, and leave all others as they are.

    Parameters
    ----------
    part : str
        "speed" or "accuracy".
    found : list of dict
        Each with "name", its figures and, where something is drawn at random, "seed". The key is
        name, or name/seed. "repeats" says over how many runs figures are medians: 1 by default.
    file : pathlib.Path, optional
        In place of records.json.

    Returns
    -------
    list of dict
        The records as kept: with commit, versions, machine and date.
    """
    kept, around = load(file), circumstances()
    rows = [{"seed": None, "repeats": 1} | around | record for record in found]
    rows = [{key: plain(value) for key, value in row.items()} for row in rows]
    kept[part] |= {key_of(row): row for row in rows}
    write(kept, file)
    return rows


def key_of(record):
    """Return a record's key: its name, and its seed where it has one."""
    return record["name"] if record["seed"] is None else f"{record['name']}/{record['seed']}"


def write(kept, file=None):
    """Write everything, whole or not at all."""
    from helpers.files import whole  # here: speed/imports.py times the first import of helpers

    with whole(file or FILE) as place:
        place.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", "utf-8")


def circumstances():
    """Return commit, versions, machine and date."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # tf-keras-vis comes with `make bench` only
            continue
    machine = {"processor": processor(), "cores": os.cpu_count(), "system": platform.system()}
    today = datetime.now(UTC).date().isoformat()
    return {"commit": commit(), "versions": versions, "machine": machine, "date": today}


def commit():
    """Return the last commit, with a plus where code was changed since; None outside of git."""
    try:
        last = _git("rev-parse", "--short=12", "HEAD")
        return last + ("+" if _git("status", "--porcelain", "--", *CODE) else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def processor():
    """Return the processor's name as Linux tells it, else its family, such as arm64."""
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text("utf-8").splitlines() if listed.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def plain(value):
    """Make a NumPy number a Python one, round it to four digits; what is no number is null."""
    value = value.item() if hasattr(value, "item") else value
    if not isinstance(value, float):
        return value
    return float(f"{value:.4g}") if math.isfinite(value) else None


def _git(*arguments):
    options = {"cwd": FILE.parent.parent, "capture_output": True, "text": True, "check": True}
    return subprocess.run(["git", *arguments], **options).stdout.strip()
