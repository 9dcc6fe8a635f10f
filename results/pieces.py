"""Small pieces of the page: tables, numbers, records by name."""

from statistics import mean

# how names of records begin that are no classifier on the course's own split
OTHERS = ("leave_out_", "ablation_", "gradcam_", "hirescam_", "anomaly_", "spreading_")


def table(head, rows):
    """Return a Markdown table, or a line that says that there is nothing yet."""
    if not rows:
        return "Nothing of this has been measured yet.\n"
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def number(value, digits=3):
    """Write a figure of 0 to 1, or "-" where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def seconds(values):
    """Write the mean seconds, short ones with their digits."""
    values = [value for value in values if value is not None]
    if not values:
        return "-"
    if mean(values) < 0.1:
        return "under 0.1"
    return f"{mean(values):,.0f}" if mean(values) >= 10 else f"{mean(values):.1f}"


def count(value):
    """Write a number of parameters or images."""
    return "-" if value is None else f"{value:,}"


def grouped(records, *prefixes):
    """Return records by name, seeds in order, of the names that begin so; names in order kept."""
    found = {}
    for record in sorted(records.values(), key=lambda record: record["seed"]):
        if record["name"].startswith(prefixes):
            found.setdefault(record["name"], []).append(record)
    return found


def classifiers(records):
    """Return by name the records of what was judged on the course's own split."""
    others = grouped(records, *OTHERS)
    return {name: rows for name, rows in grouped(records, "").items() if name not in others}


def means(rows, key):
    """Return the mean of one figure over the seeds, None where none has it."""
    values = [row[key] for row in rows if row.get(key) is not None]
    return mean(values) if values else None


def ends(rows, key):
    """Write the lowest and the highest seed; "-" for a single one."""
    values = [row[key] for row in rows]
    return f"{min(values):.3f} to {max(values):.3f}" if len(values) > 1 else "-"


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


def picture(name, what, told):
    """Return a figure with its alternative text; nothing without numbers to show."""
    return f"\n![{what}: {'; '.join(told)}.](results/{name}.png)\n" if told else ""
