"""What a cell takes from other cells, and what it leaves to them."""

import ast
import dis
import types

from IPython.core.inputtransformer2 import TransformerManager


def names(source):
    """Return the names that a cell binds, those it imports, and those it takes from elsewhere."""
    python = TransformerManager().transform_cell(source)  # without ! and %
    code, bound, taken = compile(python, "cell", "exec"), set(), set()
    for step in dis.get_instructions(code):  # in the order of the lines
        if step.opname == "STORE_NAME":
            bound.add(step.argval)
        elif step.opname == "LOAD_NAME" and step.argval not in bound:
            taken.add(step.argval)
    imports = [n for n in ast.walk(ast.parse(python)) if isinstance(n, ast.Import | ast.ImportFrom)]
    imported = {a.asname or a.name.split(".")[0] for n in imports for a in n.names}
    return bound - imported, imported, taken | (set(inside(code)) - bound)


def inside(code):
    """Yield the names that functions of a cell look up when they are called."""
    for part in code.co_consts:
        if isinstance(part, types.CodeType):
            steps = dis.get_instructions(part)
            yield from (step.argval for step in steps if step.opname == "LOAD_GLOBAL")
            yield from inside(part)
