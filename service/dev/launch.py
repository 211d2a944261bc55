"""Becomes a server program that does not outlive its parent. Run as a script, it imports none of the package.

    python -I -S launch.py '{"parent": 1, "signal": 2, "uid": null, "gid": null, "bypass_permissions": false}' PROGRAM …

A script of its own, because what it does must happen between fork and exec, where running Python code in the
parent's copy is unsafe once the parent has threads.
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
    """Become `uid`. With `bypass_permissions`, keep the right to pass folders that are closed to that user.

    A checkout in root's home is such a folder; the other way would be to open every folder on the way to all.
    Where the kernel does not grant it, nothing happens here, and the server reports what it cannot read.
    """
    libc = ctypes.CDLL(None)
    if bypass_permissions:
        libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
        # Or else access(2), by which PostgreSQL looks at its programs, leaves capabilities out of user.
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
    """Have the kernel send `signal` when the parent dies (Linux). Exit when it is dead already.

    Must come after every change of identity: the kernel forgets the wish then (prctl(2), PR_SET_PDEATHSIG).
    """
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the parent is gone")


def main() -> None:
    """Apply the options of the first argument, then become the program of the others."""
    options = json.loads(sys.argv[1])
    if options["uid"] is not None:
        drop_privileges(options["uid"], options["gid"], bypass_permissions=options["bypass_permissions"])
    if sys.platform == "linux":
        die_with_parent(options["parent"], options["signal"])
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 no shell is wanted


if __name__ == "__main__":
    main()
