"""Imports the SDK without the modules that only mix and play sound: they alone load numpy, 6 MB and 60 ms of CPU."""

from __future__ import annotations

import re
import sys
import threading
from importlib import import_module, util
from pathlib import Path
from types import ModuleType

import structlog

log = structlog.get_logger()

_SDK = "livekit.rtc"
# Of livekit 1.2.1, with what the SDK's package takes from them.
_UNUSED = {"audio_mixer": "AudioMixer", "media_devices": "MediaDevices"}
_VERSION = re.compile(r'__version__ = "([0-9.]+)"')


_LOCK = threading.Lock()


def load(versions: frozenset[str]) -> None:
    """Import the SDK; call this before anything else does. An unknown version is imported as a whole.

    Threads may call it at the same time. `sdk.unknown` is logged if a known version has another shape.
    """
    with _LOCK:
        _load(versions)


def _load(versions: frozenset[str]) -> None:
    if _SDK in sys.modules or _version() not in versions:
        return
    stand_ins = {f"{_SDK}.{module}": _stand_in(f"{_SDK}.{module}", name) for module, name in _UNUSED.items()}
    sys.modules.update(stand_ins)
    try:
        import_module(_SDK)
    except (ImportError, AttributeError) as error:
        for name in [each for each in sys.modules if each == _SDK or each.startswith(f"{_SDK}.")]:
            del sys.modules[name]
        why = f"{type(error).__name__}: {error}"
        log.warning("sdk.unknown", why=why, hint="the SDK is imported as a whole; it takes more memory")


def _version() -> str:
    """Return the SDK's version without importing it; empty if there is none."""
    package = util.find_spec("livekit")
    for folder in (package and package.submodule_search_locations) or ():
        file = Path(folder, "rtc", "version.py")
        if file.is_file() and (found := _VERSION.search(file.read_text())):
            return found[1]
    return ""


def _stand_in(module: str, name: str) -> ModuleType:
    """Return a module whose only class cannot be used."""

    def refuse(_self: object) -> None:
        raise NotImplementedError(f"{module} is not loaded in this process")

    found = ModuleType(module)
    setattr(found, name, type(name, (), {"__init__": refuse}))
    return found
