"""The contract of the lessons, one function a rule.

Each rule takes a lesson's path (of EACH) or the paths of all lessons (of ALL) and the repository's
address, and returns sentences that say what is wrong: none when all is well. `test_notebooks.py`
applies them to the lessons, `test_contract.py` shows that each can fail.
"""

import functools
import re
import statistics
import tomllib
from pathlib import Path

import nbformat
from cell_names import names

ROOT = Path(__file__).resolve().parent.parent
ABSOLUTE = re.compile(
    r"(?<![\w.~])/(?:root|home|tmp|work|Users|content|var|opt|usr|mnt|srv|private)/\w"
    r"|\b[A-Za-z]:\\{1,2}\w"
)
SECRET = re.compile(
    r"KGAT_|ghp_\w{20}|github_pat_\w{20}|hf_\w{20}|sk-\w{20}|AKIA\w{16}|PRIVATE KEY"
    r"|\b[0-9a-f]{32}\b|\b[0-9a-f]{40}\b"
    r"|\b(?=\w*\d)(?=\w*[a-z])(?=\w*[A-Z])\w{32,}\b"  # long, with digits, small and capital letters
)
CHECK = re.compile(r"claims\.(expect|record)\(")
BLANK = re.compile(r"\bexpect\(\s*[^,]+,\s*(?:value=)?\.\.\.\s*[,)]")
REASON = re.compile(r"^# NBVAL_IGNORE_OUTPUT: \w+ \w+", re.MULTILINE)
# What a result may look like: 0.93, .93, 93%, 2,788,353. Not a version (CC BY 4.0), not a size on
# disk (2.3 GB), not a section's number (1.10 in a heading).
NUMBER = re.compile(
    r"(?<![\w.,])(?:\d*\.\d+|\d{1,3}(?:,\d{3})+|\d+(?= ?%))(?![\w.]*\w)(?! [GMk]B\b)"
)
NO_RESULT = [
    r"^(?: {4}|\t).*$",  # a code block
    r"^#+ .*$",  # a heading
    r"`[^`]*`",
    r"\]\([^)]*\)",  # a link's address
    r"CC [A-Z-]+ \d\.\d|[Ss]ections? [\d.]+",
]
SOURCE = re.compile(r"\]\(https?://|\bdoi\b|\bmeasured\b|\([^()]*\b(?:19|20)\d\d\b[^()]*\)")
NEAR = 3  # cells
NBVAL_TAGS = {f"nbval-{what}" for what in ("ignore-output", "check-output", "skip")}
NBVAL_TAGS |= {"nbval-raises-exception", "raises-exception"}


def repository():
    """Return the address of the repository, from the one place that names it."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]


def read(path):
    """Return a notebook, not to be changed: it is read once for all rules."""
    return _read(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=32)
def _read(path, written):
    return nbformat.read(path, as_version=4)


def code(path):
    """Return a lesson's code cells, but for empty ones."""
    cells = read(path).cells
    return [cell for cell in cells if cell.cell_type == "code" and cell.source.strip()]


def prose(path):
    """Return the text of a lesson's markdown cells."""
    return [cell.source for cell in read(path).cells if cell.cell_type == "markdown"]


def length(cell):
    """Return how many lines of a cell are not empty."""
    return sum(bool(line.strip()) for line in cell.source.splitlines())


def tags(cell):
    """Return a cell's tags."""
    return cell.metadata.get("tags", [])


def parts(path, address):
    """Title, question, aims, minutes; exercises with solutions; a recap that leads on."""
    text = prose(path) or [""]
    whole, wrong = "\n".join(text), []
    if not text[0].startswith(f"# {int(path.stem[:2])}. "):
        wrong.append(f"the title does not start with '# {int(path.stem[:2])}. '")
    for part in ("**The question:**", "After this lesson you can", "Minutes:"):
        if part not in text[0]:
            wrong.append(f"the first cell has no '{part}'")
    for part in ("What do you expect", "## Exercises", "## Recap", "could fool you", "**Next:**"):
        if part not in whole:
            wrong.append(f"there is no '{part}'")
    if whole.count("<details>") < 2:
        wrong.append("the recap asks fewer than two questions")
    return wrong


def solutions(path, address):
    """Two to four solutions, folded, that check themselves."""
    found = [cell for cell in code(path) if "solution" in tags(cell)]
    wrong = [] if 2 <= len(found) <= 4 else [f"{len(found)} solutions"]
    for cell in found:
        hidden = cell.metadata.get("jupyter", {}).get("source_hidden")
        if not hidden or cell.metadata.get("cellView") != "form":
            wrong.append(f"a solution is not folded: {cell.source[:60]}")
        if "claims.expect(" not in cell.source:
            wrong.append(f"a solution does not check itself: {cell.source[:60]}")
    return wrong


