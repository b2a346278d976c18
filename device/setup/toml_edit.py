"""Changes single keys of a TOML text and keeps the rest of it: comments, order, other keys. Pure."""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# Setup sets only keys with a text or a list of texts.
Value = str | tuple[str, ...]
Changes = "Mapping[tuple[str, str], Value]"

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def edited(text: str, changes: Mapping[tuple[str, str], Value]) -> str:
    """Return the text with each (table, key) set.

    A text in which a search by lines does not find a key, such as inline tables, is rewritten without its comments.
    The values are the same in both cases. Raises tomllib.TOMLDecodeError for invalid TOML.
    """
    wanted = merged(tomllib.loads(text), changes)
    lines = text.replace("\r\n", "\n").split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    for (table, key), value in changes.items():
        _set(lines, table, key, _written(list(value) if isinstance(value, tuple) else value))
    result = "\n".join(lines) + "\n"
    try:
        if tomllib.loads(result) == wanted:
            return result
    except tomllib.TOMLDecodeError:
        pass
    return written(wanted)


def merged(data: Mapping[str, Any], changes: Mapping[tuple[str, str], Value]) -> dict[str, Any]:
    """Return the data with each (table, key) set."""
    result = {name: dict(each) if isinstance(each, dict) else each for name, each in data.items()}
    for (table, key), value in changes.items():
        inner = result.setdefault(table, {})
        if not isinstance(inner, dict):
            inner = result[table] = {}
        inner[key] = list(value) if isinstance(value, tuple) else value
    return result


def written(data: Mapping[str, Any], *, prefix: str = "") -> str:
    """Return data as TOML: the keys of a table first, then the tables in it."""
    parts = []
    plain = {key: value for key, value in data.items() if not isinstance(value, dict)}
    for key, value in plain.items():
        parts.append(f"{_name(key)} = {_written(value)}\n")
    for key, value in data.items():
        if isinstance(value, dict):
            name = f"{prefix}{_name(key)}"
            parts.append(f"{'' if not parts else chr(10)}[{name}]\n{written(value, prefix=f'{name}.')}")
    return "".join(parts)


def _written(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(_written(each) for each in value)}]"
    if isinstance(value, dict):  # within a list: no table of its own
        return f"{{ {', '.join(f'{_name(key)} = {_written(each)}' for key, each in value.items())} }}"
    return str(value)  # numbers, times


def _name(key: str) -> str:
    return key if _BARE.fullmatch(key) else _written(key)


def _set(lines: list[str], table: str, key: str, value: str) -> None:
    header = _header(lines, table)
    if header is None:
        if lines:
            lines.append("")
        lines += [f"[{table}]", f"{key} = {value}"]
        return
    end = _end(lines, header)
    for at in range(header + 1, end):
        if found := re.match(rf"(\s*{re.escape(key)}\s*=\s*)", lines[at]):
            size = _extent(lines[at:end])
            lines[at : at + size] = [f"{found[1]}{value}{_comment(lines[at]) if size == 1 else ''}"]
            return
    # Below a comment with an example of the key, or else at the end of the table.
    place = next((at + 1 for at in range(header + 1, end) if re.match(rf"#\s*{re.escape(key)}\s*=", lines[at])), end)
    while place == end and place > header + 1 and _is_blank_or_comment(lines[place - 1]):
        place = end = place - 1
    lines.insert(place, f"{key} = {value}")


def _header(lines: list[str], table: str) -> int | None:
    pattern = re.compile(rf"\s*\[\s*{re.escape(table)}\s*\]\s*(#.*)?")
    return next((at for at, line in enumerate(lines) if pattern.fullmatch(line)), None)


def _end(lines: list[str], header: int) -> int:
    """Return where the keys of a table end: at the next header."""
    return next(
        (at for at in range(header + 1, len(lines)) if re.match(r"\s*\[\[?[^\[\],]+\]\]?", lines[at])), len(lines)
    )


def _extent(lines: list[str]) -> int:
    """Return the number of lines of the first key's value."""
    for size in range(1, len(lines) + 1):
        try:
            tomllib.loads("\n".join(lines[:size]))
        except tomllib.TOMLDecodeError:
            continue
        return size
    return 1


def _comment(line: str) -> str:
    """Return the comment behind a value, with the space before it."""
    whole = tomllib.loads(line)
    for sign in re.finditer(r"\s*#", line):
        try:
            if tomllib.loads(line[: sign.start()]) == whole:
                return line[sign.start() :]
        except tomllib.TOMLDecodeError:
            continue
    return ""


def _is_blank_or_comment(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")
