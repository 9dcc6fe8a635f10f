"""Write copies of the lessons to work in, without answers and outputs: `make student`.

Each solution becomes a stub: the solution's own checks, with `...` where the student's result goes.
"""

import ast
import re
import symtable
import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build" / "student"
TASK = "# Your turn: write your code here, then put your results where ... stands.\n"
BADGE = re.compile(r"^\[!\[Open in Colab\].*$", re.MULTILINE)
TITLE = (
    "*A copy to work in: each exercise at the end waits for your code, and checks it. "
    "In Colab: File > Upload notebook.*"
)
FOLDED = re.compile(r"\n\n[^\n]*`make student`[^\n]*")  # how a lesson says where its answers are
PATHS = ('["course", ".."]', '["course", "../.."]')  # of the helpers, from notebooks and from here


def main(notebooks=ROOT / "notebooks", folder=FOLDER):
    """Write every copy; return the exit status, 1 where somebody's work would be overwritten."""
    copies = {folder / path.name: text(path) for path in sorted(notebooks.glob("*.ipynb"))}
    for path, wanted in copies.items():
        if path.exists() and path.read_text() != wanted:
            print(
                f"{path.name} in build/student is not as it was written: move it away if it holds "
                "your work, else delete it, then call make student again.",
                file=sys.stderr,
            )
            return 1
    folder.mkdir(parents=True, exist_ok=True)
    for path, wanted in copies.items():
        path.write_text(wanted)
    print(f"Wrote {len(copies)} lessons; .venv/bin/jupyter lab build/student opens them.")
    return 0


def text(path):
    """Return the student's copy of a lesson, as the text of its file."""
    notebook = nbformat.read(path, as_version=4)
    first = notebook.cells[0]
    first.source, badges = BADGE.subn(TITLE, first.source)
    setup = next(cell for cell in notebook.cells if cell.cell_type == "code")
    if badges != 1 or PATHS[0] not in setup.source:
        raise ValueError(f"{path.name} has no badge, or its set-up cell does not name {PATHS[0]}.")
    setup.source = setup.source.replace(*PATHS)
    for cell in notebook.cells:
        cell.source = FOLDED.sub("", cell.source)
        if cell.cell_type == "code":
            cell.update(outputs=[], execution_count=None)
            if "solution" in cell.metadata.get("tags", []):
                cell.source = stub(cell.source)
                cell.metadata = nbformat.from_dict({"tags": ["exercise"]})
    return nbformat.writes(notebook) + "\n"


def stub(source):
    """Return what a solution leaves to the student: its checks, and the course's own imports."""
    symbols = symtable.symtable(source, "<cell>", "exec").get_symbols()
    local = {s.get_name() for s in symbols if s.is_assigned() or s.is_imported()}
    lines = list(kept(ast.parse(source).body, source, local))
    imports = [line for line in lines if line.startswith("from ")]
    checks = [line for line in lines if not line.startswith("from ")]
    if not checks:
        raise ValueError(f"This solution checks nothing: {source[:60]}")
    return "\n".join([*imports, *[""] * bool(imports), TASK, *checks])


def kept(statements, source, local, indent=""):
    """Yield the lines of a stub; `local` are the names that only the solution defines."""
    for node in statements:
        call = getattr(node, "value", None)
        if isinstance(node, ast.ImportFrom) and node.module == "helpers":
            yield ast.unparse(node)
        elif isinstance(call, ast.Call) and ast.unparse(call.func) == "claims.expect":
            yield indent + check(call, source, local)
        elif isinstance(node, ast.If | ast.For):
            known = local - {ast.unparse(node.target)} if isinstance(node, ast.For) else local
            inside = list(kept(node.body, source, known, indent + "    "))
            if inside:
                head = ast.get_source_segment(source, node).splitlines()[0]
                yield from [indent + head, *inside]


def check(call, source, local):
    """Return a check with `...` for its value, without the bounds that the solution computes."""
    bounds = {word.arg: word.value for word in call.keywords}
    bounds = {arg: node for arg, node in bounds.items() if not names(node) & local}
    if not bounds:
        raise ValueError(f"Without its solution nothing bounds {ast.unparse(call.args[0])}.")
    parts = [ast.get_source_segment(source, call.args[0]), "..."]
    parts += [f"{arg}={bound(node, source)}" for arg, node in bounds.items()]
    return f"claims.expect({', '.join(parts)})"


def bound(node, source):
    """Return a bound as it is written, but for a sum, which would tell how to come to it."""
    words = ast.get_source_segment(source, node)
    return repr(eval(words)) if isinstance(node, ast.BinOp) and not names(node) else words


def names(node):
    """Return the names that an expression uses."""
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ValueError as error:
        sys.exit(str(error))