def no_blank(path, address):
    """Every check has its value: `...` is for the students' copies alone."""
    cells = [cell for cell in code(path) if BLANK.search(cell.source)]
    return [f"a check waits for its value: {cell.source[:60]}" for cell in cells]


def colab_link(path, address):
    """The badge opens this very file of this very repository."""
    link = address.replace("https://github.com/", "https://colab.research.google.com/github/")
    link = f"({link}/blob/main/notebooks/{path.name})"
    links = re.findall(
        r"\(https://colab\.research\.google\.com/github/[^)]*\)", "".join(prose(path))
    )
    return [] if set(links) == {link} else [f"the links to Colab are {links}, not {link}"]


def executed(path, address):
    """Every cell was executed, once, from the top."""
    counts = [cell.execution_count for cell in code(path)]
    good = counts == list(range(1, len(counts) + 1))
    return [] if good else [f"executed in the order {counts}"]


def no_errors(path, address):
    """No cell ended in an error or wrote to the error stream."""
    outputs = [(cell, out) for cell in code(path) for out in cell.outputs]
    wrong = [(cell, out.get("name", "error")) for cell, out in outputs if failed(out)]
    return [f"{kind} under: {cell.source[:60]}" for cell, kind in wrong]


def failed(out):
    """Tell whether an output is an error or came from the error stream."""
    return out.output_type == "error" or out.get("name") == "stderr"


