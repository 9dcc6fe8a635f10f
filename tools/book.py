"""Builds the read-online edition for `make book`: lessons and pages as HTML in build/book."""

import html
import os
import posixpath
import re
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from html.parser import HTMLParser
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parent.parent
SOURCE, BOOK = ROOT / "build" / "book-source", ROOT / "build" / "book"
ADDRESS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]
SIDEBAR = {
    "Lessons": ["notebooks/*.ipynb"],
    "Beside the lessons": [
        f"docs/{name}.md" for name in ("self_check", "glossary", "troubleshooting")
    ],
    "About the course": [
        "docs/instructors.md",
        "docs/results.md",
        "figures/README.md",
        "experiments/speed/README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
    ],
}
FORM = re.compile(r"# @title (.*?) *(?:\{.*\})?\n")


def pages(root=ROOT):
    """Return where each page of the repository is in the book: `docs` lies at the top."""
    listed = ["docs/index.md"] + [page for section in SIDEBAR.values() for page in section]
    found = [
        path.relative_to(root).as_posix() for page in listed for path in sorted(root.glob(page))
    ]
    return {page: page.removeprefix("docs/") for page in found}


def sidebar(placed):
    """Return what makes the sidebar: the pages that are there, under three headings."""
    blocks = []
    for caption, listed in SIDEBAR.items():
        there = [placed[page] for page in placed if any(fnmatch(page, name) for name in listed)]
        if there:
            blocks += ["```{toctree}", ":hidden:", f":caption: {caption}", "", *there, "```", ""]
    return "\n".join(blocks)


def relinked(text, page, placed, root=ROOT):
    """Return a page's markdown with links that hold in the book.

    A link to another page or to a picture leads there, one to another file of the repository to
    the repository's address. A link to nothing stays, and Sphinx complains. Remote pictures, the
    badges, become text.
    """

    def link(found):
        address, mark, anchor = found[2].partition("#")
        if not address or ":" in address:
            return found[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(page), address))
        if target in placed or target.endswith(".png"):
            new = posixpath.relpath(
                placed.get(target, target), posixpath.dirname(placed[page]) or "."
            )
        elif (root / target).exists():
            new = f"{ADDRESS}/blob/main/{target}"
        else:
            return found[0]
        return found[1] + new + mark + anchor + found[3]

    text = re.sub(r"!\[([^\]]*)\]\(https?://[^)]*\)", r"\1", text)
    text = re.sub(r'(\b(?:src|href)=")([^"\s]+)(")', link, text)
    return re.sub(r"(\]\()([^)\s]+)(\))", link, text)


def lesson(notebook, page, placed):
    """Make a lesson ready for the book: links, folded solutions, figures with their alt text."""
    cells = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = relinked(cell.source, page, placed)
            cells.append(cell)
        elif "solution" in cell.metadata.get("tags", []):
            cells += folded(cell)
        else:
            cells += described(cell)
    notebook.cells = cells
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    return notebook


def folded(cell):
    """Return the cells that show a solution as a closed box with its code and output."""
    title = FORM.match(cell.source)
    cell.source = cell.source.removeprefix(title[0] if title else "")
    summary = html.escape(title[1] if title else "Solution")
    first = f'<details class="solution"><summary>{summary}</summary>'
    return [text(first), *described(cell), text("</details>")]


def text(source):
    """Return a markdown cell."""
    return nbformat.v4.new_markdown_cell(source)


def described(cell):
    """Return a cell whose figure has its alt text; each further figure gets a cell of its own.

    MyST-NB reads options of figures from the metadata of the cell, not from those of the output.
    """
    cells, outputs, cell.outputs = [cell], cell.outputs, []
    for out in outputs:
        alt = [about["alt"] for about in out.get("metadata", {}).values() if "alt" in about]
        if alt and "mystnb" in cells[-1].metadata:
            cells.append(nbformat.v4.new_code_cell(metadata={"tags": ["remove-input"]}))
        if alt:
            cells[-1].metadata["mystnb"] = {"image": {"alt": alt[0]}}
        cells[-1].outputs.append(plain(out))
    return cells


def plain(out):
    """Return an output whose tables have no empty heads and no colours of their own.

    Those of Keras's summaries are too pale, and one theme is dark.
    """
    if "text/html" in out.get("data", {}):
        words = re.sub(r"(?:text-decoration-)?color: #\w+;? ?", "", out["data"]["text/html"])
        out["data"]["text/html"] = words.replace("<th></th>", "<td></td>")
    return out


def contents(placed, root=ROOT):
    """Return the list of lessons for the front page: what each is called, and what it asks."""
    lines = []
    for page in placed:
        if page.startswith("notebooks/"):
            first = nbformat.read(root / page, as_version=4).cells[0].source
            title = first.splitlines()[0].removeprefix("# ")
            question = re.search(r"\*\*The question:\*\* (.*)", first)
            number, _, name = title.partition(". ")
            lines.append(f"{number}. [{name}]({page}): {question[1] if question else ''}")
    return "\n".join(lines)


def prepare():
    """Write the sources of the book anew, changed where a book needs it."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    placed = pages()
    for page, place in placed.items():
        (SOURCE / place).parent.mkdir(parents=True, exist_ok=True)
        if page.endswith(".ipynb"):
            notebook = nbformat.read(ROOT / page, as_version=4)
            nbformat.write(lesson(notebook, page, placed), SOURCE / place)
        else:
            words = relinked((ROOT / page).read_text(encoding="utf-8"), page, placed)
            words = words.replace("<!-- lessons -->", f"{contents(placed)}\n\n{sidebar(placed)}")
            (SOURCE / place).write_text(words, encoding="utf-8")
    for folder in ("figures", "experiments/speed", "docs/results"):
        for picture in (ROOT / folder).glob("*.png"):
            (SOURCE / folder).mkdir(parents=True, exist_ok=True)
            shutil.copy(picture, SOURCE / folder)


class Loaded(HTMLParser):
    """Collects in `remote` what a page would load from the network; links to click are no such."""

    def __init__(self):
        super().__init__()
        self.remote = []

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in {"src", "href", "srcset", "data", "poster"} and tag != "a":
                if re.match(r"(?:https?:)?//", value or ""):
                    self.remote.append(value)


def remote(page):
    """Return what a page or a style sheet would load from the network."""
    words = page.read_text(encoding="utf-8")
    found = re.findall(r"(?:url\(|@import)\s*[\"']?((?:https?:)?//[^\"')\s]+)", words)
    if page.suffix == ".html":
        loaded = Loaded()
        loaded.feed(words)
        found += loaded.remote
    return found


def main():
    """Build the book, and say where it is or what is wrong."""
    prepare()
    shutil.rmtree(BOOK, ignore_errors=True)
    command = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going"]
    command += ["--conf-dir", ROOT / "docs", "--doctree-dir", ROOT / "build" / "book-doctrees"]
    done = subprocess.run([*command, "--fresh-env", SOURCE, BOOK])
    if done.returncode:
        sys.exit("The book is not built: mend what the lines above name.")
    files = [path for path in BOOK.rglob("*") if path.suffix in {".html", ".css"}]
    wrong = {f"{path.relative_to(BOOK)}: {address}" for path in files for address in remote(path)}
    if wrong:
        sys.exit("The book would load from the network:\n" + "\n".join(sorted(wrong)))
    print(f"The book is ready: open {os.path.relpath(BOOK / 'index.html')} in a browser.")


if __name__ == "__main__":
    main()
