"""Manual pages in roff: the command line from its parser, the configuration from config/device.toml."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from debian import key_table
from device import cli
from device.errors import ExitCode
from device.lifecycle.not_set_up import STATUS

if TYPE_CHECKING:
    from collections.abc import Iterator

EXIT_CODES = {
    ExitCode.OK: "Success.",
    ExitCode.FAILED: "Failure; the messages explain it.",
    ExitCode.USAGE: "Wrong usage.",
    ExitCode.NOT_RUNNING: "The command asks a running daemon, and there is none.",
    ExitCode.INTERNAL: "Internal error.",
    ExitCode.TEMPORARY: "The service manager has to restart the daemon.",
    ExitCode.CONFIG: "The configuration is invalid; a restart does not help.",
}
_INTRODUCTION = r"""\
The daemon, \fBlivekit\-device run\fR, publishes camera and microphone into a LiveKit room, and reconnects after
each disconnection. systemd runs it as \fIlivekit\-device.service\fR.
Without a configuration the service waits; its status is then:"""
_ENVIRONMENT = {
    "DEVICE_CONFIG": "The configuration file, if it is not given by \\fB\\-\\-config\\fR.",
    "DEVICE_<TABLE>__<KEY>": "Overrides a key of the configuration, such as DEVICE_CAMERA__FPS=15.",
    "HTTPS_PROXY, HTTP_PROXY, NO_PROXY": "A proxy for connections to the server, if \\fB[network]\\fR names none.",
    "SSL_CERT_FILE": "CA certificates to trust instead of the system's, if \\fBnetwork.ca_file\\fR is empty.",
}
_FILES = {
    "/etc/livekit-device/device.toml": "The configuration: \\fBlivekit\\-device.toml\\fR(5).",
    "/etc/livekit-device/credentials/": "Files that systemd passes to the service: token, api_key, api_secret, "
    "endpoint_headers, camera_url or proxy.",
    "/boot/firmware/livekit-device.toml": "A configuration with credentials, which the service imports and removes "
    "at its start.",
    "/usr/share/doc/livekit-device/examples/device.toml": "Every key, with its unit and default.",
    "/var/lib/livekit-device/": "State of the service, and files that it reads.",
}
_CHANGES = r"""\
The third column says what \fBsystemctl reload livekit\-device\fR does for a new value. \fIlive\fR: it is applied
without a gap. \fIworker restart\fR: the camera or microphone is opened again, while its track and its viewers stay.
\fIrejoin\fR: the device leaves the room and joins again. \fIprocess restart\fR: the daemon is started again.
The last column says which keys can be changed without a file, by \fBlivekit\-device set\fR.
The keys of \fB[cameras.NAME]\fR are those of \fB[camera]\fR, those of \fB[microphones.NAME]\fR those of
\fB[microphone]\fR."""
_ASSIGNMENT = re.compile(r"(# )?(\w+) = (.*)")
_TABLE = re.compile(r"\[([\w.]+)]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """The footer of each page."""

    version: str
    date: str

    def head(self, title: str, section: int, manual: str) -> str:
        return f'.TH {_plain(title.upper())} {section} {self.date} "livekit\\-device {self.version}" "{manual}"\n'


def command_page(stamp: Stamp) -> str:
    """Return livekit-device(1)."""
    parser = cli._parser()  # it has every command and option  # noqa: SLF001
    parts = [
        stamp.head("livekit-device", 1, "User commands"),
        f".SH NAME\nlivekit\\-device \\- {_plain(_as_clause(parser.description))}\n",
        f".SH SYNOPSIS\n\\fBlivekit\\-device\\fR {_synopsis(parser)}\n",
        f".SH DESCRIPTION\n{_INTRODUCTION}\n{_plain(STATUS)}.\n.SH OPTIONS\n",
        *_options(parser),
        ".SH COMMANDS\n",
    ]
    for name, command in commands(parser).items():
        parts += [
            f".SS {_bold(f'livekit-device {name}')} {_synopsis(command)}\n",
            f"{_sentence(command.description)}\n",
        ]
        parts += _options(command, but=("help",))
    parts.append(".SH EXIT STATUS\n")
    parts += [_item(_bold(str(int(code))), text) for code, text in EXIT_CODES.items()]
    for title, entries in (("ENVIRONMENT", _ENVIRONMENT), ("FILES", _FILES)):
        parts += [f".SH {title}\n", *(_item(_italic(name), text) for name, text in entries.items())]
    parts.append(".SH SEE ALSO\n\\fBlivekit\\-device.toml\\fR(5), \\fBsystemctl\\fR(1), \\fBjournalctl\\fR(1)\n")
    return "".join(parts)


def configuration_page(stamp: Stamp, toml: str) -> str:
    """Return livekit-device.toml(5), from the commented configuration."""
    head, *paragraphs = re.split(r"\n\n+", toml.strip())
    title, _, introduction = _prose(head.splitlines()).partition("\n.PP\n")
    parts = [
        "'\\\" t\n",  # man(1) runs tbl
        stamp.head("livekit-device.toml", 5, "File formats"),
        f".SH NAME\nlivekit\\-device.toml \\- {title.partition(': ')[2].rstrip('.')}\n",
        ".SH SYNOPSIS\n\\fI/etc/livekit\\-device/device.toml\\fR\n",
        f".SH DESCRIPTION\nA TOML file, with tables of keys and values.\n{introduction}\n",
    ]
    for paragraph in paragraphs:
        parts += _paragraph(paragraph.splitlines())
    parts += [f".SH KEYS\n{_CHANGES}\n.PP\n", key_table.table()]
    example = '[room]\nurl = "wss://example.livekit.cloud"\nname = "front-door"\n\n[camera]\nfps = 15\n'
    parts.append(f".SH EXAMPLE\n.nf\n{_plain(example)}.fi\n.SH SEE ALSO\n\\fBlivekit\\-device\\fR(1)\n")
    return "".join(parts)


def commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the subcommands of a parser, by name."""
    for action in parser._actions:  # argparse has no other way to list them  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            return dict(action.choices)
    return {}


