# `make` alone lists what there is. Two promises: `make course` and `make test` each do all the set-up
# on a machine that has Python 3.11 to 3.13 and make. A second call installs nothing.
SOURCE ?= auto
LESSONS ?=
ONLY ?=
ANEW ?=
REPO ?= OWNER/deep-learning-for-medical-images
FITS = import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c '$(FITS)' 2>/dev/null && echo $$p && break; done)
READY := .venv/ready

.PHONY: help course test test-slow coverage bench results lab student figures figures-check badges lock clean book test-browser colab rerun

# what plain `make` says; times are for 2 cores without a GPU, set-up left out
define HELP
For students
  make course          run the lessons, and say what came out                11 minutes
                         LESSONS="02 04" some; SOURCE=sample, kaggle or PATH.zip: which images
  make lab             open the lessons in JupyterLab                        seconds

For instructors
  make student         copies without solutions, in build/student            seconds
  make book            the read-online edition, in build/book                a minute
  make figures         run the lessons in place, rewrite their figures       11 minutes
  make figures-check   draw all figures anew, say which would change         10 minutes
  make results         page and figures of the results on real X-rays        seconds
                         SOURCE=PATH.zip measures first what is missing      hours

For contributors
  make test            format, all quick tests, all lessons strict           11 minutes
  make test-slow       killed processes, long fuzzing, large folders         longer
  make test-browser    JupyterLab and the book, in Chromium                  5 minutes
  make coverage        the branches that tests/ takes: at least 95%          7 minutes
  make colab           the lessons with Colab's versions; LESSONS="05" one   15 minutes
  make rerun           every cell twice: does any do something else?         by lesson
  make bench           measure our ways beside others; ONLY="tables" some    hours
  make badges          write REPO=owner/name into every badge                seconds
  make lock            requirements.txt and environment.yml anew             minutes
  make clean           remove build/ and both environments                   seconds

The first of them sets up .venv, once: two minutes. Times: 2 cores, no GPU, drawn images.
endef
export HELP

help:
	@echo "$$HELP"

course: $(READY)
	@.venv/bin/python tools/run_course.py --source "$(SOURCE)" --lessons "$(LESSONS)"

# every cell twice, and the quick ones once more at the end: does any do something else?
rerun: $(READY)
	@.venv/bin/python tools/rerun.py --source "$(SOURCE)" --lessons "$(LESSONS)"

test: $(READY)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/python -m pytest --nbval -m "not slow" -n 2 --dist loadscope

# what takes long: processes killed at every step, long fuzzing, folders of 1,000 images
test-slow: $(READY)
	.venv/bin/python -m pytest tests -m slow -n 2 --dist loadscope

# the branches of helpers/ and phantoms/ that tests/ alone takes: pyproject.toml says how many at least
coverage: $(READY)
	.venv/bin/python -m pytest tests -m "not slow" -n 2 --dist loadscope --cov

# JupyterLab and the book as a student sees them, in a browser; pictures go to build/browser
test-browser: .venv/browser-ready book
	@.venv/bin/python tools/browser.py
	.venv/bin/python -m pytest tests/browser -n 2 --dist loadscope

# what drives the browser; tools/browser.py finds or installs the browser itself
.venv/browser-ready: $(READY)
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check -c requirements.txt --editable ".[browser]"
	@touch .venv/browser-ready

# the lessons with Colab's versions, in .venv-colab, which is made once
colab:
	@$(or $(PYTHON),python3) tools/colab.py --lessons "$(LESSONS)"

# every benchmark, then experiments/speed/README.md; SOURCE=PATH.zip adds those on real images, and
# ONLY="tables imports" leaves out the others
bench: .venv/bench-ready
	@.venv/bin/python -m experiments.speed --source "$(SOURCE)" --only "$(ONLY)"

# docs/results.md: SOURCE=PATH.zip measures what is missing on the real chest X-rays, ONLY="vgg16"
# some of it, ANEW=1 what was measured before too; without SOURCE page and figures are made anew
results: $(READY)
	@.venv/bin/python -m experiments.accuracy --source "$(SOURCE)" --only "$(ONLY)" --anew "$(ANEW)"

# what benchmarks compare with and the course does not use; nothing else may move
.venv/bench-ready: $(READY)
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check -c requirements.txt --editable ".[bench]"
	@touch .venv/bench-ready

# the edition to read without running anything, in build/book: it loads nothing from the network
book: .venv/book-ready
	@.venv/bin/python tools/book.py

.venv/book-ready: $(READY)
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check -c requirements.txt --editable ".[book]"
	@touch .venv/book-ready

lab: $(READY)
	@.venv/bin/jupyter lab notebooks

# copies of the lessons to work in, without solutions and outputs, in build/student
student: $(READY)
	@.venv/bin/python tools/student.py

figures: $(READY)
	@.venv/bin/python tools/run_course.py --source sample --lessons "$(LESSONS)" --in-place
	@.venv/bin/python tools/figures.py

# draws all figures anew, LESSONS="01 02" those of some, and says what changed; touches nothing
figures-check: $(READY)
	@.venv/bin/python tools/figures_check.py --lessons "$(LESSONS)"

badges:
	@python3 tools/badges.py "$(REPO)"

# requirements.txt is resolved from pyproject.toml, for every Python at once; environment.yml
# says the same for conda
lock: $(READY)
	.venv/bin/python -m pip install --quiet uv
	.venv/bin/python tools/lock.py

$(READY): requirements.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "The course needs Python 3.11, 3.12 or 3.13: install one, or name it: make PYTHON=/path/to/python3.12"; exit 1; }
	@echo "Setting up .venv, once: two minutes with a fast connection ..."
	@$(PYTHON) -m venv .venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $(READY)

clean:
	rm -rf build .venv .venv-colab
