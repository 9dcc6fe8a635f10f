"""The house keeps its order: each room imports only rooms before it, and one imports TensorFlow."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Each room may import those before it, inside functions too.
ORDER = """
    runtime claims files backend
    dicom images plots explore
    download datasets.own datasets.layouts datasets.registry datasets
    splits cache pipelines
    models checkpoints training recipes
    evaluation gradcam anomaly label_spreading model_card
""".split()
HEAVY = {"tensorflow", "keras"}
OUTSIDE = {"experiments", "tools", "tests"}
DOCUMENTED = [
    path
    for name in ("helpers", "phantoms", "experiments/accuracy")
    for path in (ROOT / name).rglob("*.py")
]


def module(path, root):
    """Return a file's name as Python knows it: helpers/datasets/own.py is helpers.datasets.own."""
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def imported(node, name, package):
    """Return what an import statement in a module asks for, by its whole names."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    base = node.module or ""
    if node.level:
        parts = name.split(".") + ["itself"] * package
        base = ".".join([*parts[: -node.level], *([base] if base else [])])
    return [f"{base}.{alias.name}" for alias in node.names]


def imports(path, root):
    """Yield what a file imports, and whether only when a function is called."""
    tree = ast.parse(path.read_text())
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    later = {n for f in ast.walk(tree) if isinstance(f, functions) for n in ast.walk(f)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for asked in imported(node, module(path, root), path.name == "__init__.py"):
                yield asked, node in later


def room(asked):
    """Return the room of helpers that an import asks for, or the package that is none of its."""
    asked = asked.removeprefix("helpers.")
    while asked not in ORDER and "." in asked:
        asked = asked.rpartition(".")[0]
    return asked


def faults(root=ROOT):
    """Return a sentence for every import that the order of the house forbids."""
    found = []
    for path in sorted((root / "helpers").rglob("*.py")):
        own = module(path, root).removeprefix("helpers.")
        if own not in [*ORDER, "helpers"]:
            found.append(f"{own} has no place in the order")
        wrong = [
            room(asked) for asked, later in imports(path, root) if forbidden(own, asked, later)
        ]
        found += [f"{own} imports {name}" for name in wrong]
    for path in sorted((root / "phantoms").rglob("*.py")):
        for asked, _ in imports(path, root):
            if (top := asked.partition(".")[0]) in {"helpers", *OUTSIDE, *HEAVY}:
                found.append(f"{module(path, root)} imports {top}")
    return found


def forbidden(own, asked, later):
    """Tell whether a room may not import something, at the top or only when a function runs."""
    top = asked.partition(".")[0]
    if top == "helpers":
        return room(asked) not in ORDER[: ORDER.index(own) if own in ORDER else 0]
    if top in HEAVY:
        return own != "backend" and not (own == "plots" and later)
    return top in OUTSIDE or (top == "phantoms" and not f"{own}.".startswith("datasets."))


def test_imports_follow_the_order():
    assert faults() == []
    there = {module(path, ROOT) for path in (ROOT / "helpers").rglob("*.py")}
    assert {f"helpers.{name}" for name in ORDER} == there - {"helpers"}


@pytest.fixture
def house(tmp_path):
    """Return what writes a small house that keeps the order, and changes one file of it."""
    good = {
        "helpers/__init__.py": "import os",
        "helpers/runtime.py": "from pathlib import Path",
        "helpers/backend.py": "from helpers import runtime\nimport keras",
        "helpers/images.py": "from helpers import runtime",
        "helpers/plots.py": "def f():\n    import keras",
        "helpers/datasets/own.py": "from helpers import images as pictures",
        "helpers/datasets/layouts.py": "from helpers.datasets.own import walk",
        "helpers/datasets/__init__.py": "from helpers.datasets import layouts\nimport phantoms.oct",
        "helpers/models.py": "from helpers.backend import keras\nimport helpers.runtime",
        "phantoms/oct.py": "from phantoms.drawing import seeded",
    }

    def write(name="helpers/runtime.py", source=good["helpers/runtime.py"]):
        for place, text in (good | {name: source}).items():
            (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / place).write_text(text)
        return faults(tmp_path)

    return write


def test_a_good_house_passes(house):
    assert house() == []


@pytest.mark.parametrize(
    "name, source, fault",
    [
        ("helpers/images.py", "from helpers import models", "images imports models"),
        ("helpers/images.py", "def f():\n    from helpers import models", "images imports models"),
        ("helpers/images.py", "import helpers.models as m", "images imports models"),
        ("helpers/images.py", "from helpers.models import build", "images imports models"),
        ("helpers/images.py", "from . import models", "images imports models"),
        ("helpers/images.py", "from .models import build", "images imports models"),
        ("helpers/images.py", "from helpers import images", "images imports images"),
        ("helpers/images.py", "from helpers.datasets import own", "images imports datasets.own"),
        ("helpers/__init__.py", "from helpers import runtime", "helpers imports runtime"),
        ("helpers/models.py", "import helpers", "models imports helpers"),
        ("helpers/models.py", "from helpers import gone", "models imports gone"),
        ("helpers/models.py", "import tensorflow as tf", "models imports tensorflow"),
        (
            "helpers/models.py",
            "try:\n    import keras.ops\nfinally:\n    1",
            "models imports keras",
        ),
        ("helpers/models.py", "def f():\n    import keras", "models imports keras"),
        ("helpers/plots.py", "import keras", "plots imports keras"),
        ("helpers/models.py", "from phantoms import oct", "models imports phantoms"),
        ("helpers/models.py", "import experiments.records", "models imports experiments"),
        (
            "helpers/datasets/own.py",
            "from . import layouts",
            "datasets.own imports datasets.layouts",
        ),
        (
            "helpers/datasets/layouts.py",
            "from helpers.datasets import REGISTRY",
            "datasets.layouts imports datasets",
        ),
        ("helpers/cupboard.py", "", "cupboard has no place in the order"),
        (
            "phantoms/oct.py",
            "def f():\n    from helpers import runtime",
            "phantoms.oct imports helpers",
        ),
        ("phantoms/oct.py", "import keras", "phantoms.oct imports keras"),
    ],
)
def test_an_import_out_of_order_is_named(house, name, source, fault):
    assert house(name, source) == [fault]


@pytest.mark.parametrize("path", DOCUMENTED, ids=lambda path: str(path.relative_to(ROOT)))
def test_public_functions_say_what_they_do(path):
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), node.name


TESTS = sorted((ROOT / "tests").rglob("test_*.py"))


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_no_test_module_imports_another_or_moves_the_path(path):
    tree = ast.parse(path.read_text())
    asked = [asked.partition(".")[0] for asked, _ in imports(path, ROOT)]
    assert [name for name in asked if name.startswith("test_")] == []
    changed = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    assert "sys.path" not in changed  # pyproject.toml names the folders
