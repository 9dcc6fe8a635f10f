"""A model card: one page that says what a network is, what it saw and what it is worth."""

import importlib.metadata
import platform
from pathlib import Path

QUESTIONS = (
    "Whose images, and under which licence?",
    "Who are the patients, and who is missing?",
    "Who gave the labels, and how sure were they?",
    "What may the network be used for, and what not?",
    "What could it have learned instead of the disease?",
    "What did the heat maps show?",
)
PACKAGES = ("keras", "tensorflow", "scikit-learn", "numpy")


def write(file, title, answers, parts, metrics):
    """Write a model card in Markdown, after Mitchell et al. 2019, arXiv:1810.03993.

    Parameters
    ----------
    file : str or Path
        Ending in .md; its folder is made, an older card replaced.
    title : str
        What the network is.
    answers : dict of str to str
        To QUESTIONS; one without an answer is marked as open in the card.
    parts : dict of str to DataFrame
        The table of images of each part, with columns label and group (the patient).
    metrics : dict of str to number
        What was measured, as `claims.recorded` returns it.

    Returns
    -------
    tuple of str
        The questions that are still open.

    Raises
    ------
    ValueError
        When nothing was measured, or an answer is to no question of QUESTIONS.
    """
    if not metrics:
        raise ValueError("Nothing was measured: run the cells that train and test before the card.")
    if unknown := sorted(set(answers) - set(QUESTIONS)):
        raise ValueError(f"'{unknown[0]}' is no question of model_card.QUESTIONS: correct it.")
    given = {question: answers.get(question, "").strip() for question in QUESTIONS}
    lines = [f"# Model card: {_cell(title)}", "", "Not for clinical use.", ""]
    for question, answer in given.items():
        lines += [f"**{question}** {answer or 'OPEN: not answered.'}", ""]
    lines += ["## Images", "", "| part | label | images | patients |", "|---|---|---:|---:|"]
    for part, rows in parts.items():
        for label, some in rows.groupby("label"):
            count = f"{len(some):,} | {some['group'].nunique():,}"
            lines.append(f"| {_cell(part)} | {_cell(label)} | {count} |")
    lines += ["", "## Measured", "", "| figure | value |", "|---|---:|"]
    lines += [f"| {_cell(name)} | {_number(value)} |" for name, value in metrics.items()]
    lines += ["", f"Made with {_versions()}.", ""]
    file = Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines), encoding="utf-8")
    return tuple(question for question, answer in given.items() if not answer)


def _cell(text):
    """Return a text that cannot break a table's row."""
    return " ".join(str(text).split()).replace("|", "\\|")


def _number(value):
    return f"{value:.3g}" if isinstance(value, float) and abs(value) < 1000 else f"{value:,}"


def _versions():
    found = [f"{name} {importlib.metadata.version(name)}" for name in PACKAGES]
    return ", ".join([f"Python {platform.python_version()}", *found])
