"""Each liveness detector alone, in virtual time."""

from __future__ import annotations

import pytest

from device.room.liveness.address_change import AddressChange
from device.room.liveness.progress import Moving, Progress, StreamProgress
from device.room.liveness.reconnect_timeout import ReconnectTimeout
from device.room.liveness.send_stall import SendStall
from device.room.liveness.transport_silence import TransportSilence
from device.room.reasons import (
    ADDRESS_CHANGED,
    DELIVERY_STALLED,
    SDK_RECONNECTING,
    SERVER_AWAY,
    SERVER_RETURNED,
    Reason,
)
from device.telemetry.transport_stats import Report, TransportStats

HERE, THERE = "ws://one.example", "ws://two.example"
NOW = 1000.0


def progress(*, responses: float = float("-inf"), **streams: StreamProgress) -> Progress:
    """Return what moved: STUN responses at a time, and streams by name."""
    found = Progress()
    if responses > 0:
        found.responses.update("some", responses)
    found.streams.update(streams)
    return found


def stream(*, fed_since: float | None, sent: float, report: float) -> StreamProgress:
    return StreamProgress(fed=Moving(1, NOW), sent=Moving(1, sent), report=Moving(1, report), fed_since=fed_since)


def culprit(reason: Reason | None) -> tuple[str, str, float] | None:
    return (reason.name, reason.culprit, round(reason.age_s, 2)) if reason else None


def silence(*, published_at: float = NOW - 100) -> TransportSilence:
    return TransportSilence(stall_s=4.0, url=HERE, published_at=published_at)


@pytest.mark.parametrize("silent_s", (0.0, 2.0, 3.9, 4.0))
def test_a_transport_that_is_silent_for_less_than_the_limit_is_alive(silent_s: float) -> None:
    assert silence().reason(progress(responses=NOW - silent_s), NOW) is None


def test_a_silent_transport_is_a_stall_with_its_age() -> None:
    assert culprit(silence().reason(progress(responses=NOW - 4.5), NOW)) == (DELIVERY_STALLED.name, "transport", 4.5)


def test_a_report_of_any_stream_keeps_the_transport_alive() -> None:
    camera = stream(fed_since=NOW - 50, sent=NOW - 50, report=NOW - 1)
    assert silence().reason(progress(responses=NOW - 60, camera=camera), NOW) is None


def test_the_first_confirmation_may_take_ten_seconds() -> None:
    assert silence(published_at=NOW - 10).reason(progress(), NOW) is None
    assert culprit(silence(published_at=NOW - 10.5).reason(progress(), NOW)) == (
        DELIVERY_STALLED.name,
        "transport",
        10.5,
    )


def test_answered_probes_shorten_the_limit_only_where_reports_had_come() -> None:
    camera = stream(fed_since=NOW - 50, sent=NOW, report=NOW - 3.5)
    for known, fires in ((progress(camera=camera), True), (progress(responses=NOW - 3.5), False)):
        detector = silence()
        detector.probed(HERE, NOW - 1.5)
        detector.probed(HERE, NOW - 0.5)
        assert (detector.reason(known, NOW) is not None) == fires
        detector.confirmed()
        assert detector.reason(known, NOW) is None


def test_a_transport_in_doubt_is_probed_once_a_second() -> None:
    detector, known = silence(), progress(responses=NOW, camera=stream(fed_since=NOW - 50, sent=NOW, report=NOW))
    assert not detector.wants_probe(known, NOW + 2)
    assert detector.wants_probe(known, NOW + 2.1)
    detector.probed(None, NOW + 2.1)
    assert not detector.wants_probe(known, NOW + 3)
    assert detector.wants_probe(known, NOW + 3.1)


def test_what_sends_nothing_because_nobody_watches_is_in_doubt_later_and_over_in_the_same_time() -> None:
    """STUN responses are up to 2.5 s apart: a probe for each of them would use the link."""
    detector, known = silence(), progress(responses=NOW)
    assert not detector.wants_probe(known, NOW + 2.7)
    assert not detector.is_late(known, NOW + 2.7)
    assert detector.wants_probe(known, NOW + 2.8)
    assert detector.reason(known, NOW + 4) is None
    assert detector.reason(known, NOW + 4.1) is not None


def test_a_stream_that_is_fed_but_not_sent_is_named() -> None:
    camera = stream(fed_since=NOW - 50, sent=NOW - 3, report=NOW - 0.5)
    microphone = stream(fed_since=NOW - 50, sent=NOW, report=NOW)
    found = progress(responses=NOW, porch=camera, hall=microphone)
    assert culprit(SendStall(stall_s=4).reason(found, NOW)) == (DELIVERY_STALLED.name, "porch sending", 3.0)


