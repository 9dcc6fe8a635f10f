"""Find or install what `make test-browser` needs beside Python packages: a browser, and axe-core.

The browser is Debian's chromium, or any of that family on the PATH. axe-core comes from npm, once,
into build/npm.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
AXE_VERSION = "4.14.1"
AXE = ROOT / "build" / "npm" / "node_modules" / "axe-core" / "axe.min.js"


def main():
    """Install what is missing, where that can be done; return one sentence for what cannot."""
    if not browser() and not (apt_get("chromium") and browser()):
        return (
            f"make test-browser needs a browser: install Chromium so that one of "
            f"{', '.join(BROWSERS)} is on the PATH, and try again."
        )
    if AXE.is_file():
        return None
    if not shutil.which("npm") and not (apt_get("npm") and shutil.which("npm")):
        return "make test-browser needs npm, which brings axe-core: install Node.js and try again."
    if not npm(f"axe-core@{AXE_VERSION}") or not AXE.is_file():
        return f"npm could not install axe-core {AXE_VERSION}: see its words above, and try again."
    return None


def browser():
    """Return the path of a browser on the PATH, or None."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def apt_get(package):
    """Install a Debian package where that is possible; tell whether it was."""
    if not shutil.which("apt-get") or os.geteuid() != 0:
        return False
    print(f"Installing {package} with apt-get, once ...", flush=True)
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", package]
    return quietly("apt-get", "update", "-qq") and quietly(*install)


def npm(package):
    """Install an npm package into build/npm; tell whether that worked."""
    print(f"Installing {package} with npm, once ...", flush=True)
    folder = ROOT / "build" / "npm"
    folder.mkdir(parents=True, exist_ok=True)
    return quietly("npm", "install", "--prefix", str(folder), "--no-save", "--no-audit", package)


def quietly(*command):
    """Run a command and show what it says only when it fails; tell whether it worked."""
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if done.returncode:
        print((done.stdout + done.stderr).strip()[-2000:], file=sys.stderr)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
