"""Write docs/results.md from docs/results/metrics.json, and its figures: nobody types a number."""

import lists
import metrics
import pictures
import pieces
import plan
import published
from heads import data, machine, missing
from pieces import count, ends, grouped, interval, means, number, ordered, picture, seconds, table
from recipe_page import ablation, leave_outs

HEAD = """# Results on real chest X-rays

`make results SOURCE=PATH.zip` measures all of this anew and keeps it in
[metrics.json](results/metrics.json); this page and its figures are made from that file, so nobody
types a number here. How each was measured is said in the first lines of the scripts in `results/`.
"""


def text(kept, jobs=plan.PLAN):
    """Return the page.

    Parameters
    ----------
    kept : dict
        What `metrics.load` returns.
    jobs : sequence of plan.Job
        What there is to measure: what is not among the records is listed as missing.

    Returns
    -------
    str
        Markdown.
    """
    records = kept["records"]
    parts = [HEAD, data(kept["data"]), machine(kept["machine"], records), missing(records, jobs)]
    parts += [classifiers(records), leave_outs(records), ablation(records), heat_maps(records)]
    parts += [anomalies(records), spreading(records), others()]
    return "\n".join(part for part in parts if part)


def write(home=metrics.HOME, jobs=plan.PLAN):
    """Write the page and its figures."""
    kept = metrics.load(home)
    (home / "results").mkdir(parents=True, exist_ok=True)
    pictures.draw(kept["records"], home / "results")
    (home / "results.md").write_text(text(kept, jobs), "utf-8")
    print(f"results.md tells of {len(kept['records'])} records of metrics.json")


def classifiers(records):
    """Return the table of baselines and networks, and its figure."""
    found = pieces.classifiers(records)
    head = ["method", "parameters", "seconds", "seeds", "AUC", "lowest to highest seed"]
    head += ["95% interval by patient, first seed", "accuracy", "sensitivity", "specificity"]
    lines = [
        [what, count(rows[0].get("parameters")), seconds([row.get("seconds") for row in rows])]
        + [len(rows), number(means(rows, "AUC")), ends(rows, "AUC"), interval(rows[0])]
        + [number(means(rows, key)) for key in ("accuracy", "sensitivity", "specificity")]
        for _, what, rows in ordered(found, lists.CLASSIFIERS)
    ]
    told = [f"{line[0]} {line[4]}" for line in lines]
    return (
        "## Sick or healthy\n\nAUC, accuracy, sensitivity, specificity and seconds are means over "
        "the seeds. The threshold behind the last three is the one with the largest sum of "
        "sensitivity and specificity on validation. The interval says what other patients could "
        "have changed; lowest and highest what another seed did. A network is worth something when "
        f"it is better than the rows without one.\n\n{table(head, lines)}{notes(found)}"
        + picture("classifiers", "Test AUC with its interval by patient", told)
    )


def notes(found):
    """Say what the table of classifiers cannot."""
    said = []
    for row in [row for rows in found.values() for row in rows]:
        what, seed = lists.CLASSIFIERS.get(row["name"], row["name"]), row["seed"]
        if row.get("weights") == "none" and row is found[row["name"]][0]:
            said.append(f"{what} has an untrained base: no ImageNet weights were at hand.")
        if row.get("score_deviation", 1) < 1e-3:
            said.append(f"{what}, seed {seed}, got stuck: it gives every image the same answer.")
        if row.get("half_accuracy") is not None and row is found[row["name"]][0]:
            rates = (number(means(found[row["name"]], f"half_{key}")) for key in lists.RATES[:3])
            said.append(
                "{}, calibrated on validation with both classes weighed the same, and cut at a "
                "half: accuracy {}, sensitivity {}, specificity {}.".format(what, *rates)
            )
        if row.get("restored_AUC") is not None:
            said.append(
                f"{what}, seed {seed}: the chapter's EarlyStopping would have gone back to the "
                f"first epoch (lesson 4, section 4.7), with AUC {number(row['restored_AUC'])} in "
                f"place of {number(row['AUC'])}."
            )
    return "".join(f"\n- {line}" for line in said) + ("\n" if said else "")


