"""List the figures of the lessons in figures/README.md, at the end of `make figures`.

Here stands which are drawn, the same on every machine, and which are trained and vary.
"""

import re
from pathlib import Path

import contact_sheet
import nbformat

ROOT = Path(__file__).resolve().parent.parent
FIGURES, NOTEBOOKS = ROOT / "figures", ROOT / "notebooks"
# No training and no timing in them: with the same versions the same pixels on every machine.
DRAWN = set(
    """
    01_examples 01_file_size 01_sizes 02_course_split 02_random_split 02_siblings 03_augmented
    03_batch 03_resize 04_activations 04_convolution 04_disturbed 05_dicom 07_hourglass 08_classes
    09_classes 09_examples phantoms
    """.split()
)
HEAD = """# Figures

`make figures` writes this table. `make figures-check` draws all figures anew and says what changed:
of the drawn ones every pixel counts, of the trained ones size, ink and layout.

| figure | lesson | kind | what it shows |
|---|---|---|---|
"""


def kind(name):
    """Return "drawn" for a figure that never changes, "trained" for one of learning or timing."""
    return "drawn" if name in DRAWN else "trained"


def shown(notebooks=NOTEBOOKS):
    """Return the lesson and the alt text of every figure that the committed lessons show, by name.

    A network's diagram is none: only machines with Graphviz draw it.
    """
    found = {}
    for path in sorted(notebooks.glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            if re.search(r"\b(plots|explore)\.show\(", cell.source):
                for out in cell.get("outputs", []):
                    alt = out.get("metadata", {}).get("image/png", {}).get("alt")
                    if alt:
                        name = re.match(r"\w+", out.data["text/plain"])[0]
                        found[name] = (path.stem, alt)
    return found


def table(notebooks=NOTEBOOKS):
    """Return the text of figures/README.md."""
    rows = {contact_sheet.NAME: ("none", contact_sheet.ALT)}
    for name, (lesson, alt) in shown(notebooks).items():
        rows[name] = (f"[{lesson[:2]}](../notebooks/{lesson}.ipynb)", alt)
    lines = [
        f"| [{name}.png]({name}.png) | {lesson} | {kind(name)} | {alt} |"
        for name, (lesson, alt) in sorted(rows.items())
    ]
    return HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    (FIGURES / "README.md").write_text(table())
