"""The import of the boot file, killed by SIGKILL before each of its calls on files: the old state or the new one."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.install.box import ETC, LIVE, UNIT, Box
from tests.install.card import FIRMWARE, IMPORT, LOG, NAME, Card, boot_file
from tests.install.picture import seen
from tests.install.recipes import CHECKOUT
from tests.support.killed import CALLS

if TYPE_CHECKING:
    from tests.install.conftest import Record
    from tests.support.livekit_server import Server

KILL = "/opt/kill"
SHIM = CHECKOUT / "tests/install/shims/sitecustomize.py"
# Five starts within ten seconds are the most that systemd allows by default.
DROP_IN = f"[Unit]\nStartLimitIntervalSec=0\n[Service]\nEnvironment=PYTHONPATH={KILL}\nReadWritePaths={KILL}\n"
MOST_STEPS = 300
KILLED = "9"
# Prints, after the import that is killed and after the one of the next start, how it ended, and what there is then.
ROUND = f"""
state() {{ (cd {ETC} && find . -type f -exec sha256sum {{}} + | sort | sha256sum | cut -c -12); }}
ended() {{ systemctl show --value --property=ExecMainStatus {IMPORT}; }}
look() {{ echo "$1 $(state) $(ls -A {FIRMWARE} | tr '\\n' ' ')"; }}
find {ETC} -mindepth 1 -delete && cp -a /root/old/. {ETC}
mount -o remount,rw {FIRMWARE} && rm -f {FIRMWARE}/* && cp /root/{NAME} {FIRMWARE} && mount -o remount,ro {FIRMWARE}
echo "$1" >{KILL}/order
systemctl start {IMPORT} 2>/dev/null; look "$(ended)"
rm -f {KILL}/order
systemctl start {IMPORT} 2>/dev/null; look $?
cat {KILL}/called 2>/dev/null && rm {KILL}/called; true
"""


@pytest.mark.timeout(300)
def test_an_import_that_is_killed_at_any_step_leaves_the_old_state_or_the_new_one_and_is_finished_at_the_next_start(
    installed: Box, livekit_server: Server, room: str, record: Record
) -> None:
    box = installed
    Card(box)
    box.configure(livekit_server, room)
    shim = SHIM.read_text().replace("CALLS_OF_THE_TEST", " ".join(CALLS))
    box.machine.install(
        {
            f"{KILL}/sitecustomize.py": shim,
            f"/root/{NAME}": boot_file(livekit_server, room, identity="imported"),
            f"/run/systemd/system/{IMPORT}.d/kill.conf": DROP_IN,
            "/root/round": ROUND,
        }
    )
    box.type(f"systemctl daemon-reload && systemctl stop {UNIT} && cp -a {ETC} /root/old")
    old, new = _states(box)
    killed_before: list[str] = []
    after: Counter[str] = Counter()
    wrong: list[str] = []
    for step in range(1, MOST_STEPS):
        first, second, *called = box.type(f"sh /root/round {step}").splitlines()
        code, state, _ = first.split(" ", 2)
        if not called:
            break
        killed_before += called
        after["old" if state == old else "new" if state == new else "neither"] += 1
        if code != KILLED or state not in (old, new) or second.split() != ["0", new, LOG]:
            wrong.append(f"step {step}, {called[0]}: {first}; {second}")
    record(
        "the import killed before each of its calls on files in turn: calls; /etc after it, and after the next start",
        f"{len(killed_before)} ({', '.join(sorted(set(killed_before)))}); {dict(after)}; {wrong[:3] or 'the new one'}",
        must="more than 20; the old one or the new one; the new one, and nothing but the log on the partition",
        ok=len(killed_before) > 20 and not wrong and set(after) == {"old", "new"} and not called,
    )
    sight = seen(livekit_server, room, lambda: box.type(f"systemctl restart {UNIT}"))
    box.until_status(LIVE)
    record(
        "after all that: the picture, by the imported configuration",
        f"{sight}, {sight.identity}",
        must="picture and sound, imported",
        ok=sight.sound and sight.identity == "imported",
    )


def _states(box: Box) -> tuple[str, str]:
    """Return what is in /etc before an import, and after one that is left alone."""
    first, _second, *called = box.type("sh /root/round 0").splitlines()
    code, new, _ = first.split(" ", 2)
    assert (code, called) == ("0", []), f"{first}\n{box.type(f'journalctl --no-pager --unit={IMPORT}')}"
    old = box.type("cd /root/old && find . -type f -exec sha256sum {} + | sort | sha256sum | cut -c -12").strip()
    assert old != new
    return old, new
