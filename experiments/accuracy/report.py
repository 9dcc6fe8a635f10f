"""Write docs/results.md and its figures from records.json: nobody types a number."""

from statistics import mean

import pandas as pd

from experiments import records
from experiments.accuracy import plan
from experiments.accuracy.setting import EDGE, ENTRY
from experiments.report import count, ends, head, picture, share, table
from helpers import plots

HOME = records.FILE.parent.parent / "docs"  # of results.md; its figures lie in results/ beside it
PARTS = ("train", "val", "validation", "test")
RATES = ("accuracy", "sensitivity", "specificity", "hidden_accuracy", "majority")
# how names of records begin that are no classifier on the course's own split
OTHERS = ("leave_out_", "ablation_", "gradcam_", "hirescam_", "anomaly_", "spreading_")
MEDMNIST = (
    "Yang and others 2023, [doi:10.1038/s41597-022-01721-8]"
    "(https://doi.org/10.1038/s41597-022-01721-8), PneumoniaMNIST"
)
CHAPTER = "the textbook chapter, as it printed them; random split by image"
EARLIER = "this course, one earlier run on the full set"
# what others report, typed: method, scored on, AUC, accuracy (None where not given), source
PUBLISHED = (
    ("ResNet-18, 28 pixels", "official test", 0.944, 0.854, MEDMNIST),
    ("ResNet-18, 224 pixels", "official test", 0.956, 0.864, MEDMNIST),
    ("ResNet-50, 224 pixels", "official test", 0.962, 0.884, MEDMNIST),
    ("AutoKeras", "official test", 0.947, 0.878, MEDMNIST),
    ("Google AutoML Vision", "official test", 0.991, 0.946, MEDMNIST),
    ("SmallNet", "its validation", 0.9794, 0.9402, CHAPTER),
    ("SmallNet", "its test", 0.978, 0.93, CHAPTER),
    ("VGG16", "its validation", None, 0.9658, CHAPTER),
    ("VGG16", "its test", 0.988, 0.96, CHAPTER),
    ("SmallNet, Adam 0.001", "official test", 0.889, None, EARLIER),
    ("logistic regression on 8x8 pixels", "official test", 0.886, None, EARLIER),
)
TITLE = """# Results on real chest X-rays

`make results SOURCE=PATH.zip` measures all of this anew and keeps it in
[records.json](../experiments/records.json); this page and its figures are made from that file, so
nobody types a number here. How each was measured is said in the first lines of the scripts in
`experiments/accuracy/`.
"""
SECONDS = """Seconds run from the files to the result, of networks to the trained network; other
programs may have run beside.
"""


def text(kept, jobs=plan.PLAN):
    """Return the page.

    Parameters
    ----------
    kept : dict
        What `records.load` returns.
    jobs : sequence of plan.Job
        What there is to measure: what is not among the records is listed as missing.

    Returns
    -------
    str
        Markdown.
    """
    found = kept["accuracy"]
    parts = [TITLE, data(kept["archive"]), f"{head(found)} {SECONDS}" if found else ""]
    parts += [missing(found, jobs), classifiers(found), leave_outs(found), ablation(found)]
    parts += [heat_maps(found), anomalies(found), spreading(found), others()]
    return "\n".join(part for part in parts if part)


def write(home=HOME, jobs=plan.PLAN, file=None):
    """Write the page and its figures."""
    kept = records.load(file)
    (home / "results").mkdir(parents=True, exist_ok=True)
    draw(kept["accuracy"], home / "results")
    (home / "results.md").write_text(text(kept, jobs), "utf-8")
    print(f"results.md tells of {len(kept['accuracy'])} records of {records.FILE.name}")