def heat_maps(records):
    """Return the section on Grad-CAM's energy in the lung box."""
    found = grouped(records, "gradcam_", "hirescam_")
    head = ["network", "method", "images", "energy in the box", "95% interval by patient"]
    head += ["of maps not blank", "chance", "blank maps", "seconds an image"]
    lines = [
        [lists.CLASSIFIERS.get(row["network"], row["network"]), lists.METHODS[row["method"]]]
        + [row["images"], number(row["energy"]), interval(row), number(row["energy_lit"])]
        + [number(row["chance"]), f"{row['blank']:.0%}", number(row["seconds"] / row["images"])]
        for row in (rows[0] for rows in found.values())
    ]
    return (
        "## Where the networks look\n\nThe share of each heat map's energy inside a box where the "
        "lungs usually are (lesson 6), on sick test images, one a patient, each explained for "
        "pneumonia. *Chance* is the box's share of the image. The box is a proxy: heart and spine "
        "are in it too, and a network can look at the wrong thing inside. A blank map, without "
        "anything that speaks for pneumonia, has no energy in the box; beside it the mean of the "
        f"others.\n\n{table(head, lines)}"
    )


def anomalies(records):
    """Return the section on scores that have seen healthy children only, and its figure."""
    found = grouped(records, "anomaly_")
    head = ["score", "parameters", "seconds", "seeds", "AUC", "lowest to highest seed"]
    head += ["95% interval by patient, first seed", "points", "false alarms", "sensitivity"]
    lines = [
        [what, count(rows[0]["parameters"]), seconds([row["seconds"] for row in rows])]
        + [len(rows), number(means(rows, "AUC")), ends(rows, "AUC"), interval(rows[0])]
        + [rows[0]["points"], number(means(rows, "false_alarms"))]
        + [number(means(rows, "sensitivity"))]
        for _, what, rows in ordered(found, lists.SCORES)
    ]
    told = [f"{line[0]} {line[4]}" for line in lines]
    return (
        "## Healthy children only\n\nScores fitted to the healthy images of train (lesson 7). An "
        "AUC below 0.5 means that the sick score *lower*; it is never turned round, as who has "
        "healthy images only cannot know that it should be. *Points* is up or down when the whole "
        "interval is on one side of 0.5. The alarm is set for 5% false alarms on held-out healthy "
        "patients; the last columns say what it does on test (specificity is one less the false "
        "alarms).\n\n"
        f"{table(head, lines)}" + picture("anomalies", "AUC, never turned round", told)
    )


def spreading(records):
    """Return the section on label spreading, and its figure."""
    found = grouped(records, "spreading_")
    head = ["labels", "method", "parameters", "labelled images", "seconds", "seeds", "AUC"]
    head += ["lowest to highest seed", "95% interval by patient, first seed", "accuracy"]
    head += ["sensitivity", "specificity"]
    head += ["right on hidden images", "larger class there"]
    lines = [
        [f"{rows[0]['percent']}%", lists.SPREADING[rows[0]["method"]]]
        + [
            count(rows[0].get("parameters")),
            f"{means(rows, 'labelled_images'):,.0f}",
            seconds([row["seconds"] for row in rows]),
        ]
        + [len(rows), number(means(rows, "AUC")), ends(rows, "AUC"), interval(rows[0])]
        + [number(means(rows, key)) for key in lists.RATES]
        for rows in sorted(found.values(), key=lists.by_share)
    ]
    told = [f"{line[1]} with {line[0]} of the labels {line[6]}" for line in lines]
    return (
        "## Few labels\n\nOnly a share of the training patients keeps its labels (lesson 8). *Few "
        "labels* is a small network trained on these; *spread labels* the same one trained on with "
        "the labels that were spread to the other images; *trained longer* the same one trained on "
        "as long, on the few: spreading is worth something when it beats this. The regression is "
        "fitted to the first network's features. Seeds draw other patients. The threshold comes "
        "from the whole validation part, whose labels are not counted here. *Right on hidden "
        "images* compares labels with the truth that was hidden; the larger class alone is right "
        f"that often.\n\n{table(head, lines)}"
        + picture("spreading", "Test AUC by share of labels", told)
    )


def others():
    """Return what is published elsewhere."""
    head = ["method", "scored on", "AUC", "accuracy", "source"]
    rows = [
        [method, where, "-" if auc is None else auc, "-" if right is None else right, source]
        for method, where, auc, right, source in published.ROWS
    ]
    return (
        "## Published figures\n\nThese are typed, as others printed them, and **not comparable** "
        "with the tables above unless those are of the full set: the official test folder is "
        "another one than that of a smaller copy, and a random split by image puts "
        f"images of one child on both sides.\n\n{table(head, rows)}"
    )


if __name__ == "__main__":
    write()
