"""One browser and one JupyterLab for all tests, a fresh page for each.

Pictures and the server's log go to build/browser. Only this folder imports playwright, which
`make test-browser` installs, and no other target looks here.
"""

import contextlib
import re
import shutil

import browser as tool
import pytest
import server
from playwright.sync_api import expect, sync_playwright

from helpers import runtime

ROOT = runtime.ROOT
PICTURES = ROOT / "build" / "browser"
COPIED = ("notebooks", "helpers", "phantoms", "pyproject.toml")
expect.set_options(timeout=30_000)


def pytest_sessionstart(session):
    if not hasattr(session.config, "workerinput"):  # once, in the controller
        shutil.rmtree(PICTURES, ignore_errors=True)
        PICTURES.mkdir(parents=True)


@pytest.fixture(scope="session")
def pictures():
    """The folder that takes pictures."""
    return PICTURES


@pytest.fixture(scope="session")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=tool.browser())
        yield browser
        browser.close()


@pytest.fixture
def page(chromium):
    """A fresh page that reaches this machine only; `page.complaints` lists what went wrong."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.complaints = listen(page)
    yield page
    context.close()


def listen(page):
    """Refuse every address but this machine's; return the growing list of complaints."""
    complaints = []

    def refuse(route):
        complaints.append(f"asks for {route.request.url}")
        route.abort()

    page.route(re.compile(r"^https?://(?!127\.0\.0\.1:)"), refuse)
    page.on("pageerror", lambda error: complaints.append(f"page error: {error}"))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    return complaints


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    page = item.funcargs.get("page")
    if report.failed and page:
        name = re.sub(r"[^\w-]+", "-", item.name).strip("-")
        with contextlib.suppress(Exception):  # what failed matters more than its picture
            page.screenshot(path=PICTURES / f"failed-{name}.png")
    return report


@pytest.fixture(scope="session")
def course(tmp_path_factory):
    """A copy of the course, so that nothing done in the browser touches the working tree."""
    folder = tmp_path_factory.mktemp("course")
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def lab(course):
    """JupyterLab on the copy: its address and its token."""
    settings = {
        "COURSE_SOURCE": "sample",
        "COURSE_WIDGETS": "",
        "COURSE_DATA": str(runtime.data_root().resolve()),
    }
    with server.jupyterlab(course, PICTURES / "jupyter.log", **settings) as started:
        yield started
