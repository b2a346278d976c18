"""The steps of `check` for this board: the configured camera, encoder and microphone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from device.devices import quiet_libraries
from device.errors import DeviceError, EncoderError, SourceError, system_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from device.check.report import Report
    from device.config.schema import Config


def check(report: Report, config: Config, service: dict[str, Any]) -> None:
    """Query the libraries. For devices that the running service uses, report its state; `service` may be empty."""
    if config.camera.source == "picamera2":
        _row(report, "camera", service, lambda: _camera(config), _wanted(config.camera.device))
        _encoder_row(report, service, config)
    elif config.camera.source == "v4l2":
        _row(report, "camera", service, lambda: _v4l2_camera(config), _wanted(config.camera.device))
    if config.microphone.source == "pyaudio":
        _row(report, "microphone", service, lambda: _microphone(config), _wanted(config.microphone.device))


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


def _encoder_row(report: Report, service: dict[str, Any], config: Config) -> None:
    """Query the encoder unless the service uses the camera. If the service has no pictures, either may be the cause."""
    state = str(service.get("camera", ""))
    if state and not state.startswith("live"):
        report.skipped("encoder", f"it is in use by {_service_text(service, state)}")
    else:
        _row(report, "encoder", service | {"encoder": state}, lambda: _encoder(config))


def _wanted(device: str) -> str:
    return f" (configured: {device})" if device else ""


def _service_text(service: dict[str, Any], state: str) -> str:
    return f"the running service (pid {service['pid']}), whose state is: {state}"


def _camera(config: Config) -> str:
    from device.sources import picamera2

    found = picamera2.cameras()
    position = picamera2.choose(found, config.camera.device)
    return f"{found[position].get('Model')} ({found[position].get('Id')})"


def _v4l2_camera(config: Config) -> str:
    from device.sources.v4l2 import controls, ioctls, modes, nodes
    from device.sources.v4l2.holder import holder

    camera = config.camera
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


def _microphone(config: Config) -> str:
    from device.sources.pyaudio import choose, microphones

    found = choose(microphones(), config.microphone.device)
    return f"{found.name}, {found.channels} channels at {found.rate} Hz"


def _encoder(config: Config) -> str:
    from device.encoders.v4l2 import DEVICE, board_encoder

    wanted = config.camera.encoder
    board = board_encoder() if wanted != "x264" else ""
    if wanted == "v4l2" and not board:
        raise EncoderError("this board has no H.264 encoder; use camera.encoder = x264 or auto")
    return f"v4l2: {board} at {DEVICE}" if board else "x264, in software"
