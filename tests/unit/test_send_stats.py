"""What is sent, in words, and when it is worth telling."""

from __future__ import annotations

from device.tracks.send_stats import SendMeter, SendSummary, Sent


def sent(*, width: int = 1280, height: int = 720, fps: float = 30.0, bitrate_bps: float = 1_000_000) -> Sent:
    return Sent(width=width, height=height, fps=fps, bitrate_bps=bitrate_bps)


def test_in_words() -> None:
    assert str(sent(fps=29.9, bitrate_bps=2_449_000)) == "1280x720 at 30 fps, 2.4 Mbit/s"
    assert str(sent(width=960, height=540, fps=15.2, bitrate_bps=244_000)) == "960x540 at 15 fps, 240 kbit/s"
    assert str(sent(bitrate_bps=3_000)) == "1280x720 at 30 fps, 10 kbit/s"


def test_a_look_says_what_was_sent_since_the_last() -> None:
    meter = SendMeter()
    assert meter.measure(5.0) is None
    for number in range(30):
        meter.count(1000, number=number, width=640, height=360, now=10 + number / 30)
    assert meter.measure(10.5) is None
    assert meter.measure(11.0) == sent(width=640, height=360, fps=30, bitrate_bps=240_000)
    assert meter.measure(12.0) is None


def test_a_picture_that_is_sent_several_times_counts_once_with_all_its_bytes() -> None:
    meter = SendMeter()
    for number in range(15):
        for _ in range(3):
            meter.count(1000, number=number, width=640, height=360, now=10 + number / 15)
    assert meter.measure(11.0) == sent(width=640, height=360, fps=15, bitrate_bps=360_000)


def test_another_size_begins_a_new_count() -> None:
    meter = SendMeter()
    for number in range(15):
        meter.count(9000, number=number, width=1280, height=720, now=number / 30)
    for number in range(15):
        meter.count(1000, number=number, width=640, height=360, now=0.5 + number / 15)
    assert meter.measure(1.0) is None
    assert meter.measure(1.5) == sent(width=640, height=360, fps=15, bitrate_bps=120_000)


def test_size_is_news_at_once_the_rates_now_and_then() -> None:
    news = SendSummary()
    assert news.update(sent(), 0) == "1280x720 at 30 fps, 1.0 Mbit/s"
    assert news.update(sent(bitrate_bps=400_000), 9.9) is None
    assert news.update(sent(bitrate_bps=400_000), 10.1) == "1280x720 at 30 fps, 400 kbit/s"
    assert news.update(sent(bitrate_bps=350_000), 60) is None
    assert news.update(sent(fps=15, bitrate_bps=350_000), 61) == "1280x720 at 15 fps, 350 kbit/s"
    assert news.update(sent(fps=30, bitrate_bps=350_000), 62) is None
    assert news.update(sent(width=640, height=360, fps=14), 63) == "640x360 at 14 fps, 1.0 Mbit/s"
