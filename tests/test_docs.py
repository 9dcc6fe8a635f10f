"""The pages beside the lessons are true: their links, messages and answers."""

import ast
import re
import subprocess
from pathlib import Path

import keras
import nbformat
import numpy as np
import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "data/*.md", "figures/*.md", "experiments/*/*.md")
    for path in ROOT.glob(pattern)
)
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LINK = re.compile(r"\]\(([^()\s]+(?:\([^()\s]*\))?)\)|<img [^>]*src=\"([^\"]+)\"")


def text(path):
    """Return a page's text, or a lesson's prose, without its code."""
    if path.suffix == ".ipynb":
        cells = nbformat.read(path, as_version=4).cells
        whole = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    else:
        whole = path.read_text("utf-8")
    return re.sub(r"^```.*?^```|`[^`\n]*`", "", whole, flags=re.MULTILINE | re.DOTALL)


def anchors(path):
    """Return the anchors that GitHub makes of a page's headings."""
    heads = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def wrong_links(path):
    """Return a page's links that lead nowhere, as far as can be told without a network."""
    wrong = []
    for match in LINK.finditer(text(path)):
        link = match[1] or match[2]
        if re.match(r"https://[\w.-]+\.[a-z]+(/\S*)?$", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not committed(target) or (anchor and anchor not in anchors(target)):
            wrong.append(link)
    return wrong


def committed(target):
    """Tell whether git knows a file, or files in a folder."""
    command = ["git", "ls-files", "--", target]
    return bool(subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout)


@pytest.mark.parametrize("path", [*PAGES, *LESSONS], ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    assert wrong_links(path) == []


def test_wrong_links_are_found(tmp_path):
    page = ROOT / "docs" / "glossary.md"
    links = "[a](missing.md) [b](../README.md#no-such-heading) [c](http://plain.org) ![d](x.png)"
    (tmp_path / "page.md").write_text(links + f" [e]({page}) [f](https://keras.io/api) `[g](h)`")
    found = wrong_links(tmp_path / "page.md")
    assert found[0] == "missing.md" and found[2:] == ["http://plain.org", "x.png"]


MESSAGES = re.findall(r"^### (.*)$", (ROOT / "docs/troubleshooting.md").read_text(), re.MULTILINE)
MESSAGES = [re.sub(r"`", "", head) for head in MESSAGES if head.startswith("`")]
NOT_RAISED_HERE = [
    "make: command not found",
    "OOM when allocating tensor, RESOURCE_EXHAUSTED",
    "Could not find cuda drivers, This TensorFlow binary is optimized",
    "own.images is …, but the lesson expects at least 60",  # of claims.expect, tested above
]


def said_by_the_course():
    """Return every text in helpers/ and the Makefile, with a gap where a value goes."""
    found = [(ROOT / "Makefile").read_text()]
    for path in (ROOT / "helpers").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [getattr(part, "value", "") for part in node.values]
                found.append("".join(part if isinstance(part, str) else "\0" for part in parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def said_by_others():
    """Return what Python and Keras say when asked for what the page names."""
    dense = keras.Sequential([keras.layers.Dense(1)])
    fixed = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])
    program = keras.saving.serialize_keras_object(keras.layers.Lambda(lambda x: x))
    asked = [
        lambda: __import__("no_such_helpers"),
        lambda: eval("no_such_name"),
        lambda: keras.optimizers.Adam(lr=0.1),
        lambda: fixed.fit_generator(None),
        lambda: keras.preprocessing.image.ImageDataGenerator,
        lambda: keras.callbacks.ModelCheckpoint("best.hdf5"),
        lambda: dense.output,
        lambda: fixed(np.zeros((1, 9))),
        lambda: keras.saving.deserialize_keras_object(program, safe_mode=True),
    ]
    for ask in asked:
        with pytest.raises(Exception) as told:
            ask()
        yield re.sub(r"`|\x1b\[\d+m", "", str(told.value)).replace("no_such_helpers", "helpers")


def test_messages_exist():
    said = [*said_by_the_course(), *said_by_others()]
    assert len(MESSAGES) > 40
    for message in set(MESSAGES) - set(NOT_RAISED_HERE):
        parts = ".*?".join(re.escape(part.strip()) for part in message.split("…"))
        assert any(re.search(parts, one, re.DOTALL) for one in said), message


def test_the_table_of_settings_names_what_the_code_reads():
    page = (ROOT / "docs/troubleshooting.md").read_text().partition("\n## Settings\n")[2]
    listed = re.findall(r"^\| `(COURSE_\w+)` \|", page, re.MULTILINE)
    code = [path for name in ("helpers", "tools") for path in (ROOT / name).rglob("*.py")]
    code = "".join(path.read_text() for path in [*code, ROOT / "conftest.py"])
    assert len(listed) == len(set(listed))
    assert set(listed) == set(re.findall(r"\bCOURSE_[A-Z0-9_]*[A-Z0-9]\b", code))


def test_answers_of_the_self_check_are_right():
    page = (ROOT / "docs/self_check.md").read_text()
    blocks = list(re.finditer(r"```python\n(.*?)```(.*?)(?=```python|\Z)", page, re.DOTALL))
    assert len(blocks) == 5
    for block in blocks:
        lines = block[1].splitlines()
        asked = [line[4:] for line in lines if line.startswith(">>> ")]
        told = [line for line in lines if not line.startswith(">>> ")]
        names = {}
        exec("\n".join(asked[:-1]), names)
        wanted = told[0] if told else re.search(r"`([^`]+)`", block[2])[1]
        assert repr(eval(asked[-1], names)) == wanted


def test_terms_of_the_glossary_are_in_order():
    page = (ROOT / "docs/glossary.md").read_text()
    terms = re.findall(r"^\*\*(.+?)\.\*\* ", page, re.MULTILINE)
    assert len(terms) == len(re.findall(r"\[Lesson \d\]", page))
    assert len(terms) > 40
    assert terms == sorted(terms, key=str.lower)


def test_issue_forms_ask_for_lesson_cell_and_runtime():
    folder = ROOT / ".github/ISSUE_TEMPLATE"
    for path in folder.glob("*.yml"):
        assert yaml.safe_load(path.read_text())
    form = yaml.safe_load((folder / "lesson.yml").read_text())
    fields = {part.get("id"): part for part in form["body"]}
    for name in ("lesson", "cell", "runtime", "printed", "message"):
        assert fields[name]["validations"]["required"] is True, name
    numbers = [option[:2] for option in fields["lesson"]["attributes"]["options"]]
    assert numbers[: len(LESSONS)] == [path.name[:2] for path in LESSONS]
