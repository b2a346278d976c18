"""The steps of `check` for this board: the configured camera, encoder and microphone."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from device.devices import quiet_libraries
from device.errors import DeviceError, EncoderError, SourceError, system_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from device.check.report import Report
    from device.config.schema import Camera, Config, Microphone
    from device.config.streams import NamedStream


def check(report: Report, config: Config, service: dict[str, Any]) -> None:
    """Query the libraries. For devices that the running service uses, report its state; `service` may be empty."""
    for camera in config.active_cameras:
        if camera.table.source == "picamera2":
            _row(report, camera.label, service, partial(_camera, camera.table), _wanted(camera.table.device))
            _encoder_row(report, service, camera)
        elif camera.table.source == "v4l2":
            _row(report, camera.label, service, partial(_v4l2_camera, camera.table), _wanted(camera.table.device))
    for microphone in config.active_microphones:
        if microphone.table.source == "pyaudio":
            table = microphone.table
            _row(report, microphone.label, service, partial(_microphone, table), _wanted(table.device))


def _row(report: Report, name: str, service: dict[str, Any], query: Callable[[], str], wanted: str = "") -> None:
    if state := str(service.get(name, "")):
        text = f"held by {_service_text(service, state)}"
        if state.startswith("live"):
            report.good(name, text)
        else:  # the service's state is public on this host, so it names no device
            report.bad(name, f"{text}{wanted}", hint="look at `journalctl -u livekit-device`")
        return
    try:
        with quiet_libraries():
            found = query()
    except DeviceError as error:
        report.bad(name, str(error) or error.for_viewers)
    except Exception as error:  # drivers raise any type; its text may contain secrets  # noqa: BLE001
        report.bad(name, f"the library failed ({type(error).__name__})")
    else:
        report.good(name, found)


def _encoder_row(report: Report, service: dict[str, Any], camera: NamedStream[Camera]) -> None:
    """Query the encoder unless the service uses the camera. If the service has no pictures, either may be the cause."""
    state = str(service.get(camera.label, ""))
    row = "encoder" if camera.name == camera.kind else f"encoder.{camera.name}"
    if state and not state.startswith("live"):
        report.skipped(row, f"it is in use by {_service_text(service, state)}")
    else:
        _row(report, row, service | {row: state}, partial(_encoder, camera))


def _wanted(device: str) -> str:
    return f" (configured: {device})" if device else ""


def _service_text(service: dict[str, Any], state: str) -> str:
    return f"the running service (pid {service['pid']}), whose state is: {state}"


def _camera(table: Camera) -> str:
    from device.sources import picamera2

    found = picamera2.cameras()
    position = picamera2.choose(found, table.device)
    return f"{found[position].get('Model')} ({found[position].get('Id')})"


def _v4l2_camera(camera: Camera) -> str:
    from device.sources.v4l2 import controls, ioctls, modes, nodes
    from device.sources.v4l2.holder import holder

    node = nodes.find(camera.device)
    try:
        with ioctls.opened(node.path) as descriptor:
            mode = modes.choose(modes.listed(descriptor), width=camera.width, height=camera.height, fps=camera.fps)
            controls.checked(camera.controls, controls.listed(descriptor))
    except OSError as error:
        raise SourceError(f"{node.card} ({node.path}): {system_text(error)}") from error
    if user := holder(node.path):
        raise SourceError(f"{node.card} ({node.path}) is in use by {user}")
    lacks = modes.difference(mode, width=camera.width, height=camera.height, fps=camera.fps)
    rate = f" at {float(mode.rate):g} fps" if mode.rate else ""
    return f"{node.card} ({node.path}), {mode.fourcc} {mode.width}x{mode.height}{rate}{f' ({lacks})' if lacks else ''}"


def _microphone(table: Microphone) -> str:
    from device.sources.pyaudio import choose, microphones

    found = choose(microphones(), table.device)
    return f"{found.name}, {found.channels} channels at {found.rate} Hz"


def _encoder(camera: NamedStream[Camera]) -> str:
    from device.encoders.v4l2 import DEVICE, board_encoder

    wanted = camera.table.encoder
    board = board_encoder() if wanted != "x264" else ""
    if wanted == "v4l2" and not board:
        raise EncoderError(f"this board has no H.264 encoder; use encoder = x264 or auto in [{camera.key}]")
    return f"v4l2: {board} at {DEVICE}" if board else "x264, in software"
