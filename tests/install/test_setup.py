"""`livekit-device setup` on a fresh machine, typed into a real terminal: a picture, and an old state that survives."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.install.box import COMMAND, ETC, LIVE, UNIT, Box
from tests.install.picture import changed, seen
from tests.lab.machine import PATH
from tests.support.conversation import CTRL_C, Conversation, conversation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.install.conftest import Record
    from tests.support.livekit_server import Server

WRITTEN = (
    f"{ETC} 755 root root",
    f"{ETC}/credentials 700 root root",
    f"{ETC}/credentials/api_key 600 root root",
    f"{ETC}/credentials/api_secret 600 root root",
    f"{ETC}/device.toml 644 root root",
)
# Ctrl-C reaches all that are on the terminal: the way into the machine must not end by it, nor the shell in there.
_ENTRANCE = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")
_SHELL = ("env", "--default-signal=INT", "sh", "-c", 'trap : INT; "$@"; echo "exit code $?"', "sh")
Step = tuple[str, str]  # what is shown, and what is typed then


@contextmanager
def setup(box: Box, *options: str) -> Iterator[Conversation]:
    """Type the command into a shell of root's, on a terminal as a serial line has it."""
    variables = {"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/root", "TERM": "vt220"}
    command = box.machine.command((*_SHELL, COMMAND, "setup", *options))
    with conversation(*_ENTRANCE, *command, variables=variables) as talk:
        yield talk


def answers(server: Server, room: str) -> list[Step]:
    return [
        ("Server", server.url),
        ("Where does it come from?", "API key"),
        ("Room", room),
        ("API key", server.api_key),
        ("API secret (not shown)", server.api_secret),
        ("Name that viewers see", "Front door"),
        ("Identity, unique in the room", ""),
        ("Which camera?", "a moving test picture"),
        ("Which microphone?", "a quiet test tone"),
    ]


def give(talk: Conversation, question: str, answer: str) -> None:
    """Wait for a question; type the answer, or the number of the choice with these words."""
    if question.endswith("(not shown)"):
        talk.answer_unseen(f"{question}: ", answer)
        return
    if not question.endswith("?"):
        talk.expect(question)
        talk.expect(": ")
        talk.send(f"{answer}\n")
        return
    talk.expect(question, within_s=90)
    talk.expect("Number [1]: ")
    shown = talk.text[talk.text.rindex(question) :]
    talk.send(f"{next(line.split(')')[0].strip() for line in shown.splitlines() if answer in line)}\n")


def exit_code(shown: str) -> int:
    return int(shown.rsplit(maxsplit=1)[-1])


def test_setup_in_a_terminal_ends_with_a_picture_and_a_second_run_offers_what_is_there(
    installed: Box, livekit_server: Server, room: str, record: Record
) -> None:
    box, secret, shown = installed, livekit_server.api_secret, ""

    def type_all() -> None:
        nonlocal shown
        with setup(box) as talk:
            for question, answer in answers(livekit_server, room):
                give(talk, question, answer)
            talk.expect("live: everything is published", within_s=60)
            talk.expect("exit code ")
            talk.end()
            shown = talk.text

    sight = seen(livekit_server, room, type_all)
    modes = tuple(line for line in box.fingerprint(ETC).splitlines() if line.startswith("/"))
    record(
        "setup, from its start to the picture, each answer typed at once; exit code; the status line; the secret",
        f"{sight}; {exit_code(shown)}; {box.status()}; {'not shown' if secret not in shown else 'SHOWN'}",
        must="picture and sound; 0; live; not shown",
        ok=sight.sound and exit_code(shown) == 0 and box.status() == LIVE and secret not in shown,
    )
    record(
        "setup: what it has written, with modes and owners",
        ", ".join(modes),
        must="configuration readable by all, secrets by root alone, nothing else",
        ok=modes == WRITTEN,
    )
    before, began = box.fingerprint(ETC), time.monotonic()
    with setup(box) as talk:
        talk.answer(f"Server [{livekit_server.url}]: ")
        talk.answer("Number [1]: ")
        talk.answer(f"Room [{room}]: ")
        talk.answer("API key [Enter keeps key and secret]: ")
        talk.answer("Name that viewers see (may be empty) [Front door]: ")
        talk.answer("Identity, unique in the room [Enter: ")
        talk.answer("Number [1]: ")
        talk.answer("Number [1]: ")
        talk.expect("live: everything is published", within_s=60)
        talk.expect("exit code ")
        talk.end()
    record(
        "setup once more, Enter throughout: time; what is written; exit code",
        f"{time.monotonic() - began:.0f} s; {'the same' if box.fingerprint(ETC) == before else 'changed'}; "
        f"{exit_code(talk.text)}",
        must="the same; 0",
        ok=box.fingerprint(ETC) == before and exit_code(talk.text) == 0,
    )


def test_ctrl_c_at_any_moment_leaves_the_old_state_at_work(
    installed: Box, livekit_server: Server, room: str, record: Record
) -> None:
    box = installed
    box.configure(livekit_server, room)
    box.type(f"systemctl restart {UNIT}")
    before = box.fingerprint(ETC), box.unit("MainPID")
    ends: dict[str, str] = {}
    steps = answers(livekit_server, f"{room}-new")
    key = ("--api-key", livekit_server.api_key, "--api-secret-file", f"{ETC}/credentials/api_secret")
    given = ("--url", livekit_server.url, "--room", f"{room}-new", *key, "--name", "x", "--identity", "y")

    def at(moment: str, reach: Callable[[Conversation], None], *options: str) -> None:
        with setup(box, *options) as talk:
            reach(talk)
            talk.send(CTRL_C)
            talk.expect("exit code ")
            talk.end()
        said = "said so" if "Nothing was changed." in talk.text else "said nothing"
        old = "old" if (box.fingerprint(ETC), box.unit("MainPID")) == before else "CHANGED"
        ends[moment] = f"{exit_code(talk.text)} {said} {old}"

    def asked(number: int) -> Callable[[Conversation], None]:
        """Answer all up to a question, whose answer is not given."""

        def reach(talk: Conversation) -> None:
            for question, answer in steps[:number]:
                give(talk, question, answer)
            talk.expect(steps[number][0])

        return reach

    def answered(step: Step) -> Callable[[Conversation], None]:
        return lambda talk: give(talk, *step)

    def end_at_each_moment() -> None:
        at("server asked", asked(0))
        at("secret asked", asked(4))
        at("camera asked", lambda talk: talk.expect("Which camera?", within_s=90), *given)
        at("camera tried", answered(steps[7]), *given)
        at("microphone tried", answered(steps[8]), *given, "--camera", "off")

    (change,) = changed(livekit_server, room, end_at_each_moment)
    record(
        "Ctrl-C in setup, at a question and during a try: exit code, what is said, configuration and service",
        "; ".join(f"{moment}: {end}" for moment, end in ends.items()),
        must="130, `Nothing was changed.`, the old ones",
        ok=set(ends.values()) == {"130 said so old"} and len(ends) == 5,
    )
    record(
        "Ctrl-C in setup, five times: the picture meanwhile",
        f"at most {change.gap_s:.1f} s without one",
        must="below 1 s",
        ok=change.gap_s < 1,
    )
