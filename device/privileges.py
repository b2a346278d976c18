"""Drops root privileges for good, after a process has read the files that only root may read."""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING

from device.errors import DeviceError, system_text

if TYPE_CHECKING:
    from collections.abc import Sequence

SERVICE_USER = "livekit-device"  # systemd/livekit-device.sysusers
USERS = (SERVICE_USER, "nobody")


class PrivilegesError(DeviceError):
    """Root privileges could not be dropped."""


def give_up_root(users: Sequence[str] = USERS) -> str:
    """Become the first of the users that exists, if this is root; return its name, empty if this was not root.

    Raises PrivilegesError; the process must then end.
    """
    if os.geteuid() != 0:
        return ""
    entry = next((found for name in users if (found := _entry(name)) is not None), None)
    if entry is None or entry.pw_uid == 0:
        raise PrivilegesError(f"this runs as root, and there is no user {' or '.join(users)} to switch to; add one")
    try:
        os.setgroups([])
        os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
        os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
    except OSError as error:
        why = f"cannot switch to {entry.pw_name}: {system_text(error)}"
        raise PrivilegesError(f"{why}; run it as another user than root") from None
    os.environ |= {"HOME": entry.pw_dir, "USER": entry.pw_name, "LOGNAME": entry.pw_name}
    return entry.pw_name


def _entry(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None
