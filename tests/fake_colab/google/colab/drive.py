"""A Drive that outlives its runtime: the folder FAKE_DRIVE."""

import os


def mount(mountpoint, force_remount=False):
    inside = os.path.join(mountpoint, "MyDrive")
    if os.path.isdir(inside):
        print(f"Drive already mounted at {mountpoint}; to attempt to forcibly remount, ...")
        return
    if os.path.isdir(mountpoint) and os.listdir(mountpoint):
        raise ValueError("Mountpoint must not already contain files")
    os.makedirs(mountpoint, exist_ok=True)
    os.symlink(os.environ["FAKE_DRIVE"], inside)
    print(f"Mounted at {mountpoint}")