def data(kept):
    """Say what the archive holds and how it was split."""
    if not kept:
        return "## The data\n\nNothing has been measured yet.\n"
    images = sorted(kept["images"].items(), key=lambda item: PARTS.index(item[0].split()[0]))
    folders = "; ".join(f"{key} {count(n)}" for key, n in images)
    said = "Kaggle's full set: its own test folder is the official one."
    if not kept["full"]:
        said = (
            "**This is a smaller copy of the set.** Its test folder has as many images as the "
            "official one."
        )
    if not kept["official_test"]:
        said = (
            "**This is a smaller copy of the set**: a part of its training folder, with a test "
            "folder of its own, cut by patient, which is NOT the official test folder that "
            "figures published elsewhere are for."
        )
    rows = [
        [name, count(part["images"]), count(part["sick"]), count(part["patients"])]
        for name, part in sorted(kept["parts"].items(), key=lambda item: PARTS.index(item[0]))
    ]
    columns = ["part", "images", "with pneumonia", "patients"]
    return (
        f"## The data\n\nChest X-rays of children ({ENTRY.citation} {ENTRY.licence}), "
        f"{count(sum(kept['images'].values()))} images of "
        f"{count(kept['patients'])} patients, by the archive's folders: {folders}. {said}\n\n"
        f"{table(columns, rows)}\n"
        "Validation is cut from the archive's train and val by patient; test is the archive's own "
        "test folder. No patient is in two parts. Validation chooses thresholds and epochs; test "
        "is scored once. Seeds differ in what is drawn at random, never in this split.\n"
    )


def missing(measured, jobs):
    """List the runs that nobody has measured yet."""
    done = {row.get("job") for row in measured.values()}
    left = []
    for job in jobs:
        seeds = [str(seed) for seed in job.seeds if f"{job.name}/{seed}" not in done]
        left += [f"{job.name} ({', '.join(seeds)})"] if seeds else []
    return (
        f"Missing, as nobody has measured it yet (with these seeds): {', '.join(left)}.\n"
        if left
        else ""
    )


def seconds(values):
    """Write the mean seconds, short ones with their digits."""
    values = [value for value in values if value is not None]
    if not values:
        return "-"
    if mean(values) < 0.1:
        return "under 0.1"
    return f"{mean(values):,.0f}" if mean(values) >= 10 else f"{mean(values):.1f}"


def grouped(measured, *prefixes):
    """Return records by name, seeds in order, of the names that begin so; names in order kept."""
    found = {}
    for record in sorted(measured.values(), key=lambda record: record["seed"]):
        if record["name"].startswith(prefixes):
            found.setdefault(record["name"], []).append(record)
    return found


def judged_here(measured):
    """Return by name the records of what was judged on the course's own split."""
    others = grouped(measured, *OTHERS)
    return {name: rows for name, rows in grouped(measured, "").items() if name not in others}


def means(rows, key):
    """Return the mean of one figure over the seeds, None where none has it."""
    values = [row[key] for row in rows if row.get(key) is not None]
    return mean(values) if values else None


def interval(row):
    """Write a record's interval."""
    return f"{row['low']:.3f} to {row['high']:.3f}"


def ordered(found, names):
    """Return (name, what to call it, records): those of `names` in its order, others behind."""
    known = [name for name in names if name in found]
    return [
        (name, names.get(name, name), found[name])
        for name in [*known, *sorted(set(found) - {*names})]
    ]


def by_kind(rows):
    """Return what puts the leave-out tests in order: what is left out, then the method."""
    return list(plan.LEFT_OUT).index(rows[0]["kind"]), list(plan.METHODS).index(rows[0]["method"])


def by_share(rows):
    """Return what puts label spreading's records in order: the share, then the method."""
    return rows[0]["percent"], list(plan.SPREADING).index(rows[0]["method"])


