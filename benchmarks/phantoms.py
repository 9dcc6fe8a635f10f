"""Draw the sample of every data set: how many images a second, and how long all take.

    python benchmarks/phantoms.py [--repeats 3]

This is phantoms.archives.write as `make course` calls it on a new machine: two processes draw every
image and its masks, encode them as the archive's kind of file, and one packs them. The clock
includes the start of these processes. Nothing stands beside it: who needs drawn images with known
lesions has no other way to get these.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from results import keep


def measure(name):
    """Draw one data set's sample and return how many images it has and the seconds."""
    from helpers.phantoms import archives

    with tempfile.TemporaryDirectory() as home:
        start = time.perf_counter()
        archives.write(name, Path(home))
        seconds = time.perf_counter() - start
    return len(archives.PLANS[name](0)[0]), seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="runs of every data set")
    args = parser.parse_args()
    from helpers.phantoms import archives  # here, so that the processes that draw start fast

    seconds, counts = {name: [] for name in archives.PLANS}, {}
    for repeat in range(args.repeats):
        for name, done in seconds.items():
            counts[name], took = measure(name)
            done.append(took)
            print(f"  run {repeat + 1}, {name}: {counts[name]} in {took:.1f} s", flush=True)
    for name, done in seconds.items():
        middle = statistics.median(done)
        keep(
            f"phantoms.{name}",
            counts[name] / middle,
            None,
            "images/s",
            counts[name],
            seconds=middle,
            seconds_low=min(done),
            seconds_high=max(done),
            repeats=args.repeats,
        )
    alls = [sum(runs) for runs in zip(*seconds.values(), strict=True)]
    extra = {"low": min(alls), "high": max(alls), "repeats": args.repeats}
    entry = keep("phantoms.all", statistics.median(alls), None, "s", sum(counts.values()), **extra)
    print(f"all {entry['n']:,} images: {entry['ours']} s")


if __name__ == "__main__":
    main()
