"""Measure two ways of doing the same: each run a process of its own, the two in turn.

Nothing here loads TensorFlow or helpers by being imported: that is part of what is measured.
"""

import argparse
import os
import resource
import statistics
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before Keras: hides TensorFlow's chatter

from experiments import records

CLASSES = ("normal", "pneumonia")
LABELS = ("normal", "bacterial", "normal", "viral")  # of drawn chests, in turn
DISTINCT = 300  # drawn pictures; more files are links to these under other names


def arguments(said, *places, **options):
    """Return what the command line says: places in order, and --options of these defaults."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=said, formatter_class=formatter)
    for name in places:
        parser.add_argument(name, type=Path)
    for name, default in options.items():
        several = isinstance(default, (list, tuple))
        kind = type(default[0] if several else default)
        given = {"nargs": "+"} if several else {}
        parser.add_argument(f"--{name}", type=kind, default=default, **given)
    return parser.parse_args()


def fresh(function, *args):
    """Call a function in a process of its own and return what it returns.

    The process starts small, because Linux counts the parent's size at that moment in the child's
    peak: what calls this may not load TensorFlow or hold images.
    """
    # not a Pool, which waits for ever for a process that the system killed for its memory
    with ProcessPoolExecutor(1, get_context("spawn"), _end_with_parent) as pool:
        return pool.submit(function, *args).result()


def _end_with_parent():
    """End this process as soon as the one that started it is gone, killed for instance."""

    def wait():
        parent_process().join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def in_turn(measure, ways, repeats, *args):
    """Measure every way in turn, each time in a fresh process.

    Parameters
    ----------
    measure : callable
        Of a module's top level; given a way and `args` it returns numbers by name.
    ways : sequence of str
        Such as ("ours", "other").
    repeats : int
        Runs of each.
    *args
        Handed on to `measure`.

    Returns
    -------
    dict of str to list of dict
        For every way what its runs returned, in order.
    """
    runs = {way: [] for way in ways}
    for repeat in range(repeats):
        for way, done in runs.items():
            done.append(fresh(measure, way, *args))
            numbers = {k: v for k, v in done[-1].items() if isinstance(v, (int, float))}
            told = "  ".join(f"{key} {value:,.4g}" for key, value in numbers.items())
            print(f"  run {repeat + 1}, {way}: {told}", flush=True)
    return runs


def middle(runs, way, key):
    """Return the median over the runs of one way."""
    return statistics.median(run[key] for run in runs[way])


def keep(name, ours, other, unit, n, **extra):
    """Keep one measurement in records.json, and say what came out.

    Parameters
    ----------
    name : str
        "script.variant", the key of the record; a record of that name is replaced.
    ours, other : float
        What the course and what the other way needed or reached; None for other without a rival.
    unit : str
        Of both, such as "images/s".
    n : int
        How many images, or whatever was counted.
    **extra
        More numbers or words to keep beside them, such as `repeats`.

    Returns
    -------
    dict
        The record, with ratio (ours / other, None without a rival).
    """
    ratio = None if other is None else ours / other
    found = {"name": name, "ours": ours, "other": other, "ratio": ratio, "unit": unit, "n": n}
    (record,) = records.keep("speed", [found | extra])
    beside = "" if other is None else f", other {record['other']:g}, ratio {record['ratio']:g}"
    print(f"{name}: ours {record['ours']:g} {unit}{beside}", flush=True)
    return record


def compare(name, runs, key, unit, n, ways=("ours", "other"), more=(), **extra):
    """Keep the medians of two ways, how far ratios of single runs lie apart, and more medians.

    Parameters
    ----------
    name, unit, n, extra
        See `keep`.
    runs : dict
        From `in_turn`.
    key : str
        The number that is compared.
    ways : tuple of str
        The course's, and the other.
    more : sequence of str
        Other numbers to keep of each: `more` "peak_mb" becomes ours_peak_mb and other_peak_mb.
    """
    ratios = [a[key] / b[key] for a, b in zip(*(runs[way] for way in ways), strict=True)]
    extra |= {"repeats": len(ratios)}
    if len(ratios) > 1:
        extra |= {"ratio_low": min(ratios), "ratio_high": max(ratios)}
    for way, told in zip(ways, ("ours", "other"), strict=True):
        extra |= {f"{told}_{one}": middle(runs, way, one) for one in more}
    return keep(name, *(middle(runs, way, key) for way in ways), unit, n, **extra)


def peak(whose=resource.RUSAGE_SELF):
    """Return the largest resident size of this process so far, in MB.

    With resource.RUSAGE_CHILDREN it is that of the largest process that it started and that ended.
    """
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(whose).ru_maxrss * unit / 1e6


def resident():
    """Return the resident size of this process, in MB; where it is not told, the peak so far."""
    statm = Path("/proc/self/statm")
    if not statm.is_file():
        return peak()
    return int(statm.read_text().split()[1]) * resource.getpagesize() / 1e6


def memory(before):
    """Return the peak so far, and how much it is above a resident size from before, in MB."""
    return {"peak_mb": peak(), "growth_mb": max(0.0, peak() - before)}


def chest(patient, height, width):
    """Draw one patient's chest, uint8 [height, width]."""
    import cv2

    from phantoms import chest

    image = chest.draw(LABELS[patient % len(LABELS)], patient).image
    way = cv2.INTER_AREA if height < len(image) else cv2.INTER_CUBIC
    return cv2.resize(image, (width, height), interpolation=way)


def _write_chest(task):
    import cv2

    path, height, width = task
    quality = [cv2.IMWRITE_JPEG_QUALITY, 92] if path.suffix == ".jpeg" else []
    cv2.imwrite(str(path), chest(int(path.stem), height, width), quality)


def write_chests(folder, count, height, width, ending=".jpeg"):
    """Write as many files into a new folder, and return it."""
    folder.mkdir(parents=True)
    paths = [folder / f"{place:06d}{ending}" for place in range(count)]
    with get_context("spawn").Pool(2) as pool:
        pool.map(_write_chest, [(path, height, width) for path in paths[:DISTINCT]])
    for place, path in enumerate(paths[DISTINCT:]):
        os.link(paths[place % DISTINCT], path)
    return folder


def table(folder, classes=CLASSES):
    """List the files of a folder: path, and label in turn."""
    import pandas as pd

    paths = sorted(map(str, folder.iterdir()))
    return pd.DataFrame({"path": paths, "label": [classes[n % 2] for n in range(len(paths))]})


def epoch(batches, size):
    """Take every batch of RGB images once, and return how many images came."""
    count, stream = 0, iter(batches)
    for _ in range(len(batches)):  # a generator would go on for ever
        images, labels = next(stream)
        assert images.shape[1:] == (size, size, 3) and len(images) == len(labels)
        count += len(images)
    return count


def unscaled(model):
    """Return the network behind its first layer, which scales pixels: a generator's batches are."""
    from helpers.backend import keras

    x = pixels = keras.Input(model.input_shape[1:])
    for layer in model.layers[2:]:
        x = layer(x)
    return keras.Model(pixels, x)
