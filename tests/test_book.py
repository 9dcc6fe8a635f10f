"""The edition to read: how lessons and pages are made ready for it; `make book` builds it."""

import json

import book
import nbformat
import pytest

LESSON = "notebooks/01_one.ipynb"
BADGE = (
    "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://x.org/1)"
)
SOLUTION = '# @title Solution (try first) { display-mode: "form" }\nanswer = 42'


def figure(alt):
    return nbformat.v4.new_output(
        "display_data", {"image/png": "0"}, metadata={"image/png": {"alt": alt}}
    )


def table(words):
    return nbformat.v4.new_output("display_data", {"text/html": words})


def prepared(*cells):
    """Return the cells of a lesson that a book gets for these."""
    notebook = nbformat.v4.new_notebook(cells=list(cells))
    notebook = book.lesson(notebook, LESSON, {LESSON: LESSON, "docs/glossary.md": "glossary.md"})
    nbformat.validate(notebook)
    return notebook.cells


def code(source, *outputs, **metadata):
    return nbformat.v4.new_code_cell(source, outputs=list(outputs), metadata=metadata)


def test_a_solution_is_a_closed_box_with_its_output():
    folded = code(SOLUTION, figure("One."), tags=["solution"], jupyter={"source_hidden": True})
    before, opened, solution, closed, after = prepared(code("1"), folded, code("2"))
    assert opened.source == '<details class="solution"><summary>Solution (try first)</summary>'
    assert (solution.source, len(solution.outputs)) == ("answer = 42", 1)
    assert (closed.source, closed.cell_type) == ("</details>", "markdown")
    assert (before.source, after.source) == ("1", "2")


def test_a_solution_without_a_title_is_folded_too():
    opened, solution, _ = prepared(code("x < y", tags=["solution"]))
    assert opened.source.endswith("<summary>Solution</summary>") and solution.source == "x < y"


def test_every_figure_keeps_its_alt_text_and_its_place():
    words = nbformat.v4.new_output("stream", text="between")
    cells = prepared(code("draw()", figure("The first."), words, figure("The second.")))
    assert [cell.metadata["mystnb"]["image"]["alt"] for cell in cells] == [
        "The first.",
        "The second.",
    ]
    assert [len(cell.outputs) for cell in cells] == [2, 1]
    assert (cells[1].source, cells[1].metadata["tags"]) == ("", ["remove-input"])


def test_tables_and_summaries_bring_no_colours_and_no_empty_heads():
    pale = '<span style="color: #00d7ff; text-decoration-color: #00d7ff">None</span>'
    (cell,) = prepared(code("t", table(f"<tr><th></th><th>n</th></tr>{pale}")))
    words = cell.outputs[0].data["text/html"]
    assert words == '<tr><td></td><th>n</th></tr><span style="">None</span>'


def test_the_badge_becomes_a_link_in_words():
    (cell,) = prepared(nbformat.v4.new_markdown_cell(BADGE))
    assert cell.source == "[Open in Colab](https://x.org/1)"


@pytest.mark.parametrize(
    ("page", "before", "after"),
    [
        (
            "docs/index.md",
            "[a](../notebooks/01_one.ipynb#recap)",
            "[a](notebooks/01_one.ipynb#recap)",
        ),
        (LESSON, "[a](../docs/glossary.md)", "[a](../glossary.md)"),
        (LESSON, '<img src="../figures/a.png" alt="A">', '<img src="../figures/a.png" alt="A">'),
        ("docs/index.md", "![A](../figures/a.png)", "![A](figures/a.png)"),
        ("docs/index.md", "[a](../README.md#why)", f"[a]({book.ADDRESS}/blob/main/README.md#why)"),
        (
            LESSON,
            '<a href="../helpers/plots.py">',
            f'<a href="{book.ADDRESS}/blob/main/helpers/plots.py">',
        ),
        (LESSON, "[a](https://x.org/y.md), [b](#here)", "[a](https://x.org/y.md), [b](#here)"),
        (LESSON, "[nothing](there.md)", "[nothing](there.md)"),
    ],
)
def test_links_hold_in_the_book(page, before, after):
    placed = {LESSON: LESSON, "docs/glossary.md": "glossary.md", "docs/index.md": "index.md"}
    assert book.relinked(before, page, placed) == after


def test_the_sidebar_has_every_lesson_and_the_pages_that_are_there():
    placed = book.pages()
    lessons = sorted(path.name for path in (book.ROOT / "notebooks").glob("*.ipynb"))
    assert [page[10:] for page in placed if page.startswith("notebooks/")] == lessons
    assert placed["docs/index.md"] == "index.md" and all(
        (book.ROOT / page).exists() for page in placed
    )
    listed = book.sidebar(placed).splitlines()
    assert set(placed.values()) - {"index.md"} <= set(listed) and "docs/none.md" not in placed
    assert len(book.contents(placed).splitlines()) == len(lessons)
    assert "hidden" not in book.sidebar({})


def test_committed_lessons_stay_as_they_are(tmp_path, monkeypatch):
    monkeypatch.setattr(book, "SOURCE", tmp_path)
    paths = sorted((book.ROOT / "notebooks").glob("*.ipynb"))
    before = [path.read_bytes() for path in paths]
    book.prepare()
    assert [path.read_bytes() for path in paths] == before
    for path in paths:
        made = json.loads((tmp_path / "notebooks" / path.name).read_text(encoding="utf-8"))
        assert "colab-badge" not in json.dumps(made["cells"][0])
        boxes = [cell for cell in made["cells"] if 'class="solution"' in "".join(cell["source"])]
        assert len(boxes) == path.read_text(encoding="utf-8").count('"solution"')


@pytest.mark.parametrize(
    ("name", "words", "found"),
    [
        (
            "a.html",
            '<script src="https://cdn.x/mathjax.js"></script>',
            ["https://cdn.x/mathjax.js"],
        ),
        ("a.html", '<link rel="stylesheet" href="//cdn.x/a.css">', ["//cdn.x/a.css"]),
        ("a.html", '<p><img alt="A" src="http://x.org/a.png"></p>', ["http://x.org/a.png"]),
        ("a.html", "<style>@import 'https://x.org/a.css'</style>", ["https://x.org/a.css"]),
        ("a.css", "src: url(https://x.org/a.woff2)", ["https://x.org/a.woff2"]),
        ("a.css", "background: url(data:image/svg+xml,http://www.w3.org/2000/svg)", []),
        ("a.html", '<a href="https://x.org">x</a><img src="_images/a.png">', []),
    ],
)
def test_what_a_page_would_load_from_the_network_is_found(tmp_path, name, words, found):
    (tmp_path / name).write_text(words)
    assert book.remote(tmp_path / name) == found
