"""The controls of a V4L2 camera by the names that v4l2-ctl prints: listed, checked, and set."""

from __future__ import annotations

import contextlib
import difflib
import enum
import errno
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from device.errors import system_text
from device.sources.controls import DAY, unsupported
from device.sources.v4l2 import ioctls

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from device.config.table import ControlValue
    from device.sources.v4l2.structures import QueriedControl

BITRATE, FORCE_KEY_FRAME = 0x0099_09CF, 0x0099_09E5  # V4L2_CID_MPEG_VIDEO_...
HFLIP, VFLIP = 0x0098_0914, 0x0098_0915
_DISABLED, _GRABBED, _READ_ONLY, _INACTIVE, _PAYLOAD = 0x1, 0x2, 0x4, 0x10, 0x100
_MAX_MENU = 64
_SUBJECT = f"{DAY} does"


class Kind(enum.Enum):
    """Types of controls, as V4L2 numbers them; others have no single value."""

    INTEGER = 1
    BOOLEAN = 2
    MENU = 3
    BUTTON = 4
    INTEGER64 = 5
    BITMASK = 8
    INTEGER_MENU = 9


_KINDS = frozenset(each.value for each in Kind)
_MENUS = (Kind.MENU, Kind.INTEGER_MENU)
_SWITCHES = (Kind.BOOLEAN, *_MENUS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One control. `items`: the entries of a menu by their number."""

    name: str
    id: int
    kind: Kind
    least: int
    most: int
    step: int
    default: int
    read_only: bool
    inactive: bool = False
    items: tuple[tuple[int, str], ...] = ()
    value: int | None = None

    def __str__(self) -> str:
        now = "" if self.value is None else f", now {self.value}"
        return f"{self.name}: {self.allowed}{now}{' (read-only)' if self.read_only else ''}"

    @property
    def allowed(self) -> str:
        """Return the values that may be set, as text, and the default."""
        if self.kind in _MENUS:
            return f"{', '.join(f'{number}: {text}' for number, text in self.items)} (default {self.default})"
        if self.kind == Kind.BOOLEAN:
            return f"true, false (default {str(bool(self.default)).lower()})"
        if self.kind == Kind.BUTTON:
            return "true"
        step = f" in steps of {self.step}" if self.step > 1 else ""
        return f"{self.least} to {self.most}{step} (default {self.default})"


def listed(descriptor: int) -> list[Control]:
    """Return the controls of one value, which can be read or set. Raises OSError."""
    return [
        Control(
            name=variable_name(bytes(each.name)),
            id=int(each.id),
            kind=Kind(each.type),
            least=int(each.minimum),
            most=int(each.maximum),
            step=int(each.step),
            default=int(each.default),
            read_only=bool(each.flags & (_READ_ONLY | _GRABBED)),
            inactive=bool(each.flags & _INACTIVE),
            items=_items(descriptor, each),
        )
        for each in ioctls.controls(descriptor)
        if each.type in _KINDS and not each.flags & (_DISABLED | _PAYLOAD)
    ]


def with_values(descriptor: int, offered: Iterable[Control]) -> list[Control]:
    """Return controls with their present values, as far as the camera tells them."""
    found = []
    for each in offered:
        value: int | None = None
        if each.kind not in (Kind.BUTTON, Kind.INTEGER64):
            with contextlib.suppress(OSError):
                value = ioctls.get_control(descriptor, each.id)
        found.append(replace(each, value=value))
    return found


def variable_name(raw: bytes) -> str:
    """Return a control's name as v4l2-ctl prints it: lower-case letters and digits, with underscores between."""
    words = "".join(each if each.isascii() and each.isalnum() else " " for each in raw.decode(errors="replace"))
    return "_".join(words.lower().split())


def checked(
    wanted: Mapping[str, ControlValue], offered: Sequence[Control], *, table: str = DAY
) -> list[tuple[Control, int]]:
    """Return what is to be set, switches first: automatic modes decide which other controls can be set. Pure.

    Raises SourceError for an unknown control, one that is read-only, and a value that is not allowed.
    """
    by_name, subject = {each.name: each for each in offered}, f"{table} does"
    found: dict[str, tuple[Control, int]] = {}
    for key, value in wanted.items():
        control = by_name.get(key.lower())
        if control is None:
            near = difflib.get_close_matches(key.lower(), by_name, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise unsupported(
                f"{table}.{key}: this camera has no such control{hint}; it has: {', '.join(sorted(by_name)) or 'none'}",
                subject,
            )
        if control.read_only:
            raise unsupported(f"{table}.{key}: this control is read-only", subject)
        if control.name in found:
            raise unsupported(f"{table}.{key}: {control.name} is set twice, in different letter case", subject)
        found[control.name] = control, _value(f"{table}.{key}", control, value, subject)
    pressed = [each for each in found.values() if each[0].kind is not Kind.BUTTON or each[1]]
    return sorted(pressed, key=lambda each: each[0].kind not in _SWITCHES)


def apply(descriptor: int, changes: Iterable[tuple[Control, int]]) -> None:
    """Set controls, in this order. Raises SourceError, which names the one that the camera refuses."""
    for control, value in changes:
        try:
            ioctls.set_control(descriptor, control.id, value, wide=control.kind == Kind.INTEGER64)
        except OSError as error:
            if error.errno == errno.ENODEV:
                raise
            why = system_text(error)
            if error.errno in (errno.EACCES, errno.EBUSY, errno.EINVAL, errno.EIO) and control.inactive:
                why = "it is inactive; an automatic mode of the camera has to be switched off first"
            raise unsupported(f"camera.controls.{control.name}: the camera refuses {value}: {why}", _SUBJECT) from error


def apply_flips(descriptor: int, offered: Iterable[Control], *, hflip: bool, vflip: bool) -> tuple[bool, bool]:
    """Set the camera's own flips; return which of them are left to do elsewhere."""
    left = []
    for number, wanted in ((HFLIP, hflip), (VFLIP, vflip)):
        control = with_id(offered, number)
        if control is not None:
            apply(descriptor, [(control, int(wanted))])
        left.append(wanted and control is None)
    return left[0], left[1]


def _value(key: str, control: Control, value: ControlValue, subject: str) -> int:
    number: int | None = None
    if control.kind in _MENUS:
        number = _entry(control, value)
    elif isinstance(value, bool):
        number = int(value) if control.kind in (Kind.BOOLEAN, Kind.BUTTON) else None
    elif isinstance(value, int | float) and int(value) == value:
        number = int(value)
    if number is None or (control.kind not in (*_MENUS, Kind.BUTTON) and not _in_range(control, number)):
        raise unsupported(f"{key}: {value!r} is not allowed; allowed: {control.allowed}", subject)
    return number


def _in_range(control: Control, number: int) -> bool:
    if control.kind == Kind.BITMASK:
        return 0 <= number <= control.most & 0xFFFF_FFFF
    on_step = control.step <= 1 or (number - control.least) % control.step == 0
    return control.least <= number <= control.most and on_step


def _entry(control: Control, value: ControlValue) -> int | None:
    """Return the number of a menu's entry, which is given by number or by name."""
    if isinstance(value, str):
        name = variable_name(value.encode())
        return next((number for number, text in control.items if variable_name(text.encode()) == name), None)
    numbers = [number for number, _ in control.items]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return int(value) if is_number and value in numbers else None


def _items(descriptor: int, control: QueriedControl) -> tuple[tuple[int, str], ...]:
    if control.type not in [each.value for each in _MENUS]:
        return ()
    found = []
    for index in range(max(0, control.minimum), min(control.maximum, _MAX_MENU) + 1):
        if (raw := ioctls.menu_item(descriptor, control.id, index)) is not None:
            text = raw.split(b"\0")[0].decode(errors="replace")
            if control.type == Kind.INTEGER_MENU.value:
                text = str(int.from_bytes(raw[:8], "little", signed=True))
            found.append((index, "".join(each for each in text if each.isprintable())))
    return tuple(found)


class AppliedControls:
    """Sets the configured controls of one camera, and gives those that are no longer configured their defaults."""

    def __init__(self, offered: Sequence[Control]) -> None:
        self._offered = offered
        self._set: dict[str, Control] = {}

    def set(self, descriptor: int, wanted: Mapping[str, ControlValue]) -> None:
        """Check all controls, then set them. Raises SourceError, or OSError if the camera is gone."""
        changes = checked(wanted, self._offered)
        names = {control.name for control, _ in changes}
        left = [
            (each, each.default) for name, each in self._set.items() if name not in names and each.kind != Kind.BUTTON
        ]
        new = {control.name: control for control, _ in changes}
        self._set |= new  # also if one of them is refused: what was set before it can be undone
        apply(descriptor, [*left, *changes])
        self._set = new


def with_id(offered: Iterable[Control], number: int) -> Control | None:
    """Return the control with an id, unless it cannot be set."""
    return next((each for each in offered if each.id == number and not each.read_only), None)
