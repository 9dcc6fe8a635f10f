"""What records are called on the page, in the order of its tables."""

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
EDGE = 0.15  # share of each class whose file size counts as odd
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
RATES = ("accuracy", "sensitivity", "specificity", "hidden_accuracy", "majority")


def by_kind(rows):
    """Return what puts the leave-out tests in order: what is left out, then the method."""
    return list(LEFT_OUT).index(rows[0]["kind"]), list(METHODS).index(rows[0]["method"])


def by_share(rows):
    """Return what puts label spreading's records in order: the share, then the method."""
    return rows[0]["percent"], list(SPREADING).index(rows[0]["method"])
