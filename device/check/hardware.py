"""The steps of `check` for this board: the configured camera, encoder and microphone."""

from __future__ import annotations

import contextlib
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from device.check import streams
from device.devices import quiet_libraries
from device.errors import DeviceError, EncoderError, NotPresentError, SourceAbsentError, SourceError, system_text
from device.ipc.detected import Detected
from device.ipc.worker_state import WorkerState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from device.check.report import Report
    from device.config.effective import Camera, Config, Microphone
    from device.config.streams import AnyStream, NamedStream

# What the service's state begins with if a device is in order.
_WORKS = (WorkerState.LIVE.value, WorkerState.PAUSED.value)
_STARTS = "publishes one as soon as it is connected"


def check(report: Report, config: Config, service: dict[str, Any]) -> None:
    """Query the libraries. For devices that the running service uses, report its state; `service` may be empty."""
    for camera in config.active_cameras:
        if camera.table.source in ("auto", "picamera2", "v4l2"):
            _row(report, camera.label, service, partial(_camera, camera), _wanted(camera.table.device))
        if camera.table.source == "stream":
            _row(report, camera.label, service, partial(streams.of_camera, camera.table))
        if camera.table.source in ("auto", "picamera2"):
            _encoder_row(report, service, camera)
    for microphone in config.active_microphones:
        if microphone.table.source in ("auto", "pyaudio"):
            _row(report, microphone.label, service, partial(_microphone, microphone), _wanted(microphone.table.device))
        if microphone.table.source == "stream":
            _row(report, microphone.label, service, partial(streams.of_microphone, microphone.table))


def _row(report: Report, name: str, service: dict[str, Any], query: Callable[[], str], wanted: str = "") -> None:
    if state := str(service.get(name, "")):
        text = f"held by {_service_text(service, state)}"
        if state == WorkerState.NOT_PRESENT.value:
            report.skipped(name, f"{state}; the running service (pid {service['pid']}) {_STARTS}")
        elif state == WorkerState.PRIVACY.value:
            report.skipped(name, f"{state} is on; nothing is captured until `livekit-device privacy off`")
        elif state.startswith(WorkerState.ASLEEP.value):
            report.skipped(name, f"{state}; the running service (pid {service['pid']}) opens it for viewers")
        elif state.startswith(_WORKS):
            report.good(name, text)
        else:  # the service's state is public on this host, so it names no device
            report.bad(name, f"{text}{wanted}", hint="look at `journalctl -u livekit-device`")
        return
    try:
        with quiet_libraries():
            found = query()
    except NotPresentError as error:
        report.skipped(name, f"not present ({error}); the service {_STARTS}")
    except DeviceError as error:
        report.bad(name, str(error) or error.for_viewers)
    except Exception as error:  # drivers raise any type; its text may contain secrets  # noqa: BLE001
        report.bad(name, f"the library failed ({type(error).__name__})")
    else:
        report.good(name, found)


def _encoder_row(report: Report, service: dict[str, Any], camera: NamedStream[Camera]) -> None:
    """Query the encoder unless the service uses the camera. If the service has no pictures, either may be the cause."""
    state = str(service.get(camera.label, ""))
    if state in (WorkerState.NOT_PRESENT.value, WorkerState.PRIVACY.value):
        return
    row = "encoder" if camera.name == camera.kind else f"encoder.{camera.name}"
    if state and not state.startswith((*_WORKS, WorkerState.ASLEEP.value)):
        report.skipped(row, f"it is in use by {_service_text(service, state)}")
    else:
        _row(report, row, service | {row: state}, partial(_encoder, camera))


def _wanted(device: str) -> str:
    return f" (configured: {device})" if device else ""


def _service_text(service: dict[str, Any], state: str) -> str:
    return f"the running service (pid {service['pid']}), whose state is: {state}"


def _camera(stream: NamedStream[Camera]) -> str:
    from device.sources import picamera2

    with _required_if_known(stream):
        source = _camera_source(stream.table)
    if source == "v4l2":
        return _v4l2_camera(stream.table)
    found = picamera2.cameras()
    position = picamera2.choose(found, stream.table.device)
    return f"{found[position].get('Model')} ({found[position].get('Id')})"


@contextmanager
def _required_if_known(stream: AnyStream) -> Iterator[None]:
    """Let the absence of a device be an error if this box had one before."""
    try:
        yield
    except NotPresentError as error:
        if not Detected.of_service(keeps=False).has(stream.name):
            raise
        raise SourceAbsentError(
            f"absent, but this box had one before: {error}; "
            f'if it was removed for good, set source = "off" in [{stream.key}]'
        ) from error


def _camera_source(table: Camera) -> str:
    """Return the source that `auto` stands for now. Raises SourceError."""
    from device.sources import automatic

    return automatic.camera_source(table.device) if table.source == "auto" else table.source


def _v4l2_camera(camera: Camera) -> str:
    from device.sources.controls import NIGHT
    from device.sources.v4l2 import controls, ioctls, modes, nodes
    from device.sources.v4l2.copying import NotCopyableError, copied_mode
    from device.sources.v4l2.holder import holder

    node = nodes.find(camera.device)
    encoder = "x264, in software"
    try:
        with ioctls.opened(node.path) as descriptor:
            found, offered = modes.listed(descriptor), controls.listed(descriptor)
    except OSError as error:
        raise SourceError(f"{node.card} ({node.path}): {system_text(error)}") from error
    controls.checked(camera.controls, offered)
    if camera.night.enabled:
        controls.checked(camera.night.controls, offered, table=NIGHT)
    try:
        mode = copied_mode(found, offered, camera)
        encoder = "its own H.264"
    except NotCopyableError:
        if camera.encoder == "copy":
            raise
        mode = modes.choose(found, width=camera.width, height=camera.height, fps=camera.fps)
    if user := holder(node.path):
        raise SourceError(f"{node.card} ({node.path}) is in use by {user}")
    lacks = modes.difference(mode, width=camera.width, height=camera.height, fps=camera.fps)
    rate = f" at {float(mode.rate):g} fps" if mode.rate else ""
    shown = f"{mode.fourcc} {mode.width}x{mode.height}{rate}{f' ({lacks})' if lacks else ''}"
    return f"{node.card} ({node.path}), {shown}; encoder: {encoder}"


def _microphone(stream: NamedStream[Microphone]) -> str:
    from device.sources import automatic
    from device.sources.pyaudio import choose, microphones

    table = stream.table
    with _required_if_known(stream):
        if table.source == "auto":
            automatic.microphone_source(table.device)
    found = choose(microphones(), table.device)
    return f"{found.name}, {found.channels} channels at {found.rate} Hz"


def _encoder(camera: NamedStream[Camera]) -> str:
    from device.encoders.v4l2 import DEVICE, board_encoder

    usb = False
    with contextlib.suppress(SourceError):  # the row of the camera says so
        usb = _camera_source(camera.table) == "v4l2"
    wanted = camera.table.encoder
    board = board_encoder() if wanted != "x264" and not usb else ""
    if wanted == "v4l2" and not board:
        raise EncoderError(f"this board has no H.264 encoder; use encoder = x264 or auto in [{camera.key}]")
    return f"v4l2: {board} at {DEVICE}" if board else "x264, in software"
