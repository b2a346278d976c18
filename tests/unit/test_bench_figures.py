"""The figures that `make bench` computes from its measurements."""

from __future__ import annotations

import json
import math
import os

import numpy as np
import numpy.typing as npt
import pytest

from tests.bench import accounts, figures, report
from tests.bench.profile import process_name

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
    assert accounts.share_bytes("") == 0


def test_this_process_is_in_the_list() -> None:
    before = accounts.cpu_s(os.getpid())
    deadline = before + 0.05
    while accounts.cpu_s(os.getpid()) < deadline:
        pass
    assert accounts.pss_bytes(os.getpid()) > 1 << 20
    assert sum(accounts.threads_s(os.getpid()).values()) >= 0.05


@pytest.mark.parametrize(
    ("cmdline", "name"),
    (
        (b"python\0-P\0-m\0device.workers.camera\x003\0", "camera"),
        (b"python\0-P\0-m\0device.workers.microphone\x003\0", "microphone"),
        (b"python\0-m\0device\0run\0", "daemon"),
    ),
)
def test_processes_are_named_by_their_command(cmdline: bytes, name: str) -> None:
    assert process_name(cmdline) == name


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
        "pss_mb": 100.0,
        "start_s": 0.8,
        "latency_p50_ms": 25.0,
        "latency_p99_ms": 35.0,
        "idle_percent": 80.0,
        "skew_p50_ms": -3.0,
        "skew_p95_ms": 20.0,
        "bitrate_kbps": 2500.0,
        "ssim": 0.95,
        "frames_per_s": 30.0,
        "late_s": 0.4,
        "key_frame_s": 0.05,
    }
    return usual | others


def test_targets_are_held_missed_or_not_measured() -> None:
    rows = {
        "x264": _figures(),
        "copy": _figures(cpu_s_per_1000=4.0, ssim=0.945),
        "example": _figures(cpu_s_per_1000=15.0, pss_mb=98.0, start_s=1.15, ssim=0.96),
    }
    found = {each.what: each for each in report.targets(rows)}
    assert found["CPU, x264"].result == "held"
    assert found["CPU, x264"].measured == pytest.approx(0.4)
    assert found["CPU, passing through"].result == "MISSED"
    assert found["PSS, passing through"].result == "MISSED"
    assert found["latency p50, x264: the floor's + 10"].result == "not measured"
    assert found["SSIM: best less worst row"].result == "MISSED"
    assert found["key frame after the request of a late viewer"].result == "held"
    with_floor = rows | {"floor": _figures(latency_p50_ms=14.0, latency_p99_ms=20.0)}
    judged = {each.what: each.result for each in report.targets(with_floor)}
    assert judged["latency p50, x264: the floor's + 10"] == "MISSED"
    assert judged["latency p99, x264: the floor's + 20"] == "held"


def test_the_table_marks_a_missing_publisher() -> None:
    text = report.table({"x264": _figures(ssim=math.nan)}, {"floor": "not installed: go"})
    lines = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in text.splitlines()]
    assert {len(line) for line in lines} == {len(lines[0])}
    assert [line[0] for line in lines[2:]] == ["this daemon, x264", "Go SDK, pre-encoded: the floor"]
    assert lines[2][lines[0].index("SSIM")] == "-"
    assert lines[3][1] == "not installed: go"


def test_json_has_null_for_missing_values() -> None:
    row = _figures(ssim=math.nan)
    text = report.as_json({"x264": row}, {"x264": [row]}, {"floor": "not installed: go"})
    found = json.loads(text, parse_constant=pytest.fail)
    assert found["medians"]["x264"]["ssim"] is None
    assert found["runs"]["x264"][0]["pss_mb"] == 100.0
    assert found["missing"] == {"floor": "not installed: go"}
    assert {each["result"] for each in found["targets"]} == {"held", "not measured"}


def test_the_document_is_updated_between_its_markers() -> None:
    document = "# A\n<!-- measured: begin -->\nold\n<!-- measured: end -->\nrest\n"
    new = report.between_markers(document, "new\n", part="measured")
    assert new == "# A\n<!-- measured: begin -->\nnew\n<!-- measured: end -->\nrest\n"
    assert report.between_markers(new, "new", part="measured") == new
    with pytest.raises(ValueError, match="profile: begin"):
        report.between_markers(document, "new", part="profile")
    for part in ("measured", "profile"):
        assert "x" in report.between_markers(report.DOCUMENT.read_text(), "x", part=part)
