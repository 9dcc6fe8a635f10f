"""Figures in one style: colour-blind-safe, labelled, with alt text."""

import io
import os
import shutil
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display

from helpers import images as image_files

# Okabe and Ito 2008, safe for the common kinds of colour blindness
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#666666"
COLOURS = (BLUE, ORANGE, GREEN, RED, "#CC79A7", "#56B4E9", "#F0E442", "#000000")
plt.rcParams["axes.prop_cycle"] = plt.cycler(color=COLOURS)  # for scikit-learn's displays too
SPINES = {"axes.spines.top": False, "axes.spines.right": False}
plain = plt.rc_context(SPINES | {"legend.frameon": False})  # the style of what has two axes


def show(figure, name, alt):
    """Show a figure with alt text; with `COURSE_FIGURES` set, also save it there as a PNG.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Closed afterwards.
    name : str
        File name without ending, such as "04_history".
    alt : str
        One full sentence that says what the figure shows, for those who cannot see it.
    """
    png = drawn(figure)
    if folder := os.environ.get("COURSE_FIGURES"):
        Path(folder, f"{name}.png").write_bytes(png)
    _display(png, name, alt)


def _display(png, name, alt):
    picture = {"image/png": png, "text/plain": f"{name}: {alt}"}
    display(picture, raw=True, metadata={"image/png": {"alt": alt}})


def drawn(figure):
    """Return a figure as the bytes of a PNG, and close it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=80, bbox_inches="tight")
    plt.close(figure)
    return buffer.getvalue()


def grid(images, titles, columns=4, width=8):
    """Draw images side by side.

    Parameters
    ----------
    images : sequence
        Arrays [H, W], [H, W, 1] or [H, W, 3] in 0..255, or paths of image files.
    titles : sequence of str
        One an image.
    columns : int
        Images in a row.
    width : float
        Of the figure, in inches.

    Returns
    -------
    matplotlib.figure.Figure
        For `show`.
    """
    if not 0 < len(images) <= len(titles):
        raise ValueError(f"There are {len(images)} images and {len(titles)} titles: give pairs.")
    rows, images = -(-len(images) // columns), [_pixels(image) for image in images]
    high, wide = images[0].shape[:2]
    row = (high / wide + 0.12) * width / columns  # with room for a title
    figure, axes = plt.subplots(rows, columns, figsize=(width, row * rows))
    for axis in np.ravel(axes):
        axis.axis("off")
    for axis, image, title in zip(np.ravel(axes), images, titles, strict=False):
        image = image[..., 0] if image.shape[2:] == (1,) else image
        axis.imshow(image.astype(np.uint8), cmap="gray", vmin=0, vmax=255)
        axis.set_title(title, fontsize=9)
    figure.tight_layout()
    return figure


def _pixels(image):
    return np.asarray(image_files.picture(image) if isinstance(image, str | Path) else image)


@plain
def bars(parts, title):
    """Draw how many images each part has of each label.

    Parameters
    ----------
    parts : dict of str to DataFrame
        Such as {"train": train, "validation": validation}, each with a column label.
    title : str
        Above the figure.
    """
    figure, axis = plt.subplots(figsize=(6, 3))
    names = sorted(set().union(*(part["label"] for part in parts.values())))
    width = 0.8 / len(parts)
    for k, (part, rows) in enumerate(parts.items()):
        counts = [int((rows["label"] == name).sum()) for name in names]
        places = np.arange(len(names)) + (k - (len(parts) - 1) / 2) * width
        drawn = axis.bar(places, counts, width, color=COLOURS[k], label=part)
        axis.bar_label(drawn, fontsize=8)
    axis.set(title=title, xlabel="label", ylabel="images")
    axis.set_xticks(range(len(names)), names)
    axis.legend()
    return figure


@plain
def history(runs, metrics=("loss", "auc")):
    """Draw how each metric went over the epochs, on train and, where there was one, validation.

    Parameters
    ----------
    runs : dict of str to dict
        A name to the `history` of Keras's `fit`.
    metrics : tuple of str
        One panel each.
    """
    for name, logs in runs.items():
        if lacks := [metric for metric in metrics if metric not in logs]:
            raise ValueError(
                f"{name} has no metric {lacks[0]}: give {{name: history}} and metrics=."
            )
    figure, axes = plt.subplots(1, len(metrics), figsize=(4.4 * len(metrics), 3.2))
    for axis, metric in zip(np.ravel(axes), metrics, strict=True):
        for k, (name, logs) in enumerate(runs.items()):
            steps = range(1, len(logs[metric]) + 1)
            axis.plot(steps, logs[metric], ":", color=COLOURS[k], label=f"{name}, train")
            if held_out := logs.get(f"val_{metric}"):
                axis.plot(steps, held_out, color=COLOURS[k], label=f"{name}, validation")
        label = metric.upper() if metric == "auc" else metric
        axis.set(title=label, xlabel="epoch", ylabel=label)
    # beside the last panel, where it hides no curve
    axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.tight_layout()
    return figure


@plain
def intervals(rows, title, xlabel="AUC, with 95% interval by patient"):
    """Draw AUCs with their intervals, one line a method, and chance as a dashed line.

    Parameters
    ----------
    rows : DataFrame
        With columns method, AUC, low and high.
    title, xlabel : str
        Above and below the figure.
    """
    figure, axis = plt.subplots(figsize=(6.5, 0.4 * len(rows) + 1.2))
    places = range(len(rows))[::-1]
    errors = [rows["AUC"] - rows["low"], rows["high"] - rows["AUC"]]
    axis.errorbar(rows["AUC"], places, xerr=errors, fmt="o", color=BLUE, capsize=3)
    axis.axvline(0.5, linestyle="--", color=GREY)
    axis.set(title=title, xlabel=xlabel)
    axis.set_yticks(places, rows["method"])
    axis.set_xlim(min(0.4, rows["low"].min() - 0.02), 1.02)
    return figure


def overlays(images, maps, titles, columns=4, width=8):
    """Draw heat maps over their images: the warmer and the less transparent, the more weight.

    Parameters
    ----------
    images : sequence
        As for `grid`.
    maps : ndarray
        [N, H, W] in 0..1, as large as the images.
    titles, columns, width
        As for `grid`.
    """
    # green as grey below the map: on an orange eye nobody sees orange heat
    images = [image[..., 1] if np.shape(image)[-1:] == (3,) else image for image in images]
    figure = grid(images, titles, columns, width)
    for axis, heat in zip(figure.axes, maps, strict=False):
        lay_over(axis, heat)
    return figure


def lay_over(axis, heat, opacity=0.65):
    """Draw a heat map [H, W] in 0..1 over an axis's image; `opacity`, 0..1, is that of a 1."""
    axis.imshow(heat, cmap="inferno", vmin=0, vmax=1, alpha=opacity * np.sqrt(heat))


