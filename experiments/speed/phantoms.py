"""Draw the sample of every data set: how many images a second, and how long all take.

    python -m experiments.speed.phantoms [--repeats 3]

This is phantoms.archives.write as `make course` calls it on a new machine: two processes draw every
image and its masks, encode them as the archive's kind of file, and one packs them. The clock
includes the start of these processes. Nothing stands beside it: who needs drawn images with known
lesions has no other way to get these.
"""

import tempfile
import time
from pathlib import Path
from statistics import median

from experiments.speed.harness import arguments, keep


def measure(name):
    """Draw one data set's sample and return how many images it has and the seconds."""
    from phantoms import archives

    with tempfile.TemporaryDirectory() as home:
        start = time.perf_counter()
        archives.write(name, Path(home))
        seconds = time.perf_counter() - start
    return len(archives.PLANS[name](0)[0]), seconds


def main():
    args = arguments(__doc__, repeats=3)
    from phantoms import archives  # here, so that the processes that draw start fast

    seconds, counts = {name: [] for name in archives.PLANS}, {}
    for repeat in range(args.repeats):
        for name, done in seconds.items():
            counts[name], took = measure(name)
            done.append(took)
            print(f"  run {repeat + 1}, {name}: {counts[name]} in {took:.1f} s", flush=True)
    for name, done in seconds.items():
        rate, extra = counts[name] / median(done), {"seconds": median(done)}
        if args.repeats > 1:
            extra |= {"seconds_low": min(done), "seconds_high": max(done)}
        extra |= {"repeats": args.repeats}
        keep(f"phantoms.{name}", rate, None, "images/s", counts[name], **extra)
    alls, extra = [sum(runs) for runs in zip(*seconds.values(), strict=True)], {}
    if args.repeats > 1:
        extra |= {"low": min(alls), "high": max(alls)}
    extra |= {"repeats": args.repeats}
    keep("phantoms.all", median(alls), None, "s", sum(counts.values()), **extra)


if __name__ == "__main__":
    main()
