"""Gives each sample of the SDK's statistics to the tracks that it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from device.telemetry.sampler import Sample
    from device.tracks.track import Track


def give_sample(sample: Sample, tracks: Sequence[Track]) -> None:
    """Give a sample to `tracks`, which viewers receive. A track that nobody watches (dynacast) is not sent."""
    stats = sample.stats
    for each in tracks:
        name = each.track.name
        if name in stats.sent and name in sample.fed:
            each.sampled(stats.sent[name], fed=sample.fed[name], reception=stats.receptions.get(name))
            if name in stats.taken_s:
                each.taken(stats.taken_s[name], fed=sample.fed[name])
        elif stats.active.get(name) is False:
            each.forget_missing()
