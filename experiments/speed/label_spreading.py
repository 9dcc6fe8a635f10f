"""Spread a few labels over many images: a graph of nearest neighbours against a full kernel.

    python -m experiments.speed.label_spreading [--sizes 1000 10000 100000] [--repeats 3]

Both are label_spreading.spread, with kernel "knn" and "rbf", on the same made-up features: 64
numbers from three overlapping blobs, of unit length, 5 % labelled. Each run is a fresh process. The
clock starts after the imports and one small run. Growth is the peak less the resident size just
before, so the features are not in it. "rbf" is left out where its kernel cannot fit. What takes
longer than 20 seconds is measured once. Linux or macOS.
"""

import os
import statistics
import time
from pathlib import Path

import numpy as np

from experiments.speed.harness import arguments, fresh, keep, memory, resident

KERNELS = ("knn", "rbf")
BYTES = 12  # of rbf for each pair of images: the kernel in float32, and in float64 for each step
LONG = 20  # seconds: what takes longer is not repeated


def blobs(count, features=64, known=0.05, seed=0):
    """Draw features [N, D] of three classes, the true classes, and labels: mostly None.

    The centres are 4 deviations apart, so that who knew them would still be wrong at 4 to 5 %.
    """
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, count)
    centres = np.eye(3, features) * 8**0.5
    labels = np.where(rng.uniform(size=count) < known, truth, None)
    return centres[truth] + rng.normal(size=(count, features)), truth, labels


def measure(kernel, count):
    """Spread labels once and return the seconds, the memory and how many are right."""
    from helpers.label_spreading import spread, unit_length

    small, _, few = blobs(300, seed=1)
    spread(unit_length(small), few, kernel=kernel)
    features, truth, labels = blobs(count)
    nearest = (features[:, :3].argmax(axis=1) == truth).mean()  # the centres lie on three axes
    features = unit_length(features)
    before, start = resident(), time.perf_counter()
    found = spread(features, labels, kernel=kernel)
    seconds = time.perf_counter() - start
    unknown = ~found["known"]
    return {
        "seconds": seconds,
        "growth_mb": memory(before)["growth_mb"],
        "accuracy": float((found["label"] == truth)[unknown].mean()),
        "unreached": float(found["label"].isna().mean()),
        "ceiling": float(nearest),
    }


def why_not(kernel, count):
    """Say why a size cannot be measured, or return None."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    needed = BYTES * count**2
    if kernel == "knn" or needed < memory:
        return None
    return f"not run: needs {needed / 1e9:.0f} GB at least, of {memory / 1e9:.0f} GB"


def medians(kernel, count, repeats):
    """Measure repeatedly, each time in a fresh process, and return the medians."""
    runs = []
    while len(runs) < repeats and not (runs and runs[0]["seconds"] > LONG):
        runs.append(fresh(measure, kernel, count))
    row = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    return row | {"runs": len(runs), "slowest": max(run["seconds"] for run in runs)}


def told(kernel, count, row):
    """Print one line of the table."""
    numbers = [row["seconds"], row["slowest"], row["growth_mb"]]
    numbers = "".join(f"{number:>11,.2f}" for number in numbers)
    shares = "".join(f"{row[key]:>11.1%}" for key in ("accuracy", "unreached", "ceiling"))
    print(f"{kernel:<16}{count:>9,}{row['runs']:>6}{numbers}{shares}", flush=True)


def record(rows, skipped):
    """Keep all sizes in one record; both kernels are compared at the largest that both can do."""
    largest = max(count for kernel, count in rows if kernel == "rbf")
    extra = {"features": 64, "labelled": 0.05}
    extra["repeats"] = min(rows[kernel, largest]["runs"] for kernel in KERNELS)
    for (kernel, count), row in rows.items():
        for key, value in row.items():
            extra[f"{kernel}_{key}_at_{count}"] = value
    for (kernel, count), reason in skipped.items():
        extra[f"{kernel}_at_{count}"] = reason
    seconds = [rows[kernel, largest]["seconds"] for kernel in KERNELS]
    return keep("label_spreading.knn_against_rbf", *seconds, "s", largest, **extra)


def plot(rows, skipped, path):
    """Draw how time and memory grow with the number of images, both axes logarithmic."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    for panel, key, title in zip(
        panels, ("seconds", "growth_mb"), ("time (s)", "growth of memory (MB)"), strict=True
    ):
        for kernel, marker in zip(KERNELS, "os", strict=True):
            sizes = sorted(count for name, count in rows if name == kernel)
            values = [rows[kernel, count][key] for count in sizes]
            panel.loglog(sizes, values, marker=marker, label=kernel)
        panel.set(xlabel="images", ylabel=title)
        panel.grid(alpha=0.3, which="both")
        panel.legend(loc="upper left")
    for (kernel, count), reason in skipped.items():
        need = BYTES * count**2 / 1e6
        panels[1].loglog(count, need, marker="x", color="C1", linestyle="none")
        text = f"{kernel}, {reason.split(',')[0]}"
        panels[1].annotate(text, (count, need), (-8, 0), textcoords="offset points", ha="right")
    figure.suptitle("Spreading labels over 64 features each, 5 % labelled")
    figure.savefig(path, dpi=120)


def main():
    args = arguments(__doc__, sizes=[1000, 10_000, 100_000], repeats=3)
    heads = ("seconds", "slowest", "growth MB", "accuracy", "unreached", "ceiling")
    print(f"{'kernel':<16}{'images':>9}{'runs':>6}" + "".join(f"{head:>11}" for head in heads))
    rows, skipped = {}, {}
    for count in sorted(args.sizes):
        for kernel in KERNELS:
            reason = why_not(kernel, count)
            if reason:
                skipped[kernel, count] = reason
                print(f"{kernel:<16}{count:>9,}  {reason}", flush=True)
                continue
            rows[kernel, count] = medians(kernel, count, args.repeats)
            told(kernel, count, rows[kernel, count])
    record(rows, skipped)
    plot(rows, skipped, Path(__file__).with_name("label_spreading.png"))


if __name__ == "__main__":
    main()
