"""Run a command that has a small tmpfs of its own: a disk that a test can fill.

``python -m tests.servers.tmpfs SIZE DIRECTORY COMMAND...`` mounts it where only the command and
its children see it, so there is nothing to unmount, and an ordinary user may do it too.
"""

import ctypes
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
MS_REC = 0x4000
MS_PRIVATE = 0x40000


def run_in_tmpfs(
    size: int, directory: Path, command: Sequence[str | Path]
) -> subprocess.CompletedProcess[str]:
    """Run `command` with a tmpfs of `size` bytes mounted on `directory`, and return its output."""
    wrapper = [sys.executable, "-m", "tests.servers.tmpfs", str(size), str(directory)]
    return subprocess.run([*wrapper, *command], capture_output=True, text=True)


def mount_tmpfs(size: int, directory: Path, uid: int, gid: int) -> None:
    """Mount a tmpfs of `size` bytes on `directory`, for this process and its future children only.

    Only root can mount in a namespace of root's, so an ordinary user gets a user namespace as well,
    in which its own ids stay what they are.
    """
    own_uid, own_gid = os.geteuid(), os.getegid()
    if own_uid == 0:
        call_libc("unshare", CLONE_NEWNS)
    else:
        call_libc("unshare", CLONE_NEWUSER | CLONE_NEWNS)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{own_uid} {own_uid} 1")
        Path("/proc/self/gid_map").write_text(f"{own_gid} {own_gid} 1")
    call_libc("mount", None, b"/", None, MS_REC | MS_PRIVATE, None)
    options = f"size={size},mode=0700,uid={uid},gid={gid}"
    call_libc("mount", b"tmpfs", os.fsencode(directory), b"tmpfs", 0, options.encode())


def call_libc(name: str, *arguments: int | bytes | None) -> None:
    """Call a function of the C library that returns 0, or else sets errno."""
    libc = ctypes.CDLL(None, use_errno=True)
    unsigned = [ctypes.c_ulong(a) if isinstance(a, int) else a for a in arguments]
    if getattr(libc, name)(*unsigned) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")


if __name__ == "__main__":
    mount_tmpfs(int(sys.argv[1]), Path(sys.argv[2]), os.geteuid(), os.getegid())
    os.execvp(sys.argv[3], sys.argv[3:])
