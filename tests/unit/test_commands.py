"""Commands of the configuration: what is allowed there, who may choose what, and what the command line says."""

from __future__ import annotations

import asyncio
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from device import cli
from device.check.programs import missing_programs
from device.config import commands as command_tables
from device.config import loading
from device.config.command_words import filled, placeholders
from device.config.diff import ChangeClass, diff
from device.config.effective import Command
from device.config.schema_keys import class_of
from device.control import limits, run_command
from device.control.caller import Caller, CallerKind
from device.control.configured_commands import ConfiguredCommands
from device.control.operations import RunCommand
from device.errors import CallError, ConfigError
from device.reload.decision import decide
from tests.support.configs import config_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from device.config.effective import Config

CALLER = Caller(kind=CallerKind.LOCAL, name="test")
ROOM = '[room]\nurl = "wss://room.example"\n'
LAMP = '[commands.lamp]\nrun = ["/bin/echo", "-n", "17={level}", "{level}"]\narguments = { level = ["0", "1"] }\n'


def load(folder: Path, text: str) -> Config:
    path = folder / "device.toml"
    path.write_text(ROOM + text)
    return loading.load(path)


def commands_of(text: str) -> dict[str, Command]:
    return config_of({"room": {"url": "wss://room.example"}, **tomllib.loads(text)}).commands


def performed(name: str, values: Mapping[str, Any], commands: Mapping[str, Command]) -> Any:
    call = RunCommand(name=name, arguments=dict(values))
    return asyncio.run(ConfiguredCommands(lambda: commands).run(call, CALLER))


def test_a_command_is_a_program_with_the_values_that_a_caller_chose() -> None:
    commands = commands_of(LAMP)
    assert commands["lamp"] == Command(
        run=("/bin/echo", "-n", "17={level}", "{level}"), timeout_s=10.0, arguments={"level": ["0", "1"]}
    )
    done = performed("lamp", {"level": "1"}, commands)
    assert (done.name, done.exit_code, done.output, done.timed_out, done.discarded_bytes) == (
        *("lamp", 0, "17=1 1"),
        *(False, 0),
    )
    assert done.output not in str(done)  # which is the audit record


def test_a_value_stays_within_its_word() -> None:
    words = ("/x", "{a}{b}", "{ a }", "{}", "{print $1}", "{A}")
    assert list(placeholders(words)) == ["a", "b"]
    assert filled(words, {"a": "1 2; $(ls) {b}", "b": "*"}) == ["/x", "1 2; $(ls) {b}*", *words[2:]]


@pytest.mark.parametrize(
    ("table", "place", "text"),
    (
        ("run = []", "lamp.run", "must be a list of texts"),
        ('run = "/bin/true"', "lamp.run", "is not JSON; it must look like"),
        ('run = ["/bin/true", 1]', "lamp.run", "must be a list of texts"),
        ('run = ["/bin/true", "a\\u0000b"]', "lamp.run", "must be a list of texts"),
        ('run = ["true"]', "lamp", "run must begin with the absolute path of a program"),
        ('run = ["/bin/{x}"]\narguments = {x = ["a"]}', "lamp", "without placeholders"),
        ('run = ["/bin/true", "{x}"]', "lamp", "run has the placeholder {x}, which arguments does not name"),
        ('run = ["/bin/true"]\narguments = {x = ["a"]}', "lamp", "arguments.x is not used; put {x} into run"),
        ('run = ["/bin/true", "{x}"]\narguments = {x = []}', "lamp.arguments", 'such as x = ["on", "off"]'),
        ('run = ["/bin/true", "{x}"]\narguments = {x = [1]}', "lamp.arguments", "x must be a list of the texts"),
        ('run = ["/bin/true", "{x}"]\narguments = {x = ["a\\nb"]}', "lamp.arguments", "x must be a list of the texts"),
        ('run = ["/bin/true"]\narguments = {X = ["a"]}', "lamp.arguments", "a name that is not allowed"),
        ('run = ["/bin/true"]\ntimeout_s = 0', "lamp.timeout_s", "too small; allowed: 0.1 or more"),
        ('run = ["/bin/true"]\ntimeout_s = 26', "lamp.timeout_s", "too large; allowed: 25"),
        ('run = ["/bin/true"]\nshell = true', "lamp.shell", "there is no such key"),
        ("timeout_s = 1", "lamp.run", "is required"),
    ),
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, table: str, place: str, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, f"[commands.lamp]\n{table}\n")
    assert [each.place for each in caught.value.problems] == [f"{tmp_path / 'device.toml'}: commands.{place}"]
    assert text in caught.value.problems[0].message