def classifiers(measured):
    """Return the table of baselines and networks, and its figure."""
    found = judged_here(measured)
    columns = ["method", "parameters", "seconds", "seeds", "AUC", "lowest to highest seed"]
    columns += ["95% interval by patient, first seed", "accuracy", "sensitivity", "specificity"]
    lines = [
        [what, count(rows[0].get("parameters")), seconds([row.get("seconds") for row in rows])]
        + [
            len(rows),
            share(means(rows, "AUC")),
            ends([row["AUC"] for row in rows]),
            interval(rows[0]),
        ]
        + [share(means(rows, key)) for key in ("accuracy", "sensitivity", "specificity")]
        for _, what, rows in ordered(found, plan.CLASSIFIERS)
    ]
    told = [f"{line[0]} {line[4]}" for line in lines]
    return (
        "## Sick or healthy\n\nAUC, accuracy, sensitivity, specificity and seconds are means over "
        "the seeds. The threshold behind the last three is the one with the largest sum of "
        "sensitivity and specificity on validation. The interval says what other patients could "
        "have changed; lowest and highest what another seed did. A network is worth something when "
        f"it is better than the rows without one.\n\n{table(columns, lines)}{notes(found)}"
        + picture("results/classifiers.png", "Test AUC with its interval by patient", told)
    )


def notes(found):
    """Say what the table of classifiers cannot."""
    said = []
    for row in [row for rows in found.values() for row in rows]:
        what, seed = plan.CLASSIFIERS.get(row["name"], row["name"]), row["seed"]
        if row.get("weights") == "none" and row is found[row["name"]][0]:
            said.append(f"{what} has an untrained base: no ImageNet weights were at hand.")
        if row.get("score_deviation", 1) < 1e-3:
            said.append(f"{what}, seed {seed}, got stuck: it gives every image the same answer.")
        if row.get("half_accuracy") is not None and row is found[row["name"]][0]:
            rates = (share(means(found[row["name"]], f"half_{key}")) for key in RATES[:3])
            said.append(
                "{}, calibrated on validation with both classes weighed the same, and cut at a "
                "half: accuracy {}, sensitivity {}, specificity {}.".format(what, *rates)
            )
        if row.get("restored_AUC") is not None:
            said.append(
                f"{what}, seed {seed}: the chapter's EarlyStopping would have gone back to the "
                f"first epoch (lesson 4, section 4.7), with AUC {share(row['restored_AUC'])} in "
                f"place of {share(row['AUC'])}."
            )
    return "".join(f"\n- {line}" for line in said) + ("\n" if said else "")


def leave_outs(measured):
    """Return the section on tests that leave something out; records named leave_out_*."""
    found = grouped(measured, "leave_out_")
    columns = ["left out", "method", "trained on", "tested on", "seeds", "AUC"]
    columns += ["lowest to highest seed", "95% interval by patient, first seed", "accuracy"]
    columns += ["sensitivity", "specificity", "accuracy at a half"]
    lines = [
        [plan.LEFT_OUT[rows[0]["kind"]], plan.METHODS[rows[0]["method"]]]
        + [count(rows[0]["train_images"]), count(rows[0]["test_images"]), len(rows)]
        + [share(means(rows, "AUC")), ends([row["AUC"] for row in rows]), interval(rows[0])]
        + [share(means(rows, key)) for key in (*RATES[:3], "half_accuracy")]
        for rows in sorted(found.values(), key=by_kind)
    ]
    told = [f"{line[0]}, {line[1]} {line[5]}" for line in lines]
    return (
        "## Other children, other machines\n\nThe test folder holds the same mix of cases as the "
        "images that a network learns from, and a hospital never does. So here one kind of image "
        "is left out of training and validation, and tested on: viral pneumonia (with the test "
        "folder's healthy children); healthy children of the series IM- (with its sick ones); and "
        "the odd ends, healthy children with the smallest files and sick ones with the largest, "
        f"{EDGE:.0%} of each. A file is small where an image is smooth, and on the whole "
        "sick images are smoother, so whoever learned smoothness in place of haze is misled. The "
        "threshold comes from validation images of the kinds that were trained on; the last column "
        "is for answers calibrated on these, and cut at a half. CompactNet's recipe was chosen by "
        "tests like these, file size most of all, so they flatter it.\n\n"
        f"{table(columns, lines)}"
        + picture("results/leave_outs.png", "AUC on what was left out", told)
    )


