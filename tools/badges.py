"""Write the repository's address into every badge and set-up cell, `make badges REPO=owner/name`.

The one place that names it is pyproject.toml; this rewrites that too.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def address(root=ROOT):
    """Return owner/name, as pyproject.toml has it."""
    text = (root / "pyproject.toml").read_text()
    return re.search(r'Repository = "https://github\.com/([\w.-]+/[\w.-]+)"', text)[1]


def rewrite(repository, root=ROOT):
    """Replace the old owner/name by the new one; return the files changed."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise ValueError(f"'{repository}' is no repository: write make badges REPO=owner/name.")
    old, changed = address(root), []
    names = ["pyproject.toml", "*.md", "CITATION.cff", "docs/*.md", "notebooks/*.ipynb"]
    for path in [path for name in names for path in sorted(root.glob(name))]:
        text = path.read_text()
        if old in text and old != repository:
            path.write_text(text.replace(old, repository))
            changed.append(path.name)
    return changed


if __name__ == "__main__":
    try:
        print("Changed:", ", ".join(rewrite(sys.argv[1])) or "nothing")
    except ValueError as error:
        sys.exit(str(error))
