"""Measure two ways of doing the same: each run a process of its own, the two in turn."""

import os
import resource
import statistics
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from pathlib import Path


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
            told = "  ".join(f"{k} {v:,.4g}" for k, v in done[-1].items() if _number(v))
            print(f"  run {repeat + 1}, {way}: {told}", flush=True)
    return runs


def middle(runs, way, key):
    """Return the median over the runs of one way."""
    return statistics.median(run[key] for run in runs[way])


def spread(runs, key, ways=("ours", "other")):
    """Return the lowest and highest ratio of the first way to the second, run by run.

    Returns
    -------
    dict
        ratio_low, ratio_high, repeats and cores, to be kept beside the medians.
    """
    ratios = [a[key] / b[key] for a, b in zip(*(runs[way] for way in ways), strict=True)]
    ends = {"ratio_low": min(ratios), "ratio_high": max(ratios)}
    return ends | {"repeats": len(ratios), "cores": os.cpu_count()}


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


def _number(value):
    return isinstance(value, (int, float))