@plain
def measures(rows, title, ylabel):
    """Draw several measures of several networks side by side, with their intervals.

    Parameters
    ----------
    rows : DataFrame
        With columns network, measure, mean, low and high.
    title, ylabel : str
        Above and beside the figure.
    """
    figure, axis = plt.subplots(figsize=(6.5, 3.4))
    networks, kinds = rows["network"].unique(), rows["measure"].unique()
    for k, (kind, colour) in enumerate(zip(kinds, COLOURS, strict=False)):
        line = rows[rows["measure"] == kind].set_index("network").reindex(networks)
        places = np.arange(len(line)) + (k - (len(kinds) - 1) / 2) * 0.8 / len(kinds)
        errors = np.abs(line[["low", "high"]].to_numpy().T - line["mean"].to_numpy())
        axis.bar(places, line["mean"], 0.8 / len(kinds), color=colour, label=kind)
        axis.errorbar(places, line["mean"], errors, fmt="none", ecolor="black", capsize=3)
    axis.set(title=title, ylabel=ylabel)
    axis.set_xticks(range(len(networks)), networks)
    if len(kinds) > 1:
        axis.legend(fontsize=8)
    return figure


@plain
def curves(rows, x, y, title):
    """Draw one line a method with its interval at every point, side by side.

    Parameters
    ----------
    rows : DataFrame
        With columns method, low, high, and those named by `x` and `y`.
    x, y : str
        Columns, and the axes' labels; x is drawn in powers.
    title : str
        Above the figure.
    """
    figure, axis = plt.subplots(figsize=(6.5, 3.6))
    methods = list(rows.groupby("method", sort=False))
    for k, (method, line) in enumerate(methods):
        aside = 1.04 ** (k - (len(methods) - 1) / 2)  # so that no interval hides another
        errors = [line[y] - line["low"], line["high"] - line[y]]
        options = {"color": COLOURS[k], "capsize": 2, "elinewidth": 1}
        axis.errorbar(line[x] * aside, line[y], errors, fmt="o-", label=method, **options)
    axis.set(title=title, xlabel=x, ylabel=y, xscale="log")
    axis.set_xticks([], minor=True)
    axis.set_xticks(rows[x].unique(), rows[x].unique())
    axis.legend(fontsize=8)
    return figure


def diagram(model, name):
    """Show a network's layers and shapes; needs Graphviz, and says so where it is missing."""
    if not shutil.which("dot"):
        print("To draw the network, install Graphviz (Colab has it): https://graphviz.org")
        return
    import keras  # only here, so that lessons without a network need no TensorFlow

    file = Path(tempfile.mkdtemp()) / f"{name}.png"
    keras.utils.plot_model(model, file, show_shapes=True, dpi=60)
    alt = f"The layers of {model.name} from top to bottom, each with its output shape."
    _display(file.read_bytes(), name, alt)
