"""What `make results` measures: jobs, each with its script and its seeds.

A script's `measure(name, seed, setting)` returns a list of records. A job that needs what another
one saved (a trained network) stands after it.
"""

import importlib
from typing import NamedTuple

import setting
from lists import HARD, LEFT_OUT, VARIANTS

ONCE, SEEDS = (42,), (42, 43, 44)  # what takes more than ten minutes, or draws nothing, runs once


class Job(NamedTuple):
    """One kind of run: what it is called, which script measures it, with which seeds."""

    name: str
    script: str
    seeds: tuple = ONCE


SHARES = (5, 10, 20, 50)  # per cent of the training patients whose labels are known
PLAN = (
    Job("baseline_larger_class", "baselines"),
    Job("baseline_file_size", "baselines"),
    Job("baseline_mean_intensity", "baselines"),
    Job("baseline_8x8", "baselines"),
    Job("smallnet_course", "networks"),
    Job("vgg16", "networks", SEEDS),
    Job("compactnet", "recipe", SEEDS),
    *(Job(f"leave_out_{kind}", "recipe", SEEDS) for kind in LEFT_OUT),
    *(Job(f"ablation_{variant}_{kind}", "recipe") for kind in HARD for variant in VARIANTS),
    Job("gradcam_smallnet_course", "heat_maps"),
    Job("gradcam_vgg16", "heat_maps"),
    Job("gradcam_compactnet", "heat_maps"),
    Job("anomaly_scores", "anomalies"),
    Job("anomaly_autoencoder", "anomalies", SEEDS),
    *(Job(f"spreading_{share:02}", "spreading", SEEDS) for share in SHARES),
    Job("smallnet_printed", "networks"),
    Job("smallnet_prose", "networks"),
)


def measure(script, name, seed, archive, work):
    """Run one job in this process, and return its records."""
    ready = setting.opened(archive, work)
    return importlib.import_module(script).measure(name, seed, ready)
