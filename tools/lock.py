"""Resolve requirements.txt from pyproject.toml, then say the same in environment.yml."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEAD = """# The conda way to the same versions as requirements.txt; `make lock` writes both.
# conda brings Python, Graphviz (for model diagrams) and pip; pip brings the packages, from the
# same place and in the same versions as everywhere else.
name: medical-images
channels:
  - conda-forge
dependencies:
  - python=3.12
  - graphviz
  - pip
  - pip:
"""


def resolve():
    """Write requirements.txt: exact, complete, for Python 3.11 to 3.13, no index addresses."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "--universal", "--quiet", "--upgrade"]
    command += ["--python-version", "3.11", "--extra", "dev", "--no-header"]
    subprocess.run([*command, "pyproject.toml", "-o", "requirements.txt"], cwd=ROOT, check=True)


def environment():
    """Return environment.yml: what pyproject.toml asks for, at the versions resolved."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = project["dependencies"] + project["optional-dependencies"]["dev"]
    names = {re.match(r"[\w.-]+", line)[0].lower() for line in asked}
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    kept = [line for line in lines if re.split(r"==", line)[0].lower() in names]
    return HEAD + "".join(f'      - "{line}"\n' for line in kept)


if __name__ == "__main__":
    resolve()
    (ROOT / "environment.yml").write_text(environment())
