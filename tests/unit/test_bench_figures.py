"""The figures that `make bench` computes from its measurements."""

from __future__ import annotations

import json
import math
import os
import threading

import numpy as np
import numpy.typing as npt
import pytest

from tests.bench import accounts, figures, report, targets
from tests.bench.rows import ROWS
from tests.bench.voice import voice

RATE = 48_000
# proc_pid_stat(5), with a difficult name
STAT = "42 (a (b) 7 c) S 1 42 42 0 -1 4194304 500 0 3 0 130 20 40 10 20 0 9 0 100 1000000 500 18446744073709551615 1"


def test_processor_time_counts_reaped_children_if_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "_TICKS", 100)
    assert accounts.used_s(STAT, reaped=False) == pytest.approx(1.5)
    assert accounts.used_s(STAT, reaped=True) == pytest.approx(2.0)
    assert accounts.name_in(STAT) == "a (b) 7 c"


def test_shared_pages_count_by_their_share() -> None:
    text = "5590-7ffd ---p 00000000 00:00 0    [rollup]\nRss:      9000 kB\nPss:      1234 kB\nPss_Anon:   99 kB\n"
    assert accounts.share_bytes(text) == 1234 * 1024
    assert accounts.share_bytes(text, kind="Pss_Anon") == 99 * 1024
    assert accounts.share_bytes("") == 0


def test_voluntary_context_switches_are_counted_alone() -> None:
    status = "Threads:\t1\nvoluntary_ctxt_switches:\t150\nnonvoluntary_ctxt_switches:\t545\n"
    assert accounts.voluntary_switches(status) == 150
    assert accounts.voluntary_switches("") == 0


def test_this_process_is_in_the_list() -> None:
    used_before = accounts.used_by_process(os.getpid())["daemon"]
    while accounts.used_by_process(os.getpid())["daemon"].cpu_s < used_before.cpu_s + 0.05:
        pass
    assert accounts.cpu_s(os.getpid()) >= used_before.cpu_s + 0.05
    waits = threading.Event()
    for _ in range(10):
        waits.wait(0.0001)
    used = accounts.used_by_process(os.getpid())["daemon"]
    assert used.waits - used_before.waits >= 10
    total, anonymous = accounts.pss_bytes(os.getpid())
    assert total > anonymous > 1 << 20
    assert sum(used_s for used_s, _ in accounts.threads(os.getpid()).values()) >= 0.05


@pytest.mark.parametrize(
    ("cmdline", "name"),
    (
        (b"python\0-P\0-m\0device.workers.camera\x003\0", "camera"),
        (b"python\0-P\0-m\0device.workers.microphone\x003\0", "microphone"),
        (b"python\0-m\0device\0run\0", "daemon"),
    ),
)
def test_processes_are_named_by_their_command(cmdline: bytes, name: str) -> None:
    assert accounts.process_name(cmdline) == name


def test_percentiles_are_by_the_nearest_rank() -> None:
    assert figures.percentile(range(1, 101), 99) == 99
    assert figures.percentile([3, 1, 2], 50) == 2
    assert figures.percentile([7], 99) == 7
    assert math.isnan(figures.percentile([], 50))


def test_medians_ignore_missing_values() -> None:
    found = figures.medians([{"a": 1.0, "b": math.nan}, {"a": 9.0, "b": 4.0}, {"a": 2.0, "b": math.nan}])
    assert found == {"a": 2.0, "b": 4.0}
    assert math.isnan(figures.medians([{"a": math.nan}])["a"])


def _noise(seed: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (24, 31), np.uint8)