def arguments(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Return the options and arguments of a parser that are not hidden."""
    return [
        action
        for action in parser._actions  # noqa: SLF001
        if not isinstance(action, argparse._SubParsersAction) and action.help != argparse.SUPPRESS  # noqa: SLF001
    ]


def value_of(action: argparse.Action) -> str:
    """Return the placeholder for an option's value; empty if it takes none."""
    if action.nargs == 0:
        return ""
    if isinstance(action.metavar, str):
        return action.metavar
    return "|".join(map(str, action.choices)) if action.choices else action.dest.upper()


def _synopsis(parser: argparse.ArgumentParser) -> str:
    words = ["\\fICOMMAND\\fR"] if commands(parser) else []
    for action in arguments(parser):
        if not action.option_strings:
            words.append(_positional(action))
        elif action.dest not in ("help", "version"):
            name, value = _bold(action.option_strings[-1]), value_of(action)
            word = f"{name} {_italic(value)}" if value else name
            words.append(word if action.required else f"[{word}]")
    return " ".join(words)


def _positional(action: argparse.Action) -> str:
    word = _italic(value_of(action))
    return {"?": f"[{word}]", "*": f"[{word} ...]", "+": f"{word} ..."}.get(str(action.nargs), word)


def _options(parser: argparse.ArgumentParser, *, but: tuple[str, ...] = ()) -> Iterator[str]:
    for action in [each for each in arguments(parser) if each.dest not in but]:
        value = value_of(action)
        names = ", ".join(map(_bold, action.option_strings))
        term = " ".join(filter(None, (names, _italic(value) if value else "")))
        text = (action.help or "") % {"prog": parser.prog, "default": action.default}
        yield _item(term, _sentence(text))


def _paragraph(lines: list[str]) -> Iterator[str]:
    """Render a paragraph of the configuration: table, comments, keys; a key without a default is commented out."""
    if table := _TABLE.fullmatch(lines[0]):
        yield f".SH [{_plain(table[1]).upper()}]\n"
        lines = lines[1:]
    elif table := _TABLE.fullmatch(lines[-1]):  # an inner table, below its comment
        yield _item(_bold(table[0]), _prose(lines[:-1]))
        return
    keys = [match for line in lines if (match := _ASSIGNMENT.fullmatch(line))]
    prose = _prose([line for line in lines if not _ASSIGNMENT.fullmatch(line)])
    if keys:
        terms = [_bold(key[2]) + ("" if key[1] else f" = {_plain(key[3])}") for key in keys]
        yield _item(", ".join(terms), prose)
    elif prose:
        yield f".PP\n{prose}\n"


def _prose(lines: list[str]) -> str:
    text = "\n".join(line.removeprefix("#").strip() or "\n.PP" for line in lines)
    return "\n".join(line if line == ".PP" else _plain(line) for line in text.splitlines() if line)


def _item(term: str, text: str) -> str:
    return f".TP\n{term}\n{text}\n"


def _plain(text: str) -> str:
    """Escape roff's special characters; a hyphen can be copied into a shell."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"(?m)^([.'])", r"\\&\1", escaped)


def _bold(text: str) -> str:
    return f"\\fB{_plain(text)}\\fR"


def _italic(text: str) -> str:
    return f"\\fI{_plain(text)}\\fR"


def _as_clause(text: str | None) -> str:
    words = (text or "").rstrip(".")
    return words[:1].lower() + words[1:]


def _sentence(text: str | None) -> str:
    words = _plain((text or "").rstrip("."))
    return f"{words[:1].upper()}{words[1:]}."