def strings(node):
    """Yield every text of a notebook, metadata and outputs included, but for images' data."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, list):
        for item in node:
            yield from strings(item)
    elif isinstance(node, dict):
        for name, item in node.items():
            if not name.startswith("image/") or isinstance(item, dict):
                yield from strings(item)


def no_absolute_path(path, address):
    """No path of one person's computer, in whatever cell or output.

    Prose may name Colab's drive, which is in the same place for everyone; code may not rely on it.
    """
    text = [words.replace("/content/drive", "") for words in prose(path)]
    rest = [cell for cell in read(path).cells if cell.cell_type != "markdown"]
    return matches(ABSOLUTE, [text, rest, read(path).metadata])


def no_secret(path, address):
    """Nothing that looks like a token or a key."""
    return matches(SECRET, read(path))


def matches(pattern, node):
    """Return the places of a notebook, or of some of its nodes, that a pattern fits."""
    found = [place for place in map(pattern.search, strings(node)) if place]
    return [f"'{place[0]}' in: {place.string[:60]}" for place in found]


def alt_text(path, address):
    """Every figure is described by a full sentence."""
    wrong = []
    for cell in code(path):
        for out in cell.outputs:
            for kind in out.get("data", {}):
                alt = out.metadata.get(kind, {}).get("alt", "") if "image/" in kind else None
                if alt is not None and not (alt.endswith(".") and len(alt.split()) >= 6):
                    wrong.append(f"a figure's alt text is '{alt}', under: {cell.source[:60]}")
    text = "\n".join(prose(path))
    wrong += [
        f"an image in the prose has no alt text: {i}" for i in re.findall(r"!\[\s*\]\S+", text)
    ]
    html = [tag for tag in re.findall(r"<img[^>]*>", text) if not re.search(r"alt=.\w+ ", tag)]
    return wrong + [f"an image in the prose has no alt text: {tag}" for tag in html]


def numbers(path, address):
    """A number in the prose is near a check, is a setting, or its paragraph names its source.

    Which numbers a result could change no program can know. Held to be such: all decimals,
    percentages and numbers with a comma in the thousands (see NUMBER). Near is at most three cells
    away. A check calls claims.expect or claims.record; a setting stands in the code near it; a
    source is a link, a DOI, a year in brackets, or the word "measured". What the rule cannot see:
    numbers in words ("four in ten"), and whether the check beside a number is about that number.
    """
    cells, wrong = read(path).cells, []
    for n, cell in enumerate(cells):
        near = cells[max(0, n - NEAR) : n + NEAR + 1]
        near = "\n".join(other.source for other in near if other.cell_type == "code")
        if cell.cell_type != "markdown" or CHECK.search(near):
            continue
        for paragraph in re.split(r"\n\s*\n", cell.source):
            if not SOURCE.search(paragraph):
                found = [number for number in claimed(paragraph) if not setting(number, near)]
                wrong += [f"{number} in cell {n} has no check and no source" for number in found]
    return wrong


def claimed(text):
    """Return the numbers of a paragraph that may be results."""
    for pattern in NO_RESULT:
        text = re.sub(pattern, "]" if pattern.startswith("\\]") else "", text, flags=re.MULTILINE)
    return [found[0] for found in NUMBER.finditer(text)]


def setting(number, source):
    """Tell whether a number stands in the code as well, 40% as 0.4."""
    literals = re.findall(r"(?<![\w.])\d[\d_,]*(?:\.\d+)?(?:e-?\d+)?", source)
    values = {float(re.sub("[_,]", "", literal)) for literal in literals}
    value = float(number.replace(",", ""))
    return value in values or value / 100 in values


def ignored(path, address):
    """A cell that is not compared has the tag and its reason in one comment; none is left out."""
    wrong = []
    for cell in code(path):
        marks = set(re.findall(r"#\s*((?:NBVAL|PYTEST_VALIDATE)_\w+)", cell.source))
        marks |= {tag.upper().replace("-", "_") for tag in tags(cell) if tag in NBVAL_TAGS}
        if marks - {"NBVAL_IGNORE_OUTPUT"}:
            wrong.append(f"{sorted(marks)} is not allowed: {cell.source[:60]}")
        elif marks and "nbval-ignore-output" not in tags(cell):
            wrong.append(f"ignored without the tag nbval-ignore-output: {cell.source[:60]}")
        elif marks and len(REASON.findall(cell.source)) != 1:
            wrong.append(f"ignored without one reason in a comment: {cell.source[:60]}")
    return wrong


def one_meaning(path, address):
    """A name that cells hand on is bound by one cell, or an earlier one, run again, changes it."""
    bound, taken = {}, set()
    for n, cell in enumerate(read(path).cells):
        if cell.cell_type == "code":
            own, _, others = names(cell.source)
            taken |= others
            for name in own:
                bound.setdefault(name, []).append(n)
    twice = [name for name in sorted(taken) if len(bound.get(name, [])) > 1]
    return [f"'{name}' is bound in cells {bound[name]}, and others use it" for name in twice]


def small_file(path, address):
    """A lesson is under 1 MB."""
    size = path.stat().st_size
    return [] if size < 1_000_000 else [f"{size:,} bytes"]


def drawn_sample(path, address):
    """What is committed was executed on the drawn sample."""
    first = "".join(out.get("text", "") for out in code(path)[0].outputs)
    return [] if "images: sample" in first else [f"the set-up cell printed: {first}"]


def same_setup(paths, address):
    """The first cell is the same in all lessons: short, and it brings this repository to Colab."""
    first = [code(path)[0] for path in paths]
    wrong = [] if len({cell.source for cell in first}) == 1 else ["the set-up cells differ"]
    for path, cell in zip(paths, first, strict=True):
        if f"{address} course" not in cell.source or not 3 <= length(cell) <= 7:
            wrong.append(f"{path.name}: no set-up cell of 3 to 7 lines that clones {address}")
    return wrong


def short_cells(paths, address):
    """Half the cells have at most 5 lines, 90% at most 10, none over 15."""
    sizes = [length(cell) for path in paths for cell in code(path)]
    middle, longest = statistics.median(sizes), max(sizes)
    short = sum(size <= 10 for size in sizes) / len(sizes)
    wrong = [f"half of the cells have over {middle:g} lines"] if middle > 5 else []
    wrong += [f"only {short:.0%} of the cells have at most 10 lines"] if short < 0.9 else []
    return wrong + ([f"a cell has {longest} lines"] if longest > 15 else [])


def small_together(paths, address):
    """All lessons are under 6 MB."""
    size = sum(path.stat().st_size for path in paths)
    return [] if size < 6_000_000 else [f"{size:,} bytes"]


def mostly_compared(paths, address):
    """At least 85% of the cells are compared with their stored output."""
    cells = [cell for path in paths for cell in code(path)]
    share = sum(not re.search("NBVAL|nbval", f"{c.source} {tags(c)}") for c in cells) / len(cells)
    return [] if share >= 0.85 else [f"{share:.0%} of the cells are compared"]


EACH = [parts, solutions, no_blank, colab_link, executed, no_errors, no_absolute_path, no_secret]
EACH += [alt_text, numbers, ignored, one_meaning, small_file, drawn_sample]
ALL = [same_setup, short_cells, small_together, mostly_compared]


def broken(paths, address):
    """Return the names of all rules that some lesson breaks."""
    found = {rule.__name__ for rule in EACH if any(rule(path, address) for path in paths)}
    return found | {rule.__name__ for rule in ALL if rule(paths, address)}
