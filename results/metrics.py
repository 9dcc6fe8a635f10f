"""Keep what was measured in docs/results/metrics.json: the archive, the machine, the records."""

import json
import math
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "benchmarks"))  # its scripts are no package; last: they hide nothing

from results import machine as described  # noqa: E402 - benchmarks/results.py
from results import short, write  # noqa: E402

HOME = ROOT / "docs"  # of results.md; what it is made from lies in results/ beside it
PACKAGES = ("tensorflow", "keras", "scikit-learn", "numpy")


def load(home=HOME):
    """Return all that was kept: "data", "machine", and "records" by "name/seed"."""
    file = home / "results" / "metrics.json"
    kept = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    return {"data": {}, "machine": {}, "records": {}} | kept


def keep(records, home=HOME):
    """Write records at once, and leave all others as they are.

    Parameters
    ----------
    records : list of dict
        Each with at least "name" and "seed", which make its key, and "job", what measured it.
    home : pathlib.Path
        The folder of the page.
    """
    kept = load(home)
    for record in records:
        row = {key: _plain(value) for key, value in record.items()} | {"cores": os.cpu_count()}
        kept["records"][f"{record['name']}/{record['seed']}"] = row
    save(kept, home)


def save(kept, home=HOME):
    """Write everything, whole or not at all."""
    (home / "results").mkdir(parents=True, exist_ok=True)
    write(home / "results" / "metrics.json", kept)


def machine():
    """Return what the records are measured on: processor, cores, system and versions."""
    return described(PACKAGES)


def _plain(value):
    """Make a NumPy number a Python one, round it to four digits; what is no number is null."""
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else short(value)
