"""Tests and lessons under test always use the drawn sample, drawn before the first of them."""

import os

os.environ["COURSE_SOURCE"] = "sample"
os.environ["COURSE_WIDGETS"] = "off"  # an explorer is one figure, as in the committed outputs


def pytest_sessionstart(session):
    # in the controller, so that two workers never draw the same sample at once
    if not hasattr(session.config, "workerinput"):
        from helpers import datasets

        for name in datasets.REGISTRY:
            datasets.fetch(name)
