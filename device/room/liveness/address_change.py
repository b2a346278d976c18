"""The device's own address changed, so that the connection is lost. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from device.room.reasons import ADDRESS_CHANGED, Reason


@dataclass(slots=True, kw_only=True)
class AddressChange:
    """Fires if the address on the route to the server changes from `address`; None: it is not known yet."""

    address: str | None = None
    _found: Reason | None = field(default=None, init=False)

    def update(self, address: str | None) -> None:
        """Note the device's address on the route to the server; None while there is no route."""
        if address and self.address and address != self.address:
            self._found = ADDRESS_CHANGED
        self.address = address or self.address

    def reason(self) -> Reason | None:
        """Return why the session has to end, if it has."""
        return self._found
