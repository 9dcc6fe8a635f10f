"""Tests and lessons under test always use the drawn sample, drawn before the first of them."""

import os
from pathlib import Path

os.environ["COURSE_SOURCE"] = "sample"
# a build folder of their own: what a person has trained is never written over by a test
os.environ["COURSE_BUILD"] = str(Path(__file__).parent / "build" / "tests")
os.environ["COURSE_WIDGETS"] = "off"  # an explorer is one figure, as in the committed outputs


def pytest_sessionstart(session):
    # in the controller, so that two workers never draw the same sample at once
    if not hasattr(session.config, "workerinput"):
        from helpers import datasets

        for name in datasets.REGISTRY:
            datasets.fetch(name)
