"""A JupyterLab of its own: on a free port, with a token, far from the user's settings."""

import contextlib
import os
import secrets
import socket
import subprocess
import sys
import time


@contextlib.contextmanager
def jupyterlab(course, log, **environment):
    """Start JupyterLab in a folder as `make lab` does; yield its address and token, and stop it."""
    port, token, home = free_port(), secrets.token_hex(16), course / "home"
    env = os.environ | {"HOME": str(home), "IPYTHONDIR": str(home), "PYTHONPATH": ""} | environment
    env |= {f"JUPYTER_{kind}_DIR": str(home / kind) for kind in ("CONFIG", "DATA", "RUNTIME")}
    command = [sys.executable, "-m", "jupyter", "lab", "notebooks", "--no-browser", "--allow-root"]
    command += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}"]
    command += ["--ServerApp.port_retries=0", f"--IdentityProvider.token={token}"]
    with log.open("w") as out:
        server = subprocess.Popen(command, cwd=course, env=env, stdout=out, stderr=out)
        try:
            if not listens(server, port):
                raise RuntimeError(f"JupyterLab did not start: {log.read_text()[-2000:]}")
            yield f"http://127.0.0.1:{port}", token
        finally:
            stop(server)


def free_port():
    """Return the number of a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(server, port, seconds=120):
    """Wait until a server takes connections; tell whether it does."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5):
            return True
        time.sleep(0.2)  # nothing tells when it begins to listen
    return False


def stop(server):
    """End a server, and with it its kernels; kill it when it does not heed that."""
    server.terminate()
    try:
        server.wait(30)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
