"""Keep what the benchmarks measured in benchmarks/results.json, one entry a measurement."""

import json
import os
import platform
from importlib import metadata
from pathlib import Path

FILE = Path(__file__).resolve().with_name("results.json")
PACKAGES = ("tensorflow", "keras", "numpy", "pandas", "tf-keras-vis")


def keep(name, ours, other, unit, n, **extra):
    """Write one measurement, and leave all other entries as they are.

    Parameters
    ----------
    name : str
        "benchmark.variant", the key of the entry; an entry of that name is replaced.
    ours, other : float
        What the course and what the other way needed or reached; None for other without a rival.
    unit : str
        Of both, such as "images/s".
    n : int
        How many images, or whatever was counted.
    **extra
        More numbers or words to keep beside them.

    Returns
    -------
    dict
        The entry: ours, other, ratio (ours / other, None without a rival), unit, n, cores, and
        the extra ones.
    """
    ratio = None if other is None else ours / other
    entry = {"ours": ours, "other": other, "ratio": ratio, "unit": unit, "n": n}
    return _write(name, entry | {"cores": os.cpu_count()} | extra)


def keep_machine():
    """Write the entry "machine"."""
    return _write("machine", machine())


def machine(packages=PACKAGES):
    """Return what kind of processor this is, how many cores, which versions."""
    versions = {}
    for name in packages:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # tf-keras-vis comes with `make bench` only
            continue
    entry = {"processor": _processor(), "cores": os.cpu_count(), "system": platform.system()}
    return entry | {"python": platform.python_version()} | versions


def load():
    """Return all entries by name."""
    return json.loads(FILE.read_text("utf-8")) if FILE.is_file() else {}


def _processor():
    """Return the processor's name as Linux tells it, else its family, such as arm64."""
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text("utf-8").splitlines() if listed.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def _write(name, entry):
    entry = {key: short(value) for key, value in entry.items()}
    write(FILE, load() | {name: entry})
    return entry


def write(file, entries):
    """Write a file of JSON whole or not at all: beside its place, then renamed."""
    fresh = file.with_suffix(".part")
    fresh.write_text(json.dumps(entries, indent=2, sort_keys=True) + "\n", "utf-8")
    os.replace(fresh, file)


def short(value):
    """Round a float to four digits."""
    return float(f"{value:.4g}") if isinstance(value, float) else value
