"""Where a lesson runs, what it may use, and the checks under every number it states."""

import contextlib
import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_RECORDED = {}
SEED = int(os.environ.get("COURSE_SEED", 42))  # another one: does a lesson hold up?


def setup():
    """Print one line: where this runs, its GPU, Keras, and where the images come from."""
    where = "Colab" if in_colab() else "this computer"
    keras = importlib.metadata.version("keras")
    images = Path(source()).name  # of an archive the name only, not where it lies
    found = gpu()
    print(f"Running on {where} · GPU: {found or 'none'} · Keras {keras} · images: {images}")
    if in_colab() and not found:
        print("No GPU here: Runtime > Change runtime type > T4 GPU makes training 10 times faster.")
    if in_colab() and images == "auto":
        print("auto: Kaggle's images, many gigabytes. For the drawn sample run")
        print("%env COURSE_SOURCE=sample in a cell of its own, and then this cell again.")


@contextlib.contextmanager
def quiet():
    """Silence what C++ libraries write to the error stream; Python's errors still get through."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def in_colab():
    """Tell whether this is a Colab runtime."""
    return "google.colab" in sys.modules


def gpu():
    """Return what kind of GPU the machine has, without importing TensorFlow, or None.

    The driver's program is asked: where it is without a GPU, as in some of Colab's runtimes, it
    says that it has failed.
    """
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        asked = ["nvidia-smi", "--list-gpus"]
        listed = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=True)
        return "NVIDIA" if listed.stdout.startswith("GPU ") else None
    return None


def data_root():
    """Return the folder where archives and images live, `COURSE_DATA` or the course's data/."""
    return Path(os.environ.get("COURSE_DATA", ROOT / "data"))


def source():
    """Return `COURSE_SOURCE`: "auto", "sample", "kaggle" or the path of a zip archive.

    Raises
    ------
    ValueError
        When it is none of these.
    """
    wanted = os.environ.get("COURSE_SOURCE", "auto") or "auto"
    if wanted in ("auto", "sample", "kaggle"):
        return wanted
    if wanted.endswith(".zip") and Path(wanted).is_file():
        return str(Path(wanted).resolve())
    raise ValueError(
        f"COURSE_SOURCE is '{wanted}': use auto, sample, kaggle, or the path of an existing .zip."
    )


def expect(name, value, *, at_least=None, at_most=None, equals=None):
    """Check a result that the lesson's prose relies on, print it, and record it.

    Results that vary with the machine get a range; counts and other exact ones `equals`.

    Parameters
    ----------
    name : str
        ``model.figure``, such as "smallnet.test_auc": the name in build/course.json.
    value : float, int or ...
        What was measured; `...` in a student's copy, where it only says what is wanted.
    at_least, at_most : float, optional
        The range, ends included.
    equals : float or int, optional
        The exact value.

    Raises
    ------
    AssertionError
        When the value is outside, with a sentence that names both.
    """
    value = value.item() if hasattr(value, "item") else value
    bounds = {"exactly": equals, "at least": at_least, "at most": at_most}
    wanted = " and ".join(f"{k} {_number(v)}" for k, v in bounds.items() if v is not None)
    if not wanted:
        raise TypeError(f"expect('{name}') needs at_least, at_most or equals; else use record.")
    if value is ...:
        print(f"{name}: your turn ({wanted})")
        return
    good = (equals is None or value == equals) and (at_least is None or value >= at_least)
    if not (good and (at_most is None or value <= at_most)):
        raise AssertionError(f"{name} is {_number(value)}, but the lesson expects {wanted}.")
    _keep(name, value)
    print(f"{name} = {_number(value)} ({wanted})")


def record(name, value):
    """Print and record a result that has no bounds, such as seconds."""
    value = value.item() if hasattr(value, "item") else value
    _keep(name, value)
    print(f"{name} = {_number(value)} (recorded)")


def recorded(prefix=""):
    """Return what `expect` and `record` kept in this kernel: name to value, in order."""
    return {name: value for name, value in _RECORDED.items() if name.startswith(prefix)}


def forget(prefix):
    """Drop what `recorded` has under names that begin so, before it is measured anew."""
    for name in recorded(prefix):
        del _RECORDED[name]


def _number(value):
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _keep(name, value):
    _RECORDED[name] = value
    if path := os.environ.get("COURSE_METRICS"):
        with open(path, "a") as file:
            file.write(json.dumps({name: value}) + "\n")


def alive(process):
    """Tell whether the process of a number still runs; True where that cannot be asked."""
    if os.name == "nt":
        return True  # there os.kill(process, 0) does not ask but kill
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's
    return True
