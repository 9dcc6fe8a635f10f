"""The house keeps its bounds: small rooms, and imports that only point down."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOORS = [
    {"runtime", "backend", "download", "dicom", "plots", "explore", "phantoms"},
    {"datasets", "splits", "pipelines", "images", "cache", "check", "store"},
    {"models", "training", "checkpoints", "mirror", "transfer", "recipes"},
    {"gradcam", "anomaly", "detectors", "label_spreading", "evaluation", "model_card"},
]
FILES = sorted((ROOT / "helpers").rglob("*.py"))
SCRIPTS = sorted((ROOT / "results").glob("*.py"))


def room(path):
    return path.relative_to(ROOT / "helpers").with_suffix("").parts[0]


def imported_rooms(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "helpers":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("helpers."):
            yield node.module.split(".")[1]


@pytest.mark.parametrize("path", FILES + SCRIPTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_small_rooms(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 250
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            words = ast.get_docstring(node, clean=False) or ""
            assert node.end_lineno - node.lineno - words.count("\n") < 40, node.name
            if not node.name.startswith("_") and path.name != "__init__.py":
                assert words or node.col_offset, f"{node.name} has no docstring"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path):
    if path == ROOT / "helpers" / "__init__.py":
        return
    floor = next(n for n, rooms in enumerate(FLOORS) if room(path) in rooms)
    for name in imported_rooms(ast.parse(path.read_text())):
        assert any(name in rooms for rooms in FLOORS[: floor + 1]), f"{path.name}: {name}"
