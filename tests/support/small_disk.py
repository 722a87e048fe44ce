"""A small disk of its own for a server, so that it can be filled."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_CHUNKS_BYTES = (64 << 20, 1 << 20, 4096)


@contextlib.contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[bool]:
    """Makes the folder and mounts a disk there. Yields whether that worked: it needs root on Linux."""
    options = ["-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder)]
    folder.mkdir(parents=True)
    is_there = (
        sys.platform == "linux"
        and os.geteuid() == 0
        and subprocess.run(["mount", *options], capture_output=True, check=False).returncode == 0
    )
    try:
        yield is_there
    finally:
        if is_there:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def free_bytes(folder: Path) -> int:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def fill(ballast: Path) -> None:
    """Fills the disk down to the last page, even if others write meanwhile. Removing the file makes room again."""
    with ballast.open("wb") as file:
        taken = 0
        for chunk in _CHUNKS_BYTES:
            with contextlib.suppress(OSError):
                while True:
                    os.posix_fallocate(file.fileno(), taken, chunk)
                    taken += chunk


def fill_but(left_bytes: int, ballast: Path) -> None:
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free_bytes(ballast.parent) - left_bytes)
