"""Executes a server program that ends with its parent. Runs as a script and imports nothing of the package.

    python -I -S launch.py '{"parent": 1, "signal": 2, "uid": null, "gid": null, "bypass_permissions": false}' PROGRAM …

It is a separate script because its work belongs between fork and exec, where running Python in a copy of a parent with
threads is unsafe.
"""

import ctypes
import json
import os
import sys

PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_SET_SECUREBITS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 8, 28, 47, 2
SECBIT_NO_SETUID_FIXUP = 1 << 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522


def drop_privileges(uid: int, gid: int, *, bypass_permissions: bool) -> None:
    """Become `uid`. With `bypass_permissions`, keep CAP_DAC_OVERRIDE, so that file permissions do not apply.

    A checkout in root's home needs it; the alternative would be to open its parent folders to all users. If the kernel
    does not grant it, the server reports the files that it cannot read.
    """
    libc = ctypes.CDLL(None)
    if bypass_permissions:
        libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
        # Without it, access(2) ignores capabilities, and PostgreSQL checks its programs with access(2).
        libc.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if bypass_permissions:
        header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
        one = 1 << CAP_DAC_OVERRIDE
        libc.capset(header, (ctypes.c_uint32 * 6)(one, one, one, 0, 0, 0))
        libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)


def die_with_parent(parent: int, signal: int) -> None:
    """Have the kernel send `signal` when the parent dies (Linux). Exit if the parent is already dead.

    Call it after every change of user: that clears the setting (prctl(2), PR_SET_PDEATHSIG).
    """
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the parent process has ended")


def main() -> None:
    """Apply the options of the first argument, then execute the remaining arguments."""
    options = json.loads(sys.argv[1])
    if options["uid"] is not None:
        drop_privileges(options["uid"], options["gid"], bypass_permissions=options["bypass_permissions"])
    if sys.platform == "linux":
        die_with_parent(options["parent"], options["signal"])
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 no shell is wanted


if __name__ == "__main__":
    main()
