"""Files that are cut, empty or something else: each error names the file, and none is a mistake of ours."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from device.workers.child import running
from device.workers.wire import Kind, Message
from tests.unit.workers.watched import CAMERA, LIMIT_S, MICROPHONE

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_orphans")


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return an MP4 whose index comes first, as phones write it for the web."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    with av.open(path, "w", options={"movflags": "faststart"}) as container:
        video: Any = container.add_stream("libx264", rate=30)
        video.width, video.height, video.pix_fmt = 320, 180, "yuv420p"
        chance = np.random.default_rng(1)
        for _ in range(60):
            noise = chance.integers(0, 255, (270, 320), np.uint8)
            container.mux(video.encode(VideoFrame.from_ndarray(noise, format="yuv420p")))
        container.mux(video.encode(None))
    return path.read_bytes()


def failure(module: str, settings: dict[str, Any]) -> tuple[str, str]:
    """Return what operators and viewers read when a worker that runs this ends; empty if it delivers."""

    async def main() -> tuple[str, str]:
        media = asyncio.Event()

        def on_message(message: Message) -> None:
            if message.kind in (Kind.UNIT, Kind.BLOCK):
                media.set()

        async with running(name="worker", module=module, settings=settings, on_message=on_message) as child:
            delivered = asyncio.create_task(media.wait())
            waits: set[asyncio.Future[Any]] = {child.gone, delivered}
            async with asyncio.timeout(LIMIT_S):
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            delivered.cancel()
            return (child.gone.result(), child.for_viewers) if child.gone.done() else ("", "")

    return asyncio.run(main())


@pytest.mark.parametrize("encoder", ("x264", "copy"))
@pytest.mark.parametrize("size", (0, 40, 406, 1200, 0.1, 0.4))
def test_a_cut_film_plays_what_is_there_or_names_the_file(
    film: bytes, tmp_path: Path, size: float, encoder: str
) -> None:
    path = tmp_path / "cut film.mp4"
    path.write_bytes(film[: size if isinstance(size, int) else int(len(film) * size)])
    settings = CAMERA.to_wire() | {"source": "file", "path": str(path), "encoder": encoder}
    message, public = failure("device.workers.camera", settings)
    assert "NoneType" not in message
    assert str(tmp_path) not in public
    if message:
        assert message.startswith(f"{path}: "), message
        assert public.startswith("the file ")


@pytest.mark.parametrize("content", (b"", b"RIFF", b"no sound at all" * 100, b"\0" * 5000))
def test_a_microphone_file_that_is_none_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "sound.wav"
    path.write_bytes(content)
    settings = MICROPHONE.to_wire() | {"source": "file", "path": str(path)}
    message, public = failure("device.workers.microphone", settings)
    assert message.startswith(f"{path}: "), message
    assert public.startswith("the file ")
