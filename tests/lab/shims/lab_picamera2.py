"""Runs the real picamera2 on libcamera's `virtual` pipeline, without changes to the code that uses it.

A `.pth` file imports this module when the interpreter starts. That costs a few imports of the standard library;
picamera2 is patched only when it is imported. The differences from a board are:

- `pykms` (a preview on a display) is not packaged in Debian: an empty stand-in.
- The virtual pipeline requires a description of both planes of NV12; the Pi's requires one.
- It never sets a frame's status, which is uninitialised memory, and picamera2 drops frames without success.
- libcamera locks a camera's media device between processes; the virtual camera has none, so
  `acquire` binds a socket whose name only one process can have, and fails with libcamera's own text.
- Its test pattern is BT.601 for every requested colour space, and `validate` does not correct that; here it adjusts
  the configuration to the actual one, as libcamera requires of a pipeline.
- The word in `/run/lab-camera` causes a fault: `stalled` withholds all frames, `hung` makes stop() hang,
  `listen-raises` raises in picamera2's thread, `seized` makes that thread hang with Python's lock, like a call into
  libcamera, and `absent` removes the camera. With a process id after the word it affects that process only.
- The virtual pipeline does not estimate brightness; the number in `/run/lab-lux` is the `Lux` of each frame.
- It delivers frames as fast as the processor can draw them; the number in `/run/lab-pace` is the most per second.
"""

import ctypes
import importlib.abc
import importlib.machinery
import mmap
import os
import socket
import sys
import time
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CAMERAS = "/usr/share/libcamera/pipeline/virtual/virtual.yaml"
SWITCH = Path("/run/lab-camera")
LUX = Path("/run/lab-lux")
PACE = Path("/run/lab-pace")


def _switched(*to: str) -> bool:
    try:
        word, *whom = SWITCH.read_text().split()
    except (OSError, ValueError):
        return False
    return word in to and whom in ([], [str(os.getpid())])


class _Patcher(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds `pykms`, and patches `picamera2.picamera2` as soon as it is loaded."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name == "pykms":
            return importlib.machinery.ModuleSpec(name, self)
        if name != "picamera2.picamera2":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        loader = spec.loader
        run = loader.exec_module

        def exec_module(module: types.ModuleType) -> None:
            run(module)
            _patch(module)

        loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return types.ModuleType(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        module.PixelFormat = _AnyFormat()  # type: ignore[attr-defined]


class _AnyFormat:
    def __getattr__(self, name: str) -> str:
        return name


def _patch(module: types.ModuleType) -> None:
    names: Any = module
    names.DmaAllocator = _two_plane_allocator(names.libcamera, names.DmaAllocator)
    names.Picamera2._get_raw_modes = lambda _: [{"format": "NV12", "size": (1920, 1080)}]
    success = names.libcamera.FrameMetadata.Status.Success
    names.libcamera.FrameMetadata.status = property(lambda _: success)
    _say_colours(names.libcamera)
    _lock_cameras(names.libcamera.Camera)
    _obey_switch(names)
    _tell_lux(names.CompletedRequest)


def _two_plane_allocator(libcamera: Any, dma_allocator: Any) -> Any:
    class LabAllocator(dma_allocator):  # type: ignore[misc]
        def allocate(self, libcamera_config: Any, use_case: object) -> None:
            super().allocate(libcamera_config, use_case)
            for stream_config in libcamera_config:
                stream = stream_config.stream
                luma = stream_config.stride * stream_config.size.height
                buffers = []
                for one_plane in self.frame_buffers[stream]:
                    fd = one_plane.planes[0].fd
                    planes = [libcamera.FrameBuffer.Plane(), libcamera.FrameBuffer.Plane()]
                    for plane, offset, length in zip(
                        planes, (0, luma), (luma, stream_config.frame_size - luma), strict=True
                    ):
                        plane.fd, plane.offset, plane.length = fd, offset, length
                    buffer = libcamera.FrameBuffer(planes)
                    self.mapped_buffers_used[buffer.planes[0].fd] = False
                    self.libcamera_fds.append(buffer.planes[0].fd)
                    self.mapped_buffers.pop(one_plane).close()
                    self.mapped_buffers[buffer] = mmap.mmap(fd, stream_config.frame_size)
                    buffers.append(buffer)
                self.frame_buffers[stream] = buffers

    return LabAllocator


def _say_colours(libcamera: Any) -> None:
    validate = libcamera.CameraConfiguration.validate

    def adjusted(self: Any) -> Any:
        status = validate(self)
        self.at(0).color_space = libcamera.ColorSpace.Smpte170m()
        return status

    libcamera.CameraConfiguration.validate = adjusted


def _lock_cameras(camera: Any) -> None:
    locks: dict[str, socket.socket] = {}
    acquire, release = camera.acquire, camera.release

    def locked_acquire(self: Any) -> None:
        lock = socket.socket(socket.AF_UNIX)
        try:
            lock.bind(f"\0lab-camera {Path(CAMERAS).stat().st_ino} {self.id}")  # the network namespace is the host's
        except OSError:
            lock.close()
            raise RuntimeError("Failed to acquire camera: Device or resource busy") from None
        try:
            acquire(self)
        except BaseException:
            lock.close()
            raise
        locks[self.id] = lock

    def locked_release(self: Any) -> None:
        release(self)
        locks.pop(self.id).close()

    camera.acquire, camera.release = locked_acquire, locked_release


def _tell_lux(request: Any) -> None:
    get_metadata = request.get_metadata

    def with_lux(self: Any) -> Any:
        try:
            return get_metadata(self) | {"Lux": float(LUX.read_text())}
        except (OSError, ValueError):
            return get_metadata(self)

    request.get_metadata = with_lux


def _pause_s() -> float:
    try:
        return 1 / float(PACE.read_text())
    except (OSError, ValueError, ZeroDivisionError):
        return 0.0


def _obey_switch(names: Any) -> None:
    handle, stop = names.CameraManager.handle_request, names.Picamera2.stop_
    cameras = names.Picamera2.global_camera_info

    def global_camera_info() -> Any:
        return [] if _switched("absent") else cameras()

    def handle_request(self: Any, flushid: int | None = None) -> Any:
        while flushid is None and _switched("stalled", "absent"):
            time.sleep(0.1)
        if flushid is None and _switched("listen-raises"):
            raise RuntimeError("the lab raised this")
        if flushid is None and _switched("seized"):
            ctypes.PyDLL(None).pause()
        if flushid is None and (pause_s := _pause_s()):
            time.sleep(pause_s)
        return handle(self, flushid)

    def stop_(self: Any, request: object = None) -> Any:
        while _switched("hung"):
            time.sleep(0.1)
        return stop(self, request)

    names.CameraManager.handle_request, names.Picamera2.stop_ = handle_request, stop_
    names.Picamera2.global_camera_info = staticmethod(global_camera_info)


sys.meta_path.insert(0, _Patcher())