def test_a_name_is_short_and_plain(tmp_path: Path) -> None:
    for name in ('"Lamp"', '"a b"', '""', f"{'x' * 33}"):
        with pytest.raises(ConfigError, match="is not a name for a command"):
            load(tmp_path, f'[commands.{name}]\nrun = ["/bin/true"]\n')


def test_the_environment_can_set_them_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVICE_COMMANDS__LAMP__RUN", '["/bin/true", "{x}"]')
    monkeypatch.setenv("DEVICE_COMMANDS__LAMP__ARGUMENTS", '{"x": ["a"]}')
    assert load(tmp_path, "").commands == {
        "lamp": Command(run=("/bin/true", "{x}"), timeout_s=10.0, arguments={"x": ["a"]})
    }


def test_a_change_is_live_and_restarts_nothing(tmp_path: Path) -> None:
    for key in ("commands.lamp.run", "commands.lamp.timeout_s", "commands.lamp.arguments.level"):
        assert class_of(key) is ChangeClass.LIVE
    with_lamp = load(tmp_path, LAMP)
    without, other = load(tmp_path, ""), load(tmp_path, LAMP.replace("level", "state"))
    for old, new, changed in (
        (without, with_lamp, ["commands.lamp"]),
        (with_lamp, without, ["commands.lamp"]),
        (with_lamp, other, ["commands.lamp.arguments", "commands.lamp.run"]),
    ):
        changes = diff(old, new)
        assert [(each.key, each.needs) for each in changes] == [(key, ChangeClass.LIVE) for key in changed]
        decision = decide(changes, (), ())
        assert (decision.restart, decision.rejoin, decision.end_process) == (frozenset(), False, False)


@pytest.mark.parametrize(
    ("name", "values", "text"),
    (
        ("light\n", {}, r'there is no command "light\?"; there are: fan, lamp'),
        ("lamp", {}, "lamp needs the argument level; allowed: 0, 1"),
        ("lamp", {"level": "2\x1b"}, r'level of lamp cannot be "2\?"; allowed: 0, 1'),
        ("lamp", {"level": 1}, 'level of lamp cannot be "1"; allowed: 0, 1'),
        ("lamp", {"level": "1", "x": "1"}, 'lamp has no argument "x"; it takes: level'),
        ("fan", {"x": "1"}, 'fan has no argument "x"; it takes none'),
    ),
)
def test_only_what_is_configured_is_run(name: str, values: dict[str, Any], text: str) -> None:
    commands = commands_of(LAMP + '[commands.fan]\nrun = ["/bin/true"]\n')
    with pytest.raises(CallError, match=text):
        performed(name, values, commands)


def test_hooks_are_checked_against_the_commands(tmp_path: Path) -> None:
    for line, text in (
        ("lamp level=1", ""),
        ("'lamp'  level='1'", ""),
        ("lamp", "hooks.watched: lamp needs the argument level; allowed: 0, 1"),
        ("lamp level=2", 'hooks.watched: level of lamp cannot be "2"; allowed: 0, 1'),
        ("lamp level=1 x=1", 'hooks.watched: lamp has no argument "x"; it takes: level'),
        ("light", 'hooks.watched: there is no command "light"; there are: lamp'),
        ("lamp on", '"on" is not ARGUMENT=VALUE, such as state=on'),
        ("lamp level=1 level=1", "level is given twice"),
        ("lamp level='1", "must be the name of a command and its arguments, such as lamp level=1"),
        (" ", "must be the name of a command and its arguments, such as lamp level=1"),
    ):
        for hook in ("watched", "unwatched"):
            given = f'[camera]\nwhen_unwatched = "pause"\n[hooks]\n{hook} = "{line}"\n{LAMP}'
            if not text:
                assert getattr(load(tmp_path, given).hooks, hook) == line
                continue
            with pytest.raises(ConfigError) as caught:
                load(tmp_path, given)
            [problem] = caught.value.problems
            assert problem.message == text.replace("watched", hook)
            place = f"{tmp_path / 'device.toml'}"
            assert problem.place == (place if text.startswith("hooks") else f"{place}: hooks.{hook}")


