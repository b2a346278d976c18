"""Completion for bash, generated from the command line's parser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from debian.manual import arguments, commands, value_of
from device import cli
from device.config.remote_keys import remote_keys
from device.config.schema_keys import described
from device.control.command_line import ASSIGNMENT

if TYPE_CHECKING:
    import argparse

_SCRIPT = """# bash completion for livekit-device; generated from its parser when the package is built

_livekit_device() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD - 1]}} command= word words=
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD - 1}}"; do
        case $word in
            {names}) command=$word; break ;;
        esac
    done
    case $command:$previous in
{values}
    esac
    case $command in
{options}
        *) words="{commands} {own}" ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}}

complete -F _livekit_device livekit-device
"""
_PATHS, _FOLDER = ("FILE", "PATH"), "DIR"


def completion() -> str:
    """Return the script: commands, their options, and files or choices for the values of options."""
    parser = cli._parser()  # noqa: SLF001
    known = commands(parser)
    values = [line for name, command in known.items() for line in _values(name, command)]
    options = [f"        {name}) {_words(command)} ;;" for name, command in known.items()]
    return _SCRIPT.format(
        names="|".join(known),
        values="\n".join(values),
        options="\n".join(options),
        commands=" ".join(known),
        own=_options(parser),
    )


def _words(parser: argparse.ArgumentParser) -> str:
    if not any(value_of(action) == ASSIGNMENT for action in arguments(parser)):
        return f'words="{_options(parser)}"'
    keys = " ".join(
        f"{key.removesuffix('NAME')}{'' if key.endswith('NAME') else '='}" for key in remote_keys(described())
    )
    return f'compopt -o nospace; words="{_options(parser)} {keys}"'


def _options(parser: argparse.ArgumentParser) -> str:
    """Return the options, and the words that an argument without an option may be."""
    return " ".join(str(word) for action in arguments(parser) for word in action.option_strings or action.choices or ())


def _values(name: str, parser: argparse.ArgumentParser) -> list[str]:
    lines = []
    for action in arguments(parser):
        if not action.option_strings or not (value := value_of(action)):
            continue
        options = "|".join(f"{name}:{option}" for option in action.option_strings)
        if value == _FOLDER:
            reply = 'compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$current")'
        elif value in _PATHS:
            reply = 'compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$current")'
        elif action.choices:
            reply = f'mapfile -t COMPREPLY < <(compgen -W "{" ".join(map(str, action.choices))}" -- "$current")'
        else:
            reply = "COMPREPLY=()"  # anything
        lines.append(f"        {options}) {reply}; return ;;")
    return lines
