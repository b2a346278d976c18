"""The shipped unit in the machine: configure and start it, and follow its journal."""

import asyncio
import json
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from tests.lab import stand_ins
from tests.lab.machine import Machine, processes_of
from tests.lab.root import VENV
from tests.support.livekit_server import Server

UNIT = "livekit-device.service"
COMMAND = "/opt/livekit-device/bin/livekit-device"
CONFIG = "/etc/livekit-device/device.toml"
CREDENTIALS = "/etc/livekit-device/credentials"
STATE = "/run/livekit-device/state.json"
STATE_DIRECTORY = "/var/lib/livekit-device"
DROP_IN = f"/etc/systemd/system/{UNIT}.d/test.conf"
MICROPHONE = {"device": "labmic", "processing": False}  # automatic gain modulates a sine
IDENTITY = "device"

Line = dict[str, Any]
Table = Mapping[str, object] | None


class Journal:
    """The unit's journal entries from its creation on: our own lines as objects, others as text."""

    def __init__(self, machine: Machine, unit: str = UNIT) -> None:
        # nsenter does not forward signals: the end of its standard input ends the follower.
        script = 'journalctl --follow --no-tail --output=json --all "$@" & cat >/dev/null; kill $!'
        self.lines: list[Line] = []
        self._news = threading.Condition()
        self._process = subprocess.Popen(
            machine.command(("sh", "-c", script, "follow", f"--unit={unit}", f"--since=@{time.time():.6f}")),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, name="journal", daemon=True)
        self._reader.start()

    def until(self, holds: Callable[[Line], object], *, within_s: float = 20.0, since: int = 0) -> Line:
        """Return the first line from number `since` on that `holds` accepts, waiting for it."""
        give_up_at = time.monotonic() + within_s
        with self._news:
            while True:
                for line in self.lines[since:]:
                    if holds(line):
                        return line
                since = max(since, len(self.lines))
                left_s = give_up_at - time.monotonic()
                if left_s <= 0 or not self._news.wait(left_s):
                    tail = "\n".join(str(line["text"])[:400] for line in self.lines[-25:])
                    raise AssertionError(f"no such line within {within_s} s:\n{tail}")

    def event(self, name: str, *, within_s: float = 20.0, since: int = 0, **fields: object) -> Line:
        """Return the first line of ours with this event and these fields; a text matches if the line's contains it."""

        def holds(line: Line) -> bool:
            return line.get("event") == name and all(
                str(wanted) in str(line.get(key)) if isinstance(wanted, str) else line.get(key) == wanted
                for key, wanted in fields.items()
            )

        return self.until(holds, within_s=within_s, since=since)

    async def soon(self, name: str, *, within_s: float = 20.0, since: int = 0, **fields: object) -> Line:
        """Like `event`, for tests that watch the room at the same time."""
        return await asyncio.to_thread(self.event, name, within_s=within_s, since=since, **fields)

    def mark(self) -> int:
        """Return the number of the next line, for `since`."""
        return len(self.lines)

    def of(self, name: str, *, since: int = 0, **fields: object) -> list[Line]:
        """Return the lines of ours so far with this event and these fields."""
        return [line for line in self.lines[since:] if line.get("event") == name and fields.items() <= line.items()]

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(10)
        self._reader.join(10)
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout
        for text in self._process.stdout:
            entry = json.loads(text)
            message = entry.get("MESSAGE") or ""
            line: Line = {}
            with suppress(ValueError):
                found = json.loads(message)
                line = found if isinstance(found, dict) else {}
            line |= {"text": message, "priority": int(entry.get("PRIORITY", 6)), "identifier": _identifier(entry)}
            line["at_s"] = int(entry["__REALTIME_TIMESTAMP"]) / 1e6
            with self._news:
                self.lines.append(line)
                self._news.notify_all()


def _identifier(entry: Mapping[str, Any]) -> str:
    return str(entry.get("SYSLOG_IDENTIFIER", ""))


