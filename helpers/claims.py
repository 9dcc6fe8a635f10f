"""What a lesson claims of its results: checked, printed, and kept for build/course.json."""

import json
import os

_RECORDED = {}


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