def _ssim_by_the_book(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> float:
    """Return the mean over each window, computed one by one, with population variances."""
    found = []
    for row in range(one.shape[0] - 7):
        for column in range(one.shape[1] - 7):
            x, y = (plane[row : row + 8, column : column + 8].astype(float) for plane in (one, other))
            covariance = ((x - x.mean()) * (y - y.mean())).mean()
            c1, c2 = 6.5025, 58.5225
            found.append(
                (2 * x.mean() * y.mean() + c1)
                * (2 * covariance + c2)
                / ((x.mean() ** 2 + y.mean() ** 2 + c1) * (x.var() + y.var() + c2))
            )
    return float(np.mean(found))


def test_ssim_matches_its_definition() -> None:
    one = _noise(1)
    near = np.clip(one.astype(int) + np.random.default_rng(2).integers(-9, 10, one.shape), 0, 255).astype(np.uint8)
    assert figures.ssim(one, one) == pytest.approx(1)
    for other in (near, _noise(3), np.full_like(one, 128)):
        assert figures.ssim(one, other) == pytest.approx(_ssim_by_the_book(one, other), abs=1e-9)
    assert figures.ssim(one, near) > 0.9
    assert figures.ssim(one, _noise(3)) < 0.1


def test_latency_is_measured_from_the_latest_capture_of_a_number() -> None:
    sent = [(0, 1_000_000), (1, 1_033_000), (0, 11_000_000), (1, 11_033_000)]
    received = [(1, 1_043_000), (0, 11_025_000), (7, 11_030_000), (1, 1_000_000)]
    assert figures.latencies_ms(sent, received) == pytest.approx([10, 25])


def test_the_longest_gap_is_between_neighbours() -> None:
    assert figures.longest_gap_ms([0, 33_000, 166_000, 199_000]) == pytest.approx(133)
    assert math.isnan(figures.longest_gap_ms([5]))


def test_the_voice_is_always_the_same_and_has_pauses() -> None:
    samples = voice(2 * RATE, rate=RATE)
    assert samples.shape == (2 * RATE,)
    assert np.max(np.abs(samples)) == 1
    assert np.array_equal(samples, voice(2 * RATE, rate=RATE))
    quiet = np.max(np.abs(samples.reshape(-1, RATE // 100)), axis=1) < 0.001
    assert 0.05 < np.mean(quiet) < 0.5


def test_each_flash_is_paired_with_the_nearest_beep() -> None:
    pictures = [(number, number * 33_333) for number in range(25, 100)]
    seen = figures.flashes(pictures, every=30)
    assert seen == pytest.approx([1.0, 2.0, 3.0], abs=0.001)
    assert figures.skews_ms(seen, [1.02, 1.97, 5.0]) == pytest.approx([20, -30], abs=0.1)
    assert figures.skews_ms([1.0], []) == []


def test_a_beep_begins_at_the_first_loud_sample_after_quiet() -> None:
    tone = np.full(480, 1600, np.int16)
    beep = np.where(np.arange(480) % 48 < 24, 9800, -9800).astype(np.int16)
    half = np.concatenate((tone[:240], beep[240:]))
    blocks = [tone] * 60 + [half] + [beep] * 9 + [tone] * 90 + [half, beep] + [tone] * 10 + [beep]
    timed = [(100 + 0.01 * number, block) for number, block in enumerate(blocks)]
    found = figures.onsets(timed, rate=RATE, level=4000, quiet_s=0.5)
    assert found == pytest.approx([100.605, 101.605], abs=0.0001)


def _figures(**others: float) -> dict[str, float]:
    usual = {
        "cpu_s_per_1000": 6.0,
        "daemon_cpu_s_per_1000": 2.0,
        "camera_cpu_s_per_1000": 4.0,
        "daemon_waits_per_s": 100.0,
        "camera_waits_per_s": 60.0,
        "pss_mb": 100.0,
        "anonymous_mb": 50.0,
        "start_s": 0.8,
        "latency_p50_ms": 25.0,
        "latency_p99_ms": 35.0,
        "idle_percent": 80.0,
        "skew_p50_ms": -3.0,
        "skew_p95_ms": 20.0,
        "bitrate_kbps": 1500.0,
        "sound_kbps": 48.0,
        "picture_gap_ms": 50.0,
        "sound_gap_ms": 0.0,
        "ssim": 0.95,
        "frames_per_s": 30.0,
        "late_s": 0.4,
    }
    return usual | others


def test_targets_are_held_missed_or_not_measured() -> None:
    rows = {
        "x264": _figures(),
        "copy": _figures(cpu_s_per_1000=4.0, daemon_cpu_s_per_1000=2.5, bitrate_kbps=1400.0, skew_p95_ms=46.0),
        "example": _figures(pss_mb=98.0, start_s=0.75),
        "sink": _figures(cpu_s_per_1000=5.0, pss_mb=101.0),
        "silence": _figures(sound_kbps=11.0),
    }
    found = {each.what: each for each in targets.judged(rows)}
    assert {what: each.result for what, each in found.items()} == {
        "bitrate of the compared rows: highest to lowest": "MISSED",
        "CPU, x264": "MISSED",
        "CPU, passing through": "not measured",
        "of that, the daemon's own process": "MISSED",
        "PSS, x264": "held",
        "PSS, passing through": "MISSED",
        "start to first decoded frame, x264": "held",
        "start to first decoded frame, passing through": "held",
        "latency p50, x264: the floor's + 10": "not measured",
        "latency p99, x264: the floor's + 20": "not measured",
        "skew of flash and beep p95, x264": "held",
        "skew of flash and beep p95, passing through": "MISSED",
        "sound during speech, x264": "held",
        "sound during speech, passing through": "held",
        "sound in silence": "held",
        "waits of the daemon, x264": "held",
        "waits of the daemon, passing through": "held",
    }
    assert found["CPU, x264"].measured == pytest.approx(1.2)
    with_floor = rows | {"floor": _figures(cpu_s_per_1000=1.0, latency_p50_ms=14.0, latency_p99_ms=20.0)}
    results = {each.what: each.result for each in targets.judged(with_floor)}
    assert results["CPU, passing through"] == "MISSED"
    assert results["latency p50, x264: the floor's + 10"] == "MISSED"
    assert results["latency p99, x264: the floor's + 20"] == "held"


def test_results_show_bound_and_measurement() -> None:
    found = [targets.Target("waits", 1234.5, 740.0, "per s"), targets.Target("CPU", math.nan, 3.2, "x the floor")]
    assert report.results(found).splitlines()[2:] == [
        "| waits | 740 per s | 1234 | MISSED |",
        "| CPU | 3.2 x the floor | - | not measured |",
    ]


def test_the_tables_mark_a_missing_publisher() -> None:
    both = report.tables({"x264": _figures(ssim=math.nan)}, {"floor": "not installed: go"}).split("\n\n")
    assert len(both) == 2
    for text in both:
        lines = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in text.splitlines()]
        assert {len(line) for line in lines} == {len(lines[0])}
        assert [line[0] for line in lines[2:]] == ["this daemon, x264", "Go SDK, pre-encoded: the floor"]
        assert lines[3][1] == "not installed: go"
        for name, cell in zip(lines[0], lines[2], strict=True):
            assert (cell == "-") == (name == "SSIM")


def test_a_figure_that_was_not_measured_is_a_dash() -> None:
    text = report.tables({"idle": {"cpu_s_per_1000": 0.5, "skew_p50_ms": math.nan}}, {})
    assert "| this daemon, no camera, no microphone | 0.50 | - | - | - / - | - | -, - |" in text


def test_json_has_null_for_missing_values() -> None:
    row = _figures(ssim=math.nan)
    judged = targets.judged({"x264": row})
    text = report.as_json({"x264": row}, {"x264": [row]}, {"floor": "not installed: go"}, judged)
    found = json.loads(text, parse_constant=pytest.fail)
    assert found["medians"]["x264"]["ssim"] is None
    assert found["runs"]["x264"][0]["pss_mb"] == 100.0
    assert found["missing"] == {"floor": "not installed: go"}
    assert {each["result"] for each in found["targets"]} == {"held", "not measured"}


def test_rows_have_unique_names() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_the_document_is_updated_between_its_markers() -> None:
    document = "# A\n<!-- measured: begin -->\nold\n<!-- measured: end -->\nrest\n"
    new = report.between_markers(document, "new\n", part="measured")
    assert new == "# A\n<!-- measured: begin -->\nnew\n<!-- measured: end -->\nrest\n"
    assert report.between_markers(new, "new", part="measured") == new
    with pytest.raises(ValueError, match="profile: begin"):
        report.between_markers(document, "new", part="profile")
    for part in ("measured", "profile"):
        assert "x" in report.between_markers(report.DOCUMENT.read_text(), "x", part=part)
