"""Downloads through the browser: said, not made."""

import os


def download(filename):
    if not os.path.exists(filename):
        raise FileNotFoundError(f"Cannot find file: {filename}")
    print(f"the browser saves {os.path.basename(filename)}")
