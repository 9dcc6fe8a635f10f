"""pyproject.toml, requirements.txt and environment.yml agree, and Colab need change nothing.

`make colab` installs Colab's versions: what it would say where that cannot be.
"""

import re
import sys
import tomllib
from pathlib import Path

import colab
import pytest
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
    listed = {r.name.lower(): version(r) for r in locked(colab.PINS.read_text())}
    assert set(CORE) - set(listed) == NOT_ON_COLAB
    assert NOT_ON_COLAB < set(colab.LACKING) and not set(listed) & set(colab.LACKING)
    for name in set(CORE) - NOT_ON_COLAB:
        assert CORE[name].specifier.contains(listed[name]), name


def test_colabs_list_is_one_that_anybody_can_install():
    text = colab.PINS.read_text()
    assert "://" not in text and " @ " not in text and "+" not in text and "--" not in text
    assert len(locked(text)) > 600


def test_the_environment_is_held_against_colabs_list(capsys):
    colab.compare({"numpy": "2.1.3", "TensorFlow": "2.20.0", "ml-dtypes": "0.6.0", "nbval": "9"})
    with pytest.raises(ValueError) as caught:
        colab.compare({"numpy": "2.2.0", "keras": "3.13.2", "jupyterlab": "4.5.0"})
    assert str(caught.value) == (
        "These are not Colab's versions: jupyterlab 4.5.0 (absent on Colab), "
        "numpy 2.2.0 (2.1.3 on Colab)."
    )


def test_without_colabs_python_one_sentence_says_what_to_install(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(colab, "HOME", tmp_path / "absent")
    monkeypatch.setattr(colab, "version", lambda python: "3.12.1")
    assert colab.main([]) == 2
    assert capsys.readouterr().err == (
        "Colab has Python 3.13, and none is here: install it, or name it: make colab "
        "PYTHON=/path/to/python3.13\n"
    )
    assert colab.main(["--lessons", "77"]) == 2
    assert capsys.readouterr().err.startswith("There is no lesson 77: ")


def test_colabs_python_is_found(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(colab.Path, "home", lambda: tmp_path)
    monkeypatch.setattr(colab.sys, "executable", str(tmp_path / "gone"))
    for name in (".pyenv/versions/3.13.0/bin/python", "python3.13"):
        python = tmp_path / name
        python.parent.mkdir(parents=True, exist_ok=True)
        python.write_text("#!/bin/sh\necho 3.13.7\n")
        python.chmod(0o755)
        assert colab.find() in (str(python), name)
    (tmp_path / "python3.13").write_text("#!/bin/sh\necho no such version >&2; exit 127\n")
    assert colab.find().endswith("3.13.0/bin/python")


def test_a_second_call_installs_nothing(monkeypatch, tmp_path, capsys):
    ran = []
    monkeypatch.setattr(colab, "HOME", tmp_path / "new")
    monkeypatch.setattr(colab, "version", lambda python: "3.13.0")

    def run(command, **options):
        ran.append(command[1:3])
        colab.HOME.mkdir(exist_ok=True)
        listed = '[{"name": "pip", "version": "24.1.2"}]'
        return colab.subprocess.CompletedProcess(command, 0, listed)

    monkeypatch.setattr(colab.subprocess, "run", run)
    for _ in range(2):
        assert colab.main(["--lessons", "02"]) == 0
    assert ran == [["-m", "venv"], ["-m", "pip"], ["-m", "pip"], ["-m", "pytest"], ["-m", "pytest"]]
    said = capsys.readouterr().out
    assert said.count("Setting up") == 1
    assert said.count("Python 3.13.0 (Colab has 3.13.15)") == 2


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


def test_every_import_of_what_is_installed_is_asked_for():
    names = {"pil": "pillow", "cv2": "opencv-python-headless", "sklearn": "scikit-learn"}
    found = set()
    for path in [*(ROOT / "helpers").rglob("*.py"), *(ROOT / "phantoms").rglob("*.py")]:
        pattern = r"^\s*(?:from|import) (\w+)"
        found |= set(re.findall(pattern, path.read_text(), re.MULTILINE))
    outside = {f.lower() for f in found} - set(map(str.lower, sys.stdlib_module_names))
    outside -= {"helpers", "phantoms", "google", "layers"}
    assert {names.get(name, name) for name in outside} <= set(CORE) | {"ipython"}
