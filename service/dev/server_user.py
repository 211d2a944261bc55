"""Which user a server runs as. PostgreSQL refuses to run as root."""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from service.dev.errors import LocalServerError


@dataclass(frozen=True, kw_only=True)
class ServerUser:
    """An unprivileged user, chosen because this process is root.

    bypass_permissions: a folder on the way to the program or the data is closed to this user.
    """

    uid: int
    gid: int
    bypass_permissions: bool = False

    def chown(self, path: Path) -> None:
        """Give a file or folder to this user. Raises LocalServerError where root may not do that."""
        try:
            os.chown(path, self.uid, self.gid)
        except PermissionError:
            raise LocalServerError(
                "PostgreSQL does not run as root, and here root may not give files to another user: "
                "run the command as an ordinary user, or set SLIPWAY_DATABASE__URL"
            ) from None


def unprivileged_user(data: Path, program: Path) -> ServerUser | None:
    """Return None unless this process is root; then the owner of `data` if it exists, else `nobody`.

    The owner comes first, so that data which an ordinary user made keeps working, and keeps its owner.
    """
    if os.geteuid() != 0:
        return None
    bypass_permissions = not open_to_others(data, program)
    if data.exists() and (owner := data.stat()).st_uid != 0:
        return ServerUser(uid=owner.st_uid, gid=owner.st_gid, bypass_permissions=bypass_permissions)
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise LocalServerError(
            "PostgreSQL does not run as root, and this machine has no user `nobody` to run it as: "
            "run the command as an ordinary user, or set SLIPWAY_DATABASE__URL"
        ) from None
    return ServerUser(uid=nobody.pw_uid, gid=nobody.pw_gid, bypass_permissions=bypass_permissions)


def open_to_others(*paths: Path) -> bool:
    """Whether every folder on the way to these paths lets any user pass."""
    folders = {folder for path in paths for folder in path.resolve().parents}
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in folders)