def ablation(measured):
    """Return the section on what each part of the recipe is worth; records named ablation_*."""
    found = {}
    for rows in grouped(measured, "ablation_").values():
        found.setdefault(rows[0]["variant"], {})[rows[0]["kind"]] = rows
    columns = ["recipe", "pixels", "seconds"]
    columns += [f"{what}: {key}" for what in plan.HARD.values() for key in ("AUC", "accuracy")]
    lines = []
    for variant in [name for name in plan.VARIANTS if name in found]:
        rows = [found[variant].get(kind, []) for kind in plan.HARD]
        every = [row for several in rows for row in several]
        size, spent = every[0]["size"], [row["seconds"] for row in every]
        line = [plan.VARIANTS[variant], size, seconds(spent)]
        line += [share(means(several, key)) for several in rows for key in ("AUC", "accuracy")]
        lines.append(line)
    told = [f"{line[0]} {line[3]}" for line in lines]
    return (
        "## What each part of CompactNet's recipe is worth\n\nOne run each, on two "
        "tests that leave something out: the odd ends of file size, as above; and viral "
        "pneumonia together with the series IM-. A difference of 0.01 may be luck: the "
        "recipe is the one above, run again, and does not give the same figure. The first row "
        "differs from the second in epochs as well, 10 in place of 16; the parts share the larger "
        "movements.\n"
        f"\n{table(columns, lines)}"
        + picture("results/ablation.png", "AUC on odd file sizes by recipe", told)
    )


def heat_maps(measured):
    """Return the section on Grad-CAM's energy in the lung box."""
    found = grouped(measured, "gradcam_", "hirescam_")
    columns = ["network", "method", "images", "energy in the box", "95% interval by patient"]
    columns += ["of maps not blank", "chance", "blank maps", "seconds an image"]
    lines = [
        [plan.CLASSIFIERS.get(row["network"], row["network"]), plan.METHODS[row["method"]]]
        + [row["images"], share(row["energy"]), interval(row), share(row["energy_lit"])]
        + [share(row["chance"]), f"{row['blank']:.0%}", share(row["seconds"] / row["images"])]
        for row in (rows[0] for rows in found.values())
    ]
    return (
        "## Where the networks look\n\nThe share of each heat map's energy inside a box where the "
        "lungs usually are (lesson 6), on sick test images, one a patient, each explained for "
        "pneumonia. *Chance* is the box's share of the image. The box is a proxy: heart and spine "
        "are in it too, and a network can look at the wrong thing inside. A blank map, without "
        "anything that speaks for pneumonia, has no energy in the box; beside it the mean of the "
        f"others.\n\n{table(columns, lines)}"
    )


def anomalies(measured):
    """Return the section on scores that have seen healthy children only, and its figure."""
    found = grouped(measured, "anomaly_")
    columns = ["score", "parameters", "seconds", "seeds", "AUC", "lowest to highest seed"]
    columns += ["95% interval by patient, first seed", "points", "false alarms", "sensitivity"]
    lines = [
        [what, count(rows[0]["parameters"]), seconds([row["seconds"] for row in rows])]
        + [
            len(rows),
            share(means(rows, "AUC")),
            ends([row["AUC"] for row in rows]),
            interval(rows[0]),
        ]
        + [rows[0]["points"], share(means(rows, "false_alarms"))]
        + [share(means(rows, "sensitivity"))]
        for _, what, rows in ordered(found, plan.SCORES)
    ]
    told = [f"{line[0]} {line[4]}" for line in lines]
    return (
        "## Healthy children only\n\nScores fitted to the healthy images of train (lesson 7). An "
        "AUC below 0.5 means that the sick score *lower*; it is never turned round, as who has "
        "healthy images only cannot know that it should be. *Points* is up or down when the whole "
        "interval is on one side of 0.5. The alarm is set for 5% false alarms on held-out healthy "
        "patients; the last columns say what it does on test (specificity is one less the false "
        "alarms).\n\n"
        f"{table(columns, lines)}"
        + picture("results/anomalies.png", "AUC, never turned round", told)
    )


