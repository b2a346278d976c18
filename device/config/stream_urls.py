"""Which URL each network stream plays: its own, else that of [camera], else the systemd credential camera_url."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from device.errors import Problem

if TYPE_CHECKING:
    from pathlib import Path

    from device.config.effective import Camera, Config, Microphone

CREDENTIAL = "camera_url"
"""The file with the URL in the folder of systemd's credentials."""


def missing_urls(path: Path, config: Config, camera_url_file: str) -> list[Problem]:
    """Return a problem for each stream that has no URL. `path` is the configuration's file."""
    return [
        Problem(
            f"{path}: {each.key}",
            f'source = "stream" needs url or url_file, or the credential {CREDENTIAL} (docs/ip-cameras.md)',
        )
        for each in with_urls(config, camera_url_file).streams
        if each.table.source == "stream" and not _has_url(each.table)
    ]


def with_urls(config: Config, camera_url_file: str) -> Config:
    """Return the configuration with a URL for each network stream that names none itself.

    [camera] gets `camera_url_file`, a microphone the URL of [camera].
    """
    camera = config.camera
    if camera.source == "stream" and not _has_url(camera):
        camera = replace(camera, url_file=camera_url_file)
    return replace(
        config,
        camera=camera,
        microphone=_from(camera, config.microphone),
        microphones={name: _from(camera, each) for name, each in config.microphones.items()},
    )


def _from(camera: Camera, microphone: Microphone) -> Microphone:
    if microphone.source != "stream" or _has_url(microphone) or camera.source != "stream":
        return microphone
    return replace(microphone, url=camera.url, url_file=camera.url_file, rtsp_transport=camera.rtsp_transport)


def _has_url(table: Camera | Microphone) -> bool:
    return bool(table.url.get_secret_value() or table.url_file)
