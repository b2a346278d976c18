"""The metrics: names, units, labels and help texts. docs/metrics.md has the same for users. Pure."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily

from device import board
from device.ipc.worker_state import WorkerState
from device.telemetry.room_state import PublishState, RoomState
from device.telemetry.status import DeviceState

if TYPE_CHECKING:
    import enum
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from prometheus_client.core import Metric

    from device.metrics.readings import Readings, SpeakerReadings, StreamReadings

PREFIX = "livekit_device"
SPEAKER = "speaker"


def families(readings: Readings) -> Iterator[Metric]:
    """Yield each metric; one whose value is not known has no samples."""
    yield from _device(readings)
    yield from _board(readings)
    yield from _streams(readings.streams)
    yield from _speaker(readings.speaker)
    yield from _workers(readings)


def _device(readings: Readings) -> Iterator[Metric]:
    build = {
        "version": readings.version,
        "sdk_version": readings.sdk_version,
        "python_version": platform.python_version(),
        "model": readings.model,
        "identity": readings.identity,
    }
    yield InfoMetricFamily(f"{PREFIX}_build", "Versions, the board and the device's identity.", build)
    yield _states("state", "The device's state: 1 for the present one.", DeviceState, {(): readings.state}, ())
    yield _states(
        "room_state", "The connection to the room: 1 for its state.", RoomState, {(): readings.room_state}, ()
    )
    yield _gauge("start_time", "When the daemon started, in epoch seconds.", readings.started_at, "seconds")
    yield _gauge("uptime", "For how long the daemon has been running.", readings.uptime_s, "seconds")
    yield _gauge("resident_memory", "The daemon's memory, without workers.", readings.memory_bytes, "bytes")
    yield _gauge("clock_offset", "How far the clock is ahead of the server's.", readings.clock_offset_s, "seconds")
    yield _gauge("round_trip", "Round trip of the media connection.", readings.round_trip_s, "seconds")
    rejoins = CounterMetricFamily(
        f"{PREFIX}_rejoins", "Ended sessions, after which it joins again.", labels=("reason",)
    )
    for reason, count in readings.rejoins.items():
        rejoins.add_metric((reason,), count)
    yield rejoins


def _board(readings: Readings) -> Iterator[Metric]:
    text = "The temperature of the processor."
    yield _gauge("board_temperature", text, readings.temperature_celsius, "celsius")
    throttled = GaugeMetricFamily(
        f"{PREFIX}_board_throttled",
        "Why the firmware lowers the speed: 1 for each reason that holds.",
        labels=("reason",),
    )
    if readings.throttled is not None:
        for reason in board.REASONS:
            throttled.add_metric((_label(reason),), reason in readings.throttled)
    yield throttled


def _streams(streams: Iterable[StreamReadings]) -> Iterator[Metric]:
    streams = tuple(streams)
    info = InfoMetricFamily(f"{PREFIX}_stream", "What a stream is.", labels=("stream",))
    for each in streams:
        info.add_metric((each.name,), {"kind": each.kind})
    yield info
    states: dict[tuple[str, ...], str] = {(each.name,): each.state for each in streams}
    yield _states("stream_state", "The source and its worker: 1 for its state.", WorkerState, states, ("stream",))
    states = {(each.name,): each.publication for each in streams}
    yield _states("stream_publication", "The track in the room: 1 for its state.", PublishState, states, ("stream",))
    ages = GaugeMetricFamily(
        f"{PREFIX}_stream_frame_age",
        "The age of the newest frame that has reached a stage.",
        labels=("stream", "stage"),
        unit="seconds",
    )
    for each in streams:
        for stage, age_s in each.ages_s.items():
            ages.add_metric((each.name, stage), age_s)
    yield ages

    def gauge(name: str, text: str, value: Callable[[StreamReadings], float | None], unit: str) -> Metric:
        family = GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=("stream",), unit=unit)
        for each in streams:
            if (found := value(each)) is not None:
                family.add_metric((each.name,), found)
        return family

    yield gauge("stream_sent", "What is sent, with RTP.", lambda each: each.bitrate_bps / 8, "bytes_per_second")
    yield gauge("stream_target", "What the room asks for.", _target, "bytes_per_second")
    yield gauge("stream_width", "The picture's width.", lambda each: each.size and each.size[0], "pixels")
    yield gauge("stream_height", "The picture's height.", lambda each: each.size and each.size[1], "pixels")
    yield gauge("stream_packet_loss", "Lost packets in the newest report.", lambda each: each.lost, "ratio")
    yield gauge("stream_watched", "1 if viewers have subscribed to it.", lambda each: each.watched, "")
    yield from _counters(streams)


def _counters(streams: Iterable[StreamReadings]) -> Iterator[Metric]:
    frames = CounterMetricFamily(f"{PREFIX}_stream_frames", "Frames or blocks given to the SDK.", labels=("stream",))
    sent = CounterMetricFamily(f"{PREFIX}_stream_sent", "What was sent, with RTP.", labels=("stream",), unit="bytes")
    text = "Frames or blocks that were dropped."
    drops = CounterMetricFamily(f"{PREFIX}_stream_dropped", text, labels=("stream", "cause"))
    text = "For how long viewers were subscribed to it."
    watched = CounterMetricFamily(f"{PREFIX}_stream_watched", text, labels=("stream",), unit="seconds")
    for each in streams:
        if each.watched_s is not None:
            watched.add_metric((each.name,), each.watched_s)
        frames.add_metric((each.name,), each.frames)
        sent.add_metric((each.name,), each.sent_bytes)
        for cause, count in each.drops.items():
            drops.add_metric((each.name, cause), count)
    yield from (frames, sent, watched, drops)


def _speaker(speaker: SpeakerReadings | None) -> Iterator[Metric]:
    present: dict[tuple[str, ...], str] = {(): speaker.state} if speaker else {}
    yield _states("speaker_state", "The speaker and its worker: 1 for its state.", WorkerState, present, ())
    talkers = speaker.talkers if speaker else None
    yield _gauge("speaker_talkers", "Participants whose voice is played now.", talkers, "")


def _workers(readings: Readings) -> Iterator[Metric]:
    """Return what is known of each worker; `speaker` is reserved: no stream can have that name."""
    workers: dict[str, StreamReadings | SpeakerReadings] = {each.name: each for each in readings.streams}
    if readings.speaker:
        workers[SPEAKER] = readings.speaker
    text = "The memory of a stream's worker."
    memory = GaugeMetricFamily(f"{PREFIX}_worker_resident_memory", text, labels=("stream",), unit="bytes")
    text = "Workers that ended, after which another one is started."
    restarts = CounterMetricFamily(f"{PREFIX}_worker_restarts", text, labels=("stream", "reason"))
    for name, each in workers.items():
        if each.worker_memory_bytes is not None:
            memory.add_metric((name,), each.worker_memory_bytes)
        for reason, count in each.restarts.items():
            restarts.add_metric((name, reason), count)
    yield from (memory, restarts)


def _target(stream: StreamReadings) -> float | None:
    return None if stream.target_bps is None else stream.target_bps / 8


def _gauge(name: str, text: str, value: float | None, unit: str) -> Metric:
    family = GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=(), unit=unit)
    if value is not None:
        family.add_metric((), value)
    return family


def _states(
    name: str, text: str, known: type[enum.Enum], present: Mapping[tuple[str, ...], str], labels: tuple[str, ...]
) -> Metric:
    """Return a sample for each known state, with a label `state`; `present` has the state by the other labels."""
    family = GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=(*labels, "state"))
    for values, state in present.items():
        for each in known:
            family.add_metric((*values, _label(each.value)), each.value == state)
    return family


def _label(text: str) -> str:
    return text.replace(" ", "_").replace("-", "_")
