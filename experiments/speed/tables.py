"""Make a table of 100,000 files in Kaggle's chest layout, beside listing their names.

    python -m experiments.speed.tables [--files 100000] [--repeats 5]

Ours is datasets.table, as the lessons call it: path, label, patient and split, sorted by path. The
other is a list of all paths from os.walk, which any table needs at the least. Each runs in a fresh
process, in turn; the clock starts after the imports, and the folders have just been written, so
that the system knows them. The files lie where the course unpacks drawn images, whose table opens
no file. Of downloaded ones it also asks whether each can be read; a call after the first, which
only asks whether a file has changed since, is timed apart, and so is datasets.own_images. Growth is
the peak less the resident size just before. Linux or macOS.
"""

import os
import tempfile
import time
from pathlib import Path

from experiments.speed.harness import (
    arguments,
    compare,
    fresh,
    in_turn,
    memory,
    middle,
    resident,
)

FEW = 10_000  # files of the run that shows how time and memory grow with their number
SHARES = {"train": 0.9, "val": 0.02, "test": 0.08}
LINKS = 1000  # names for one file's content: a system may allow no more than a few ten thousand
PATIENT = r"^(person\d+_[a-z]+|IM-\d+)"


def names(label, first, count):
    """Return names of files as Kaggle's archive has them, three of each patient."""
    for place in range(first, first + count):
        patient = place // 3
        if label == "NORMAL":
            yield f"IM-{patient:04d}-{place % 3 + 1:04d}.jpeg"
        else:
            yield f"person{patient}_{('bacteria', 'virus')[patient % 2]}_{place}.jpeg"


def write_files(home, count):
    """Write as many tiny JPEG files in Kaggle's folders, and return the folder of all."""
    import cv2
    import numpy as np

    tiny = cv2.imencode(".jpeg", np.zeros((8, 8), np.uint8))[1].tobytes()
    first = 0
    for split, share in SHARES.items():
        for label in ("NORMAL", "PNEUMONIA"):
            folder = home / "sample" / "chest_xray" / split / label
            folder.mkdir(parents=True)
            for place, name in enumerate(names(label, first, round(count * share / 2))):
                if place % LINKS == 0:
                    original = folder / name
                    original.write_bytes(tiny)
                else:
                    os.link(original, folder / name)
            first += round(count * share / 2)
    (home / "kaggle").symlink_to("sample")  # the same files, where the course puts downloaded ones
    return home / "sample"


def ours(folder):
    """Return the course's table."""
    from helpers import datasets

    return datasets.table("chest_xray", folder)


def other(folder):
    """Return the paths of all files."""
    return [os.path.join(home, name) for home, _, names in os.walk(folder) for name in names]


def measure(way, folder):
    """Make the table or list the files once, and return the seconds and the memory."""
    import helpers.datasets  # noqa: F401 - before the clock starts

    before, start = resident(), time.perf_counter()
    rows = {"ours": ours, "other": other}[way](folder)
    return {"seconds": time.perf_counter() - start, "files": len(rows)} | memory(before)


def again(folder):
    """Return the seconds of a second call on files that have been opened and can be read."""
    from helpers import datasets

    os.environ["COURSE_DATA"] = str(folder.parent)  # where the course notes what it has read
    found = {}
    for name, make in {
        "kaggle_again_s": lambda: ours(folder.with_name("kaggle")),
        "own_images_again_s": lambda: datasets.own_images(
            folder.with_name("kaggle") / "chest_xray" / "train", PATIENT
        ),
    }.items():
        make()
        start = time.perf_counter()
        rows = make()
        found[name] = time.perf_counter() - start
        print(f"  {name}: {found[name]:.3g} for {len(rows):,} files", flush=True)
    return found


def main():
    args = arguments(__doc__, files=100_000, repeats=5)
    few, extra = min(FEW, args.files), {}
    with tempfile.TemporaryDirectory() as home:
        for count in sorted({few, args.files}):
            print(f"{count:,} files", flush=True)
            folder = fresh(write_files, Path(home) / str(count), count)
            runs = in_turn(measure, ("ours", "other"), args.repeats, folder)
            assert len({run["files"] for way in runs.values() for run in way}) == 1
            for way in runs if count == few else ():
                extra[f"{way}_seconds_at_{few}"] = middle(runs, way, "seconds")
                extra[f"{way}_growth_mb_at_{few}"] = middle(runs, way, "growth_mb")
        extra |= fresh(again, folder) | {"more": ("growth_mb", "peak_mb")}
    compare("tables.chest_xray", runs, "seconds", "s", args.files, **extra)


if __name__ == "__main__":
    main()
