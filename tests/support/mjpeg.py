"""A camera that sends pictures in JPEG over HTTP, one after the other, as many do."""

from __future__ import annotations

import io
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterator

_FPS = 15
_ENDING = threading.Event()


def _picture(number: int) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (320, 240), (number % 256, 128, 128)).save(data, "jpeg")
    return data.getvalue()


class _Camera(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        number = 0
        while not _ENDING.wait(1 / _FPS):
            number += 1
            picture = _picture(number)
            head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
            try:
                self.wfile.write(head.encode() + picture + b"\r\n")
            except OSError:
                return

    def log_message(self, *_arguments: object) -> None:
        """Print nothing."""


@contextmanager
def mjpeg_camera() -> Iterator[str]:
    """Run one; yield its URL."""
    _ENDING.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Camera)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="mjpeg-camera", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/video.mjpg"
    finally:
        _ENDING.set()
        server.shutdown()
        server.server_close()
        thread.join()
