"""The operations `config`, `set` and `reset`: the configuration of the running device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from device.config.description import described
from device.config.streams import cameras_of
from device.control.results import ConfigChange, EffectiveConfig
from device.errors import CallError
from device.ipc.untrusted import safe_fields
from device.reload.edit import Edit

if TYPE_CHECKING:
    from device.control.caller import Caller
    from device.control.operations import GetConfig, ResetValues, SetValues
    from device.reload.reloader import Reloader
    from device.reload.running import RunningDevice


class Configuration:
    """Carries them out, the same for every caller: the schema says which keys may be changed."""

    def __init__(self, running: RunningDevice, reloader: Reloader) -> None:
        self._running, self._reloader = running, reloader

    async def get(self, call: GetConfig, _caller: Caller) -> EffectiveConfig:
        settings = self._running.settings
        keys = dict(described(settings.config, settings.layers))
        if call.table:
            keys = {key: each for key, each in keys.items() if f"{key}.".startswith(f"{call.table}.")}
        for camera in cameras_of(settings.config):
            stream, key = self._running.streams.get(camera.name), f"{camera.key}.controls"
            if key in keys and stream is not None and stream.supervisor.capturing is not None:
                keys[key]["offered"] = safe_fields(stream.supervisor.capturing.controls)
        if not keys:
            raise CallError("there is no such table or key")
        return EffectiveConfig(keys=keys)

    async def set(self, call: SetValues, _caller: Caller) -> ConfigChange:
        return ConfigChange(keys=await self._reloader.edit(Edit(values=call.values, persist=call.persist)))

    async def reset(self, _call: ResetValues, _caller: Caller) -> ConfigChange:
        return ConfigChange(keys=await self._reloader.edit(Edit(reset=True)))
