"""The SDK is imported without numpy, if it is the known one; each case in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys

import pytest

from device import native_sdk

_SHOW = (
    "import sys; from device import native_sdk; from device.native_sdk import loading; {before}; native_sdk.load(); "
    "from livekit import rtc; print('numpy' in sys.modules, rtc.Room.__name__, {after})"
)


def shown(*, before: str = "pass", after: str = "0") -> tuple[str, str]:
    """Return what an interpreter prints, and its log."""
    program = _SHOW.format(before=before, after=after)
    done = subprocess.run((sys.executable, "-c", program), capture_output=True, text=True, check=True)
    *logged, last = done.stdout.splitlines()
    return last, "\n".join(logged) + done.stderr


def test_the_known_sdk_is_imported_without_numpy_and_without_a_word() -> None:
    assert shown(after="rtc.AudioMixer.__module__ == rtc.Room.__module__") == ("False Room False", "")


def test_what_is_not_loaded_cannot_be_used() -> None:
    from device.native_sdk.loading import _UNUSED, _stand_in

    for module, name in _UNUSED.items():
        with pytest.raises(NotImplementedError, match=f"{module} is not loaded"):
            getattr(_stand_in(module, name), name)()


def test_another_version_is_imported_as_a_whole() -> None:
    """`native_sdk.library` logs the version."""
    text = "rtc.AudioMixer.capture_frames if hasattr(rtc.AudioMixer, 'capture_frames') else rtc.AudioMixer.add_stream"
    last, logged = shown(before="loading._version = lambda: '9.9'", after=f"callable({text})")
    assert (last, logged) == ("True Room True", "")


def test_another_shape_is_imported_as_a_whole_and_logged() -> None:
    last, logged = shown(
        before="loading._UNUSED['audio_mixer'] = 'Other'", after="hasattr(rtc.AudioMixer, 'add_stream')"
    )
    assert last == "True Room True"
    assert logged.count("sdk.unknown") == 1


def test_an_sdk_that_is_imported_already_stays() -> None:
    last, _ = shown(before="import livekit.rtc", after="hasattr(rtc.AudioMixer, 'add_stream')")
    assert last == "True Room True"


def test_the_version_is_found_without_importing_the_sdk() -> None:
    from device.native_sdk.loading import _version

    assert _version() in native_sdk._VERSIONS
