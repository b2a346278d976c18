"""The consumers of one stream do not affect each other."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from device.streams.fanout import Fanout


class Recorder:
    """Keeps what it was handed; fails from a unit on."""

    def __init__(self, *, fails_from: int = 10**9) -> None:
        self.units: list[int] = []
        self.starts = 0
        self._fails_from = fails_from

    def deliver(self, unit: int) -> None:
        if unit >= self._fails_from:
            raise OSError("no space left")
        self.units.append(unit)

    def worker_started(self) -> None:
        self.starts += 1


def test_a_consumer_that_fails_is_logged_and_the_others_have_every_unit() -> None:
    track, broken, recorder = Recorder(), Recorder(fails_from=2), Recorder()
    fanout = Fanout[int]("porch")
    fanout.add(track, essential=True)
    fanout.add(broken)
    fanout.add(recorder)
    with capture_logs() as lines:
        for unit in range(10):
            fanout.deliver(unit)
    assert (track.units, recorder.units, broken.units) == (list(range(10)), list(range(10)), [0, 1])
    failed = [line for line in lines if line["event"] == "stream.consumer_failed"]
    assert [line["times"] for line in failed] == [1, 2, 4, 8]
    assert {(line["stream"], line["consumer"]) for line in failed} == {("porch", "Recorder")}


def test_an_error_of_the_track_is_raised_when_the_others_have_the_unit() -> None:
    track, recorder = Recorder(fails_from=0), Recorder()
    fanout = Fanout[int]("porch")
    fanout.add(track, essential=True)
    fanout.add(recorder)
    with pytest.raises(OSError, match="no space"):
        fanout.deliver(1)
    assert recorder.units == [1]


def test_a_consumer_that_left_gets_nothing_more() -> None:
    track, recorder = Recorder(), Recorder()
    fanout = Fanout[int]("porch")
    fanout.add(track, essential=True)
    fanout.add(recorder)
    fanout.deliver(1)
    fanout.worker_started()
    fanout.remove(recorder)
    fanout.deliver(2)
    fanout.worker_started()
    assert (track.units, recorder.units) == ([1, 2], [1])
    assert (track.starts, recorder.starts) == (2, 1)
