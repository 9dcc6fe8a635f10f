"""`make help` lists every command, and plain `make` says the same."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGETS = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
TARGETS = set(" ".join(TARGETS).split())


def said(*arguments):
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_plain_make_is_help():
    assert said() == said("help")


def test_help_lists_every_target_once_with_its_time():
    lines = re.findall(r"^  make ([\w-]+) +(\S.*?)  +(\S.*)$", said("help"), re.MULTILINE)
    assert len(TARGETS) > 15 and {name for name, *_ in lines} == TARGETS - {"help"}
    assert len(lines) == len(TARGETS) - 1


def test_help_has_three_groups_and_fits_a_terminal():
    lines = said("help").splitlines()
    groups = ["For students", "For instructors", "For contributors"]
    assert [line for line in lines if line.startswith("For ")] == groups
    assert max(map(len, lines)) <= 100


def test_every_target_without_a_file_is_phony():
    names = re.findall(r"^([a-z][\w-]*):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(names) == TARGETS
