"""pyproject.toml, requirements.txt and environment.yml agree, and Colab need change nothing."""

import re
import sys
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CORE = {r.name.lower(): r for r in map(Requirement, PROJECT["dependencies"])}
DEV = {r.name.lower(): r for r in map(Requirement, PROJECT["optional-dependencies"]["dev"])}
NOT_ON_COLAB = {"pydicom"}  # a cell of lesson 5 installs it


def locked(text):
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    return [Requirement(line.strip()) for line in lines]


def version(requirement):
    (pin,) = requirement.specifier
    assert pin.operator == "=="
    return pin.version


def test_colab_has_to_change_nothing():
    colab = {r.name: version(r) for r in locked((ROOT / "tests/colab-2026-08.txt").read_text())}
    assert set(CORE) - set(colab) == NOT_ON_COLAB and set(colab) <= set(CORE)
    for name, installed in colab.items():
        assert CORE[name].specifier.contains(installed), name


def test_requirements_are_exact_complete_and_fit():
    text = (ROOT / "requirements.txt").read_text()
    assert "://" not in text and "index" not in text.lower()
    pins = locked(text)
    names = {pin.name.lower() for pin in pins}
    for name, requirement in (CORE | DEV).items():
        assert name in names, name
        for pin in pins:
            if pin.name.lower() == name:
                assert requirement.specifier.contains(version(pin)), name


def test_environment_yml_says_the_same():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    conda, pip = environment["dependencies"][:-1], environment["dependencies"][-1]["pip"]
    python = next(line for line in conda if line.startswith("python="))
    assert python.removeprefix("python=") in ("3.11", "3.12", "3.13")
    pins = set(map(str, locked((ROOT / "requirements.txt").read_text())))
    assert {str(Requirement(line)) for line in pip} <= pins
    assert {Requirement(line).name.lower() for line in pip} == set(CORE | DEV)


def test_security_floor():
    assert not CORE["keras"].specifier.contains("3.13.1")
    assert CORE["keras"].specifier.contains("3.13.2")


def test_every_import_of_helpers_is_asked_for():
    names = {"pil": "pillow", "cv2": "opencv-python-headless", "sklearn": "scikit-learn"}
    found = set()
    for path in (ROOT / "helpers").rglob("*.py"):
        pattern = r"^\s*(?:from|import) (\w+)"
        found |= set(re.findall(pattern, path.read_text(), re.MULTILINE))
    outside = {f.lower() for f in found} - set(map(str.lower, sys.stdlib_module_names))
    outside -= {"helpers", "google", "layers"}
    assert {names.get(name, name) for name in outside} <= set(CORE) | {"ipython"}
