"""The head of the page: what was measured, on what, and what is missing."""

from pieces import count, table

from helpers.datasets import REGISTRY

ENTRY = REGISTRY["chest_xray"]
PARTS = ("train", "val", "validation", "test")


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
    head = ["part", "images", "with pneumonia", "patients"]
    return (
        f"## The data\n\nChest X-rays of children ({ENTRY.citation} {ENTRY.licence}), "
        f"{count(sum(kept['images'].values()))} images of "
        f"{count(kept['patients'])} patients, by the archive's folders: {folders}. {said}\n\n"
        f"{table(head, rows)}\n"
        "Validation is cut from the archive's train and val by patient; test is the archive's own "
        "test folder. No patient is in two parts. Validation chooses thresholds and epochs; test "
        "is scored once. Seeds differ in what is drawn at random, never in this split.\n"
    )


def machine(kept, records):
    """Say what all was measured on."""
    if not kept:
        return ""
    names = {"tensorflow": "TensorFlow", "keras": "Keras", "scikit-learn": "scikit-learn"}
    names["numpy"] = "NumPy"
    versions = [f"{names[key]} {kept[key]}" for key in names if key in kept]
    line = f"Measured on {kept['cores']} cores of {kept['processor']} ({kept['system']}), with "
    line += ", ".join([f"Python {kept['python']}", *versions]) + "."
    for cores in sorted({row["cores"] for row in records.values()} - {kept["cores"]}):
        there = sorted({row["name"] for row in records.values() if row["cores"] == cores})
        line += f" On another machine, with {cores} cores: {', '.join(there)}."
    line += " Seconds run from the files to the result, of networks to the trained network; other "
    return f"{line}programs may have run beside.\n"


def missing(records, jobs):
    """List the runs that nobody has measured yet."""
    done = {row.get("job") for row in records.values()}
    left = []
    for job in jobs:
        seeds = [str(seed) for seed in job.seeds if f"{job.name}/{seed}" not in done]
        left += [f"{job.name} ({', '.join(seeds)})"] if seeds else []
    return (
        f"Missing, as nobody has measured it yet (with these seeds): {', '.join(left)}.\n"
        if left
        else ""
    )
