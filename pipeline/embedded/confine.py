"""The operating system's own word that the embedded ClickHouse reaches nothing but its folder: Landlock.

Linux 5.13 and newer let a process give up rights for good, without privileges
(https://docs.kernel.org/userspace-api/landlock.html). It keeps its folder, may read what programs need to run, and
from Linux 6.7 on opens no connection to anybody. This stands behind the grants of `access`: what
nobody thought of there ends here.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

# The same numbers on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION: Final = 1
_PATH_BENEATH: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38

_EXECUTE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 2, 1 << 3
#: Every right over files of the first version, and what later ones added (REFER, TRUNCATE, IOCTL_DEV).
_ALL: Final = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_OF_FILES: Final = _EXECUTE | _READ_FILE | 1 << 1 | 1 << 14  # those, WRITE_FILE and TRUNCATE
_READ: Final = _EXECUTE | _READ_FILE | _READ_DIR
_CONNECT_TCP: Final = 1 << 1
#: Where programs, their libraries and what the kernel tells about memory and processors are.
_SYSTEM: Final = ("/usr", "/lib", "/lib64", "/bin", "/sys", "/proc", "/dev", "/etc/ld.so.cache", "/etc/localtime",
                  "/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf", "/etc/resolv.conf")  # fmt: skip


def confine(folder: Path, readable: Iterable[Path] = ()) -> bool:
    """Leave this thread, and all that it starts from now on, the `folder`, `readable` and the system's programs.

    Returns whether the kernel does it; to be called before other threads start. Raises OSError if it should and fails.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    version = int(libc.syscall(_CREATE_RULESET, None, 0, _VERSION))
    if version < 1:
        return False
    rights = _ALL[min(version, max(_ALL))]
    attributes = struct.pack("=QQ", rights, _CONNECT_TCP) if version >= 4 else struct.pack("=Q", rights)
    ruleset = _checked(libc.syscall(_CREATE_RULESET, attributes, len(attributes), 0))
    try:
        for path in (*_SYSTEM, *map(str, readable)):
            _allow(libc, ruleset, path, _READ)
        _allow(libc, ruleset, "/dev/null", rights)
        _allow(libc, ruleset, str(folder), rights)
        _checked(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        _checked(libc.syscall(_RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)
    return True


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, rights: int) -> None:
    try:
        number = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not os.path.isdir(path):
            rights &= _OF_FILES
        beneath = struct.pack("=Qi", rights, number)
        _checked(libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, beneath, 0))
    finally:
        os.close(number)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"Landlock: {os.strerror(number)}")
    return result
