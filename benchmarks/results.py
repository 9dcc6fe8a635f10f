"""Keep what the benchmarks measured in benchmarks/results.json, one entry a measurement."""

import json
import os
from pathlib import Path

FILE = Path(__file__).resolve().with_name("results.json")


def keep(name, ours, other, unit, n, **extra):
    """Write one measurement, and leave all other entries as they are.

    Parameters
    ----------
    name : str
        "benchmark.variant", the key of the entry; an entry of that name is replaced.
    ours, other : float
        What the course and what the other way needed or reached.
    unit : str
        Of both, such as "images/s".
    n : int
        How many images, or whatever was counted.
    **extra
        More numbers or words to keep beside them.

    Returns
    -------
    dict
        The entry: ours, other, ratio (ours / other), unit, n, and the extra ones.
    """
    entry = {"ours": ours, "other": other, "ratio": ours / other, "unit": unit, "n": n} | extra
    entry = {key: _short(value) for key, value in entry.items()}
    entries = json.loads(FILE.read_text("utf-8")) if FILE.is_file() else {}
    entries[name] = entry
    fresh = FILE.with_suffix(".part")
    fresh.write_text(json.dumps(entries, indent=2, sort_keys=True) + "\n", "utf-8")
    os.replace(fresh, FILE)
    return entry


def _short(value):
    """Round a float to four digits."""
    return float(f"{value:.4g}") if isinstance(value, float) else value