def spreading(measured):
    """Return the section on label spreading, and its figure."""
    found = grouped(measured, "spreading_")
    columns = ["labels", "method", "parameters", "labelled images", "seconds", "seeds", "AUC"]
    columns += ["lowest to highest seed", "95% interval by patient, first seed", "accuracy"]
    columns += ["sensitivity", "specificity"]
    columns += ["right on hidden images", "larger class there"]
    lines = [
        [f"{rows[0]['percent']}%", plan.SPREADING[rows[0]["method"]]]
        + [
            count(rows[0].get("parameters")),
            f"{means(rows, 'labelled_images'):,.0f}",
            seconds([row["seconds"] for row in rows]),
        ]
        + [
            len(rows),
            share(means(rows, "AUC")),
            ends([row["AUC"] for row in rows]),
            interval(rows[0]),
        ]
        + [share(means(rows, key)) for key in RATES]
        for rows in sorted(found.values(), key=by_share)
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
        f"that often.\n\n{table(columns, lines)}"
        + picture("results/spreading.png", "Test AUC by share of labels", told)
    )


def others():
    """Return what is published elsewhere."""
    columns = ["method", "scored on", "AUC", "accuracy", "source"]
    rows = [
        [method, where, "-" if auc is None else auc, "-" if right is None else right, source]
        for method, where, auc, right, source in PUBLISHED
    ]
    return (
        "## Published figures\n\nThese are typed, as others printed them, and **not comparable** "
        "with the tables above unless those are of the full set: the official test folder is "
        "another one than that of a smaller copy, and a random split by image puts "
        f"images of one child on both sides.\n\n{table(columns, rows)}"
    )


def draw(measured, folder):
    """Draw every figure that there are records for."""
    for name, make in FIGURES.items():
        figure, file = make(measured), folder / f"{name}.png"
        if figure is None:
            file.unlink(missing_ok=True)
        else:
            file.write_bytes(plots.drawn(figure))


def draw_classifiers(measured):
    """Draw the test AUC of each classifier, its interval, and the other seeds."""
    return _intervals(judged_here(measured), plan.CLASSIFIERS, "Sick or healthy: test AUC")


def draw_anomalies(measured):
    """Draw the signed AUC of each score around a half."""
    found = grouped(measured, "anomaly_")
    return _intervals(found, plan.SCORES, "Healthy children only: AUC, never turned round")


def draw_leave_outs(measured):
    """Draw the AUC of each test that leaves something out, and of 8x8 pixels there."""
    found = grouped(measured, "leave_out_")
    found = dict(sorted(found.items(), key=lambda item: by_kind(item[1])))
    names = {
        name: f"{plan.LEFT_OUT[rows[0]['kind']]}:\n{plan.METHODS[rows[0]['method']]}"
        for name, rows in found.items()
    }
    return _intervals(found, names, "Left out of training: AUC there")


def draw_ablation(measured):
    """Draw what each variant of the recipe reaches on the tests of the ablation."""
    found, names = grouped(measured, "ablation_"), {}
    for kind, what in plan.HARD.items():
        for variant, told in plan.VARIANTS.items():
            names[f"ablation_{variant}_{kind}"] = f"{what}: {told}"
    return _intervals(found, names, "Parts of the recipe: AUC on what was left out")


def draw_spreading(measured):
    """Draw a curve for each method, from the lowest to the highest seed at every share."""
    rows = []
    for several in sorted(grouped(measured, "spreading_").values(), key=by_share):
        aucs, first = [row["AUC"] for row in several], several[0]
        row = {"method": plan.SPREADING[first["method"]], "% of the labels": first["percent"]}
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


FIGURES = {"classifiers": draw_classifiers, "leave_outs": draw_leave_outs}
FIGURES |= {"ablation": draw_ablation, "anomalies": draw_anomalies, "spreading": draw_spreading}


if __name__ == "__main__":
    write()
