"""The figures of the page, in the course's style."""

import lists
import pandas as pd
import pieces
from pieces import grouped, means, ordered

from helpers import plots


def draw(records, folder):
    """Draw every figure that there are records for."""
    for name, make in FIGURES.items():
        figure, file = make(records), folder / f"{name}.png"
        if figure is None:
            file.unlink(missing_ok=True)
        else:
            file.write_bytes(plots.drawn(figure))


def classifiers(records):
    """Draw the test AUC of each classifier, its interval, and the other seeds."""
    return _intervals(pieces.classifiers(records), lists.CLASSIFIERS, "Sick or healthy: test AUC")


def anomalies(records):
    """Draw the signed AUC of each score around a half."""
    found = grouped(records, "anomaly_")
    return _intervals(found, lists.SCORES, "Healthy children only: AUC, never turned round")


def leave_outs(records):
    """Draw the AUC of each test that leaves something out, and of 8x8 pixels there."""
    found = grouped(records, "leave_out_")
    found = dict(sorted(found.items(), key=lambda item: lists.by_kind(item[1])))
    names = {
        name: f"{lists.LEFT_OUT[rows[0]['kind']]}:\n{lists.METHODS[rows[0]['method']]}"
        for name, rows in found.items()
    }
    return _intervals(found, names, "Left out of training: AUC there")


def ablation(records):
    """Draw what each variant of the recipe reaches on the tests of the ablation."""
    found, names = grouped(records, "ablation_"), {}
    for kind, what in lists.HARD.items():
        for variant, told in lists.VARIANTS.items():
            names[f"ablation_{variant}_{kind}"] = f"{what}: {told}"
    return _intervals(found, names, "Parts of the recipe: AUC on what was left out")


def spreading(records):
    """Draw a curve for each method, from the lowest to the highest seed at every share."""
    rows = []
    for several in sorted(grouped(records, "spreading_").values(), key=lists.by_share):
        aucs, first = [row["AUC"] for row in several], several[0]
        row = {"method": lists.SPREADING[first["method"]], "% of the labels": first["percent"]}
        rows.append(row | {"AUC": means(several, "AUC"), "low": min(aucs), "high": max(aucs)})
    title = "Few labels: test AUC, lowest to highest seed"
    return plots.curves(pd.DataFrame(rows), "% of the labels", "AUC", title) if rows else None


def _intervals(found, names, title):
    """Draw intervals of the first seed by patient, and all seeds as grey points."""
    listed = ordered(found, names)
    if not listed:
        return None
    rows = pd.DataFrame([rows[0] | {"method": what} for _, what, rows in listed])
    figure = plots.intervals(rows, title, "AUC, with 95% interval by patient; grey: other seeds")
    axis = figure.axes[0]
    for place, (_, _, several) in zip(range(len(listed))[::-1], listed, strict=True):
        other = [row["AUC"] for row in several[1:]]
        axis.plot(other, [place - 0.25] * len(other), "o", color=plots.GREY, markersize=3)
        axis.set_xlim(min([axis.get_xlim()[0], *(auc - 0.02 for auc in other)]), 1.02)
    return figure


FIGURES = {"classifiers": classifiers, "leave_outs": leave_outs, "ablation": ablation}
FIGURES |= {"anomalies": anomalies, "spreading": spreading}
