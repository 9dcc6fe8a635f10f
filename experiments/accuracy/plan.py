"""What `make results` measures, and what its records are called on the page, in its order.

A job's script has `measure(name, seed, setting)`, which returns a list of records. A job that needs
what another one saved (a trained network) stands after it.
"""

from typing import NamedTuple

ONCE, SEEDS = (42,), (42, 43, 44)  # what takes more than ten minutes, or draws nothing, runs once
CLASSIFIERS = {
    "baseline_larger_class": "always the larger class",
    "baseline_file_size": "file size",
    "baseline_mean_intensity": "mean intensity",
    "baseline_8x8": "logistic regression on 8x8 pixels",
    "smallnet_printed": "SmallNet as the chapter's code prints it",
    "smallnet_prose": "SmallNet as the chapter's prose describes it",
    "smallnet_course": "SmallNet as lesson 4 trains it",
    "vgg16": "VGG16 with a lean head",
    "compactnet": "CompactNet",
}
METHODS = {"gradcam": "Grad-CAM", "hirescam": "HiResCAM"}
METHODS |= {"8x8": "logistic regression on 8x8 pixels", "compactnet": "CompactNet"}
LEFT_OUT = {
    "virus": "viral pneumonia",
    "series": "healthy children of the series IM-",
    "file_size": "the odd ends of file size",
}
HARD = {"file_size": "odd file sizes", "virus_and_series": "virus and IM-"}  # the ablation's tests
VARIANTS = {
    "first": "128 pixels, rotated and shifted",
    "smaller": "64 pixels, rotated and shifted",
    "grey_levels": "64 pixels, moved more; other tone curves and uneven exposure",
    "sharpness": "64 pixels, moved more; blurred, sharpened, noisy",
    "all": "the recipe: all of these",
    "averaged": "the recipe, with an average of the weights",
}
SCORES = {
    "anomaly_file_size": "file size",
    "anomaly_mean_intensity": "mean intensity",
    "anomaly_sharpness": "sharpness (Laplacian variance)",
    "anomaly_pca_residual": "PCA residual",
    "anomaly_autoencoder": "lean autoencoder, squared error",
    "anomaly_autoencoder_two_sided": "lean autoencoder, two-sided",
    "anomaly_autoencoder_mahalanobis": "Mahalanobis distance of its 32 numbers",
    "anomaly_spectrum_neighbours": "neighbours of the spectrum",
    "anomaly_patch_distances": "neighbours of the patches",
}
SPREADING = {
    "few_labels": "few labels",
    "trained_longer": "trained longer",
    "spread_labels": "spread labels",
    "logistic_regression": "logistic regression",
}
SHARES = (5, 10, 20, 50)  # per cent of the training patients whose labels are known


class Job(NamedTuple):
    """One kind of run: what it is called, the module that measures it, with which seeds."""

    name: str
    script: str
    seeds: tuple = ONCE


CLASSIFY = "experiments.accuracy.classifiers"
ANOMALY, HEAT = "experiments.accuracy.anomalies", "experiments.accuracy.heat_maps"
SPREAD = "experiments.accuracy.spreading"
PLAN = (
    *(Job(name, CLASSIFY) for name in CLASSIFIERS if name.startswith("baseline_")),
    Job("smallnet_course", CLASSIFY),
    Job("vgg16", CLASSIFY, SEEDS),
    Job("compactnet", CLASSIFY, SEEDS),
    *(Job(f"leave_out_{kind}", CLASSIFY, SEEDS) for kind in LEFT_OUT),
    *(Job(f"ablation_{variant}_{kind}", CLASSIFY) for kind in HARD for variant in VARIANTS),
    Job("gradcam_smallnet_course", HEAT),
    Job("gradcam_vgg16", HEAT),
    Job("gradcam_compactnet", HEAT),
    Job("anomaly_scores", ANOMALY),
    Job("anomaly_autoencoder", ANOMALY, SEEDS),
    *(Job(f"spreading_{share:02}", SPREAD, SEEDS) for share in SHARES),
    Job("smallnet_printed", CLASSIFY),
    Job("smallnet_prose", CLASSIFY),
)