class Service:
    """The shipped unit; tests add a configuration, credentials, and possibly a drop-in."""

    def __init__(self, machine: Machine, server: Server) -> None:
        self.machine, self.server = machine, server
        self.room = f"lab-{uuid.uuid4().hex[:8]}"

    def configure(
        self, *, camera: Table = None, microphone: Table = MICROPHONE, room: Table = None, **more: Mapping[str, object]
    ) -> None:
        """Write the configuration, with defaults for keys that are not given; None turns a source off."""
        tables: dict[str, Mapping[str, object]] = {
            "room": {"url": self.server.url, "name": self.room, "identity": IDENTITY, **(room or {})},
            "camera": {"source": "off"} if camera is None else camera,
            "microphone": {"source": "off"} if microphone is None else microphone,
            "log": {"level": "debug"},
            **more,
        }
        self.machine.install({CONFIG: "".join(_toml(name, table) for name, table in tables.items())})

    def give_credentials(self) -> None:
        files = {"api_key": self.server.api_key, "api_secret": self.server.api_secret}
        self.machine.install({f"{CREDENTIALS}/{name}": text for name, text in files.items()}, mode=0o600)

    def drop_in(self, *lines: str) -> None:
        self.machine.install({DROP_IN: "\n".join(("[Service]", *lines, ""))})
        self.machine.systemctl("daemon-reload")

    @contextmanager
    def running(self, **tables: Any) -> Iterator[Journal]:
        """Run the unit with this configuration, with its journal from before its start."""
        self.configure(**tables)
        self.give_credentials()
        with self.following() as journal:
            self.machine.systemctl("start", UNIT)
            yield journal

    @contextmanager
    def following(self) -> Iterator[Journal]:
        """Follow the journal; at the end the unit is stopped."""
        journal = Journal(self.machine)
        try:
            yield journal
        finally:
            self.machine.systemctl("stop", UNIT, check=False)
            journal.close()

    def tidy(self) -> None:
        """Undo all changes of a test."""
        self.machine.systemctl("stop", UNIT, check=False)
        self.machine.systemctl("reset-failed", UNIT, check=False)
        self.switch_camera("")
        self.switch_encoder("")
        kept = " ".join(f"{STATE_DIRECTORY}/{name}" for name in ("privacy.json", "overrides.toml"))
        self.machine.run(("sh", "-c", f"rm -rf {CREDENTIALS}/* {CONFIG} {DROP_IN} {kept}"))
        self.machine.systemctl("daemon-reload")

    def switch_camera(self, word: str, *whom: int) -> None:
        """Break the camera, for one process or for all, or repair it with an empty word; see `stand_ins`."""
        self._switch(stand_ins.CAMERA_SWITCH, " ".join(map(str, (word, *whom))))

    def switch_encoder(self, word: str) -> None:
        self._switch(stand_ins.ENCODER_SWITCH, word)

    def tell_daemon(self, word: str) -> None:
        """Cause a fault inside a daemon whose unit has the line `stand_ins.LISTENING`."""
        self._switch(stand_ins.DAEMON_SWITCH, f"{word} {self.main_pid()} {time.monotonic_ns()}")

    def plug_node(self, path: str) -> None:
        """Create a device node, as the kernel does for a connected device; it has no driver."""
        self.machine.run(("sh", "-c", 'mkdir -p "$(dirname "$0")" && mknod -m 660 "$0" c 81 250', path))

    def unplug_node(self, path: str) -> None:
        self.machine.run(("rm", "-f", path))

    @contextmanager
    def held_by_another(self, program: str) -> Iterator[Callable[[], object]]:
        """Let a Python program open a device; it prints `held` when it has it. Yields a function that ends it."""
        unit = "lab-holder.service"

        def let_go() -> None:
            self.machine.systemctl("stop", unit, check=False)

        run = ("systemd-run", "--quiet", f"--unit={unit}", f"--setenv=LD_PRELOAD={stand_ins.PRELOAD}")
        self.machine.run((*run, f"{VENV}/bin/python", "-c", program))
        try:
            self.machine.wait_for(
                lambda: "held" in str(self.machine.journal(unit)), timeout_s=10, what="the other program"
            )
            yield let_go
        finally:
            let_go()

    def main_pid(self) -> int:
        return int(self.machine.show(UNIT, "MainPID"))

    def worker(self, name: str) -> int:
        """Return the process id of a worker; 0 if there is none."""
        for pid in processes_of(self.machine, UNIT):
            command = self.machine.run(("cat", f"/proc/{pid}/cmdline"), check=False).stdout
            if f"device.workers.{name}" in command:
                return pid
        return 0

    def kill(self, pid: int, signal: str) -> None:
        self.machine.run(("kill", f"-{signal}", str(pid)))

    def status(self) -> str:
        return self.machine.show(UNIT, "StatusText")

    def _switch(self, path: str, word: str) -> None:
        self.machine.run(("sh", "-c", 'echo "$1" >"$0"', path, word))


def _toml(name: str, table: Mapping[str, object]) -> str:
    inner = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    lines = [f"{key} = {json.dumps(value)}\n" for key, value in table.items() if key not in inner]
    return f"[{name}]\n{''.join(lines)}" + "".join(_toml(f"{name}.{key}", each) for key, each in inner.items())
