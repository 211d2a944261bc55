"""The user that PostgreSQL runs as when this process is root: PostgreSQL refuses to run as root."""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from service.dev.errors import LocalServerError


@dataclass(frozen=True, kw_only=True)
class ServerUser:
    """An unprivileged user to run a server as.

    bypass_permissions: the user cannot enter a parent folder of the program or the data.
    """

    uid: int
    gid: int
    bypass_permissions: bool = False

    def chown(self, path: Path) -> None:
        """Make this user the owner of a file or folder. Raises LocalServerError if that is not permitted."""
        try:
            os.chown(path, self.uid, self.gid)
        except PermissionError:
            raise LocalServerError(
                "PostgreSQL does not run as root, and root may not change the owner of files here: "
                "run the command as an ordinary user, or set SLIPWAY_DATABASE__URL"
            ) from None


def unprivileged_user(data: Path, program: Path) -> ServerUser | None:
    """Return None unless this process is root; then the owner of `data`, or `nobody` if there is no data yet.

    Running as the owner keeps data usable that an ordinary user has created. Raises LocalServerError if there is no
    user `nobody`.
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
    """Whether any user may enter all parent folders of these paths."""
    folders = {folder for path in paths for folder in path.resolve().parents}
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in folders)
