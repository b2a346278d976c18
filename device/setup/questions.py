"""The questions: each answer is tested at once, can be corrected, and may be kept although its test failed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from device.config.room_url import websocket_url
from device.errors import ConfigError, DeviceError
from device.identity import derived_identity
from device.setup import listing
from device.setup.answers import Answers, ReadyToken, Source
from device.setup.draft import Loaded, draft, new_state
from device.setup.token_questions import ask_token

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from device.setup.options import Given
    from device.setup.present import Present
    from device.setup.terminal import Terminal
    from device.setup.tries import Tries


class AnswerRefusedError(DeviceError):
    """An answer from the options failed its test, and there is no terminal to ask for another."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}: see above; nothing was changed. --no-check writes the answers without a test")


class Questions:
    """Collects answers; an option replaces its question unless its test fails."""

    def __init__(
        self,
        *,
        terminal: Terminal | None,
        tries: Tries,
        given: Given,
        present: Present,
        folder: Path,
        target: Path,
    ) -> None:
        """Without a terminal nothing is asked: values without an option stay unchanged."""
        self._terminal = terminal
        self._tries = tries
        self._given = given
        self._present = present
        self._folder = folder
        self._target = target
        self.unproven: list[str] = []  # answers that were kept although their test failed

    def ask(self) -> Answers:
        """Return all answers. Raises DeviceError if an answer is refused and there is no terminal to correct it."""
        answers = Answers(url=self._url())
        answers = self._token(answers)
        answers = self._names(answers)
        devices = listing.ask_devices() if self._asks_about_devices() else {}
        answers = replace(answers, camera=self._camera(answers, devices))
        answers = replace(answers, microphone=self._microphone(answers, devices.get("microphones")))
        return replace(answers, speaker=self._speaker(answers, devices.get("speakers")))

    def _url(self) -> str | None:
        url, asks = self._given.url, self._given.url is None
        while True:
            if asks and self._terminal:
                shown = url or ", ".join(self._present.urls)
                self._terminal.say("The URL of the LiveKit server: wss://HOST or ws://HOST")
                typed = self._terminal.ask("Server", default=url or "", shown=shown, check=self._url_problem)
                url = typed or None
            if url is None:
                answering = [each for each in self._present.urls if self._tries.server(each)]
                if answering or self._keeps("server"):
                    return None
            elif problem := self._url_problem(url):
                self._refuse(f"--url {problem}")
            else:
                url = websocket_url(url)
                if self._tries.server(url) or self._keeps("server"):
                    return url
            asks = True

    def _url_problem(self, url: str) -> str:
        if not url and self._present.urls:
            return ""
        try:
            websocket_url(url)
        except ValueError as error:
            return str(error)
        return ""

    def _token(self, answers: Answers) -> Answers:
        origin, room, asks = self._given.origin, self._given.room, self._given.origin is None
        while True:
            if asks and self._terminal:
                origin, room = ask_token(self._terminal, self._present, origin, room)
            identity = self._given.identity
            if isinstance(origin, ReadyToken):  # it contains room and identity
                room, identity = room or "", identity or ""
            tried = replace(answers, origin=origin, room=room, identity=identity)
            try:
                if self._tries.token(self.draft(tried)) or self._keeps("token"):
                    return tried
            except ConfigError as error:
                self._show_problems("credentials", error)
            asks = True

    def _names(self, answers: Answers) -> Answers:
        name, identity = self._given.name, answers.identity
        token_names_it = isinstance(answers.origin, ReadyToken) or (
            answers.origin is None and self._present.origin == "token"
        )
        asks_name, asks_identity = name is None, identity is None and not token_names_it
        while True:
            if self._terminal and asks_name:
                before = name or self._present.text_of("room", "display_name")
                name = self._terminal.ask("Name that viewers see (may be empty)", default=before)
            if self._terminal and asks_identity:
                before = identity or self._present.text_of("room", "identity")
                own = f"Enter: {before or derived_identity()}"
                identity = self._terminal.ask("Identity, unique in the room", default=before, shown=own)
            named = replace(answers, display_name=name, identity=identity)
            try:
                self.draft(named)
            except ConfigError as error:
                self._show_problems("name", error)
            else:
                return named
            asks_name, asks_identity = True, not token_names_it

    def _asks_about_devices(self) -> bool:
        return self._terminal is not None and (self._given.camera is None or self._given.microphone is None)

    def _camera(self, answers: Answers, devices: dict[str, object]) -> Source | None:
        def holds(chosen: Source | None) -> bool:
            draft = self.draft(replace(answers, camera=chosen))
            return self._tries.camera(draft.config, self._present.effective("camera"))

        choices = listing.cameras(devices.get("cameras"), devices.get("v4l2_cameras"), self._present.source("camera"))
        return self._device("camera", self._given.camera, choices, holds)

    def _microphone(self, answers: Answers, found: object) -> Source | None:
        def holds(chosen: Source | None) -> bool:
            draft = self.draft(replace(answers, microphone=chosen))
            return self._tries.microphone(draft.config, self._present.effective("microphone"))

        return self._device(
            "microphone", self._given.microphone, listing.microphones(found, self._present.source("microphone")), holds
        )

    def _speaker(self, answers: Answers, found: object) -> Source | None:
        """Ask only if there is a speaker: most devices have none, or need none."""
        configured = self._present.source("speaker")
        choices = listing.speakers(found, configured)
        if self._given.speaker is None and not (self._terminal and choices):
            return None

        def holds(chosen: Source | None) -> bool:
            draft = self.draft(replace(answers, speaker=chosen))
            return self._tries.speaker(draft.config)

        chosen = self._device("speaker", self._given.speaker, choices, holds)
        return None if chosen == Source(source="off") and configured is None else chosen

    def _device(
        self, name: str, given: Source | None, choices: list[listing.Choice], holds: Callable[[Source | None], bool]
    ) -> Source | None:
        chosen, asks = given, given is None
        while True:
            if asks and self._terminal:
                chosen = choices[self._terminal.choose(f"Which {name}?", [each.label for each in choices])].source
            try:
                if holds(chosen) or self._keeps(name):
                    return chosen
            except ConfigError as error:  # such as both off: nothing to publish
                self._show_problems(name, error)
            asks = True

    def draft(self, answers: Answers) -> Loaded:
        return draft(self._folder, self._target, new_state(self._present, answers))

    def _keeps(self, what: str) -> bool:
        """Ask whether an answer stays although its test failed. Raises AnswerRefusedError without a terminal."""
        if self._terminal is None:
            raise AnswerRefusedError(what)
        if self._terminal.confirm("Keep this answer anyway, because it will work later?"):
            self.unproven.append(what)
            return True
        return False

    def _show_problems(self, row: str, error: ConfigError) -> None:
        """Show why the loader refuses an answer, which cannot be kept then. Without a terminal, raise the error."""
        if self._terminal is None:
            raise error
        for problem in error.problems:
            self._tries.report.bad(row, str(problem))

    def _refuse(self, text: str) -> None:
        if self._terminal is None:
            raise DeviceError(text)
        self._terminal.say(f"  {text}")