def test_hooks_are_refused_if_it_is_not_known_who_watches(tmp_path: Path) -> None:
    other = '[cameras.garden]\nsource = "pattern"\n'
    for cameras, refused in (
        ("", True),
        (other, True),
        (f'{other}when_unwatched = "sleep"\n', False),
        (f'[camera]\nsource = "off"\nwhen_unwatched = "sleep"\n{other}', True),
    ):
        text = f'{cameras}[hooks]\nunwatched = "lamp level=1"\n{LAMP}'
        if refused:
            with pytest.raises(ConfigError, match=r"hooks\.unwatched is set, but no camera has when_unwatched"):
                load(tmp_path, text)
        else:
            assert load(tmp_path, text).hooks.unwatched == "lamp level=1"


def test_a_command_that_is_wrong_is_one_problem_also_if_a_hook_names_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, LAMP.replace("/bin/echo", "echo") + '[hooks]\nwatched = "lamp level=1"\n')
    assert [each.place for each in caught.value.problems] == [f"{tmp_path / 'device.toml'}: commands.lamp"]


def test_without_commands_that_is_said() -> None:
    with pytest.raises(CallError, match=r"the configuration has none: add a table \[commands.NAME\]"):
        performed("lamp", {}, {})


def test_one_at_a_time_of_each_and_four_in_all() -> None:
    tables = "".join(f'[commands.c{number}]\nrun = ["/bin/sleep", "30"]\n' for number in range(5))

    async def scenario() -> None:
        commands = commands_of(tables)
        running, calls = ConfiguredCommands(lambda: commands), [RunCommand(name=f"c{number}") for number in range(5)]
        first = [asyncio.create_task(running.run(each, CALLER)) for each in calls[:4]]
        await asyncio.sleep(0)
        with pytest.raises(CallError, match="c0 is already running; try again when it has ended"):
            await running.run(calls[0], CALLER)
        with pytest.raises(CallError, match="4 commands are running"):
            await running.run(calls[4], CALLER)
        for each in first:
            each.cancel()
        await asyncio.wait(first)
        commands["c0"] = Command(run=("/bin/true",), timeout_s=5, arguments={})
        assert (await running.run(calls[0], CALLER)).exit_code == 0

    asyncio.run(scenario())


def test_no_call_waits_longer_for_its_answer_than_the_longest_command() -> None:
    assert command_tables.LONGEST_S + 2 < limits.CALL_S


def test_check_warns_of_programs_that_are_not_there(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("")
    plain.chmod(0o600)
    tables = "".join(
        f'[commands.{name}]\nrun = ["{path}"]\n'
        for name, path in (("good", "/bin/sh"), ("gone", "/there/is/none"), ("plain", plain), ("folder", "/etc"))
    )
    assert [text.partition(".run: ")[0] for text in missing_programs(commands_of(tables))] == [
        "commands.gone",
        "commands.plain",
        "commands.folder",
    ]


def test_the_command_line_prints_output_and_remarks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer: dict[str, Any] = {"name": "lamp", "took_s": 0.1, "output": "a\tb\n\x1b[31m"}
    asked = []

    def ask(call: object) -> dict[str, Any]:
        asked.append(call)
        return answer

    monkeypatch.setattr(run_command, "ask", ask)
    for changed, code, said in (
        ({}, 0, ""),
        ({"exit_code": 4}, 1, "lamp: exit code 4\n"),
        ({"exit_code": -11}, 1, "lamp: ended by signal 11\n"),
        ({"exit_code": -9, "timed_out": True, "took_s": 10.02}, 1, "lamp: killed after 10.02 s, its timeout_s\n"),
        ({"discarded_bytes": 7}, 0, "lamp: 7 more bytes of output were discarded\n"),
    ):
        answer |= {"exit_code": 0, "timed_out": False, "discarded_bytes": 0} | changed
        assert cli.main(["run", "lamp", "level=a=b", "x="]) == code
        shown = capsys.readouterr()
        assert (shown.out, shown.err) == ("a       b\n?[31m\n", said)
    assert asked[0] == RunCommand(name="lamp", arguments={"level": "a=b", "x": ""})


@pytest.mark.parametrize("pairs", (("on",), ("=on",), ("a=1", "a=2")))
def test_arguments_on_the_command_line_are_pairs(pairs: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "lamp", *pairs]) == 1
    assert capsys.readouterr().err.count("\n") == 1