def test_a_stream_that_is_sent_but_not_reported_is_named() -> None:
    camera = stream(fed_since=NOW - 50, sent=NOW, report=NOW - 10.5)
    found = progress(responses=NOW, porch=camera)
    assert culprit(SendStall(stall_s=4).reason(found, NOW)) == (DELIVERY_STALLED.name, "porch transport", 10.5)


def test_a_stream_that_is_not_fed_is_never_a_stall() -> None:
    camera = stream(fed_since=None, sent=NOW - 90, report=NOW - 90)
    assert SendStall(stall_s=4).reason(progress(responses=NOW, porch=camera), NOW) is None


def test_a_recovery_restarts_the_limits_of_every_stream() -> None:
    detector = SendStall(stall_s=4)
    found = progress(responses=NOW, porch=stream(fed_since=NOW - 50, sent=NOW - 30, report=NOW - 30))
    assert detector.reason(found, NOW) is not None
    detector.resumed(NOW)
    assert detector.reason(found, NOW) is None
    found.responses.update("others", NOW + 3)
    assert culprit(detector.reason(found, NOW + 3)) == (DELIVERY_STALLED.name, "porch sending", 3.0)


def test_two_streams_of_one_kind_are_followed_apart() -> None:
    found = Progress()
    for second in range(20):
        stats = TransportStats(
            responses=second,
            reports={"front": Report(second, 0.1), "back": Report(min(second, 5), 0.1)},
            sent={"front": second, "back": min(second, 5)},
        )
        found.update(stats, {"front": second, "back": second}, NOW + second)
    assert found.streams["front"].sent.changed_at == NOW + 19
    assert found.streams["back"].sent.changed_at == NOW + 5
    reason = SendStall(stall_s=4).reason(found, NOW + 19)
    assert reason
    assert reason.culprit == "back sending"


@pytest.mark.parametrize(
    ("probes", "reason"),
    (
        ((None, HERE), SERVER_RETURNED),
        ((THERE,), SERVER_AWAY),
        ((HERE, HERE), None),
        ((None,), None),
    ),
)
def test_probes_decide_while_the_sdk_reconnects(probes: tuple[str | None, ...], reason: Reason | None) -> None:
    detector = ReconnectTimeout(url=HERE)
    for url in probes:  # without a reconnection they mean nothing
        detector.probed(url, NOW)
    assert detector.reason(NOW) is None
    assert detector.update(reconnecting=True, now=NOW) is False
    for url in probes:
        detector.probed(url, NOW)
    assert detector.reason(NOW + 1) is reason


def test_the_sdk_may_reconnect_for_fifteen_seconds() -> None:
    detector = ReconnectTimeout(url=HERE)
    detector.update(reconnecting=True, now=NOW)
    assert detector.reason(NOW + 15) is None
    assert detector.reason(NOW + 15.1) is SDK_RECONNECTING
    assert detector.update(reconnecting=False, now=NOW + 16) is True
    assert detector.reason(NOW + 99) is None


def test_a_server_that_is_back_has_a_moment_in_which_the_sdk_may_use_it() -> None:
    detector = ReconnectTimeout(url=HERE)
    detector.update(reconnecting=True, now=NOW)
    detector.probed(None, NOW + 1)
    assert not detector.settling
    detector.probed(HERE, NOW + 2)
    assert detector.settling
    assert detector.reason(NOW + 2.2) is None
    assert detector.reason(NOW + 2.31) is SERVER_RETURNED
    detector.probed(HERE, NOW + 2.4)  # does not begin it again
    assert detector.reason(NOW + 2.4) is SERVER_RETURNED
    assert detector.update(reconnecting=False, now=NOW + 2.5) is True
    assert not detector.settling
    assert detector.reason(NOW + 9) is None


def test_a_connection_that_the_sdk_restarts_at_this_moment_is_waited_for() -> None:
    detector = ReconnectTimeout(url=HERE)
    detector.update(reconnecting=True, now=NOW)
    detector.probed(None, NOW + 1)
    detector.probed(HERE, NOW + 2)
    detector.update(reconnecting=True, restarting=True, now=NOW + 2.1)
    assert detector.reason(NOW + 4.9) is None
    assert detector.reason(NOW + 5) is SERVER_RETURNED
    detector.update(reconnecting=True, restarting=False, now=NOW + 2.4)  # the attempt has failed
    assert detector.reason(NOW + 2.4) is SERVER_RETURNED


def test_only_another_address_of_this_device_ends_a_session() -> None:
    detector = AddressChange()
    for address in (None, "192.0.2.7", None, "192.0.2.7"):
        detector.update(address)
        assert detector.reason() is None
    detector.update("192.0.2.8")
    assert detector.reason() is ADDRESS_CHANGED
