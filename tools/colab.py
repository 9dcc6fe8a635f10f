"""Run the lessons with the versions that Colab has, `make colab`, in an environment of their own.

What the course asks for, and all that it needs, is installed at the versions of Colab's own list,
and held against that list once built. A second call installs nothing.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PINS = ROOT / "tests" / "colab-2026-08.txt"
HOME = ROOT / ".venv-colab"
PYTHON = HOME / "bin" / "python"
COLABS_PYTHON = "3.13.15"
TOOLS = ("pip", "setuptools", "wheel", "ipykernel", "pytest")  # beside what the course asks for
# What Colab's list lacks: pydicom, which a cell of lesson 5 installs; nbval, which needs coverage
# and runs the lessons as tests; jedi, without which no pip installs IPython.
LACKING = ("pydicom", "nbval", "coverage", "jedi")


def main(arguments=None):
    """Build the environment unless it is there, run lessons in it; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lessons", default="", help='such as "02 04"; all when empty')
    options = parser.parse_args(arguments)
    try:
        files = chosen(options.lessons)
        build()
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    found = version(PYTHON)
    print(f"Python {found} (Colab has {COLABS_PYTHON}), packages of {PINS.name}", flush=True)
    command = [PYTHON, "-m", "pytest", "--nbval-lax", "--quiet", "--disable-warnings", *files]
    quiet = {"PYDEVD_DISABLE_FILE_VALIDATION": "1"}  # else each old kernel warns of its debugger
    return subprocess.run(command, cwd=ROOT, env=os.environ | quiet).returncode


def chosen(wanted):
    """Return the lessons' files: all, or those whose numbers are in `wanted`."""
    files = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    numbers = tuple(wanted.replace(",", " ").split())
    for number in numbers:
        if not any(file.name.startswith(number) for file in files):
            raise ValueError(f'There is no lesson {number}: write it as in LESSONS="02 04".')
    return [file for file in files if not numbers or file.name.startswith(numbers)]


def build():
    """Make the environment, unless one of the same versions is there whole."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = sorted({*project["dependencies"], *TOOLS, *LACKING})
    wanted = "\n".join([*asked, PINS.read_text()])
    ready = HOME / "ready"
    if ready.exists() and ready.read_text() == wanted:
        return
    python = find()
    print("Setting up .venv-colab, once: some minutes ...", flush=True)
    shutil.rmtree(HOME, ignore_errors=True)
    pip = [PYTHON, "-m", "pip", "--disable-pip-version-check"]
    install = [*pip, "install", "--quiet", "--constraint", PINS, *asked]
    for command in ([python, "-m", "venv", HOME], install):
        if subprocess.run(command).returncode:
            raise ValueError("Colab's versions cannot be installed: the lines above say why.")
    listed = subprocess.run([*pip, "list", "--format=json"], check=True, stdout=subprocess.PIPE)
    compare({entry["name"]: entry["version"] for entry in json.loads(listed.stdout)})
    ready.write_text(wanted)


def find():
    """Return a Python of Colab's minor version: this one, one on PATH, or one of pyenv's."""
    minor = COLABS_PYTHON.rpartition(".")[0]
    pyenv = Path.home().glob(f".pyenv/versions/{minor}*/bin/python")
    for python in (sys.executable, f"python{minor}", *sorted(map(str, pyenv), reverse=True)):
        if version(python).startswith(f"{minor}."):
            return python
    raise ValueError(
        f"Colab has Python {minor}, and none is here: install it, or name it: make colab "
        f"PYTHON=/path/to/python{minor}"
    )


def version(python):
    """Return a Python's version, empty where it does not run."""
    code = "import platform; print(platform.python_version())"
    try:
        return subprocess.run([python, "-c", code], capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""


def compare(installed):
    """Raise ValueError unless all packages have the list's versions, but for what it lacks."""
    pins = re.findall(r"^([\w.-]+)==(\S+)$", PINS.read_text(), re.MULTILINE)
    pins = {plain(name): pin for name, pin in pins}
    wrong = [
        f"{name} {found} ({pins.get(plain(name), 'absent')} on Colab)"
        for name, found in sorted(installed.items())
        if plain(name) not in LACKING and pins.get(plain(name)) != found
    ]
    if wrong:
        raise ValueError(f"These are not Colab's versions: {', '.join(wrong)}.")


def plain(name):
    """Return a package's name as PEP 503 spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.exit(main())
