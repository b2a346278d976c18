"""Three namespaces in a row, and the faults between them.

    here: servers and viewers          router: where the faults are          devices
    core 10.77.1.1 ────── north 10.77.1.254   south 10.77.2.254 ────── uplink 10.77.2.2
                                              east  10.77.3.254 ────── uplink 10.77.3.2, of a neighbour: another machine

Because of the router, each end sees a fault only as lost packets: a dropped packet is no error of sendto(), and viewers
keep their carrier when a device loses its own.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tests.faults.moments import Moment
from tests.faults.namespaces import Namespace, run

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = "10.77.1.1"
DEVICE_ADDRESSES = ("10.77.2.2", "10.77.2.3")
_CORE_GATEWAY, _GATEWAY = "10.77.1.254", "10.77.2.254"
_NEIGHBOUR, _EAST_GATEWAY = "10.77.3.2", "10.77.3.254"
_UPLINK, _DOWNLINK = "uplink", "south"
_WITHOUT_IPV6 = "echo 1 | tee /proc/sys/net/ipv6/conf/*/disable_ipv6 >/dev/null"


class Network:
    """The namespaces of router and devices, connected to that of this process."""

    def __init__(self) -> None:
        self.router, self.devices, self.neighbour = Namespace(), Namespace(), Namespace()
        self._address = DEVICE_ADDRESSES[0]

    def wire(self) -> None:
        run("ip", "link", "add", "core", "type", "veth", "peer", "name", "north", "netns", str(self.router.pid))
        self.router.run(
            "ip", "link", "add", _DOWNLINK, "type", "veth", "peer", "name", _UPLINK, "netns", str(self.devices.pid)
        )
        self.router.run(
            "ip", "link", "add", "east", "type", "veth", "peer", "name", _UPLINK, "netns", str(self.neighbour.pid)
        )
        run("sh", "-c", _WITHOUT_IPV6)
        for namespace in (self.router, self.devices, self.neighbour):
            namespace.run("sh", "-c", _WITHOUT_IPV6)
            namespace.run("ip", "link", "set", "lo", "up")
        self.router.run("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
        run("ip", "link", "set", "lo", "up")
        run("ip", "address", "add", f"{HOST}/24", "dev", "core")
        run("ip", "link", "set", "core", "up")
        for interface, address in (("north", _CORE_GATEWAY), (_DOWNLINK, _GATEWAY), ("east", _EAST_GATEWAY)):
            self.router.run("ip", "address", "add", f"{address}/24", "dev", interface)
            self.router.run("ip", "link", "set", interface, "up")
        self.devices.run("ip", "address", "add", f"{self._address}/24", "dev", _UPLINK)
        self.devices.run("ip", "link", "set", _UPLINK, "up")
        self.neighbour.run("ip", "address", "add", f"{_NEIGHBOUR}/24", "dev", _UPLINK)
        self.neighbour.run("ip", "link", "set", _UPLINK, "up")
        # SDK and browser do not connect without a default route.
        self.devices.run("ip", "route", "add", "default", "via", _GATEWAY)
        self.neighbour.run("ip", "route", "add", "default", "via", _EAST_GATEWAY)
        run("ip", "route", "add", "default", "via", _CORE_GATEWAY)

    @contextlib.contextmanager
    def dropping(self, *rules: str) -> Iterator[None]:
        """Drop the forwarded packets that match one of these nft rules."""
        self._forward_rules(*(f"{rule} drop" for rule in rules))
        try:
            yield
        finally:
            self._forward_rules()

    def pass_only(self, *rules: str) -> None:
        """Forward only what matches one of these nft rules, until `mend`."""
        self._forward_rules(*(f"{rule} accept" for rule in rules), "drop")

    def block_udp(self) -> None:
        """Drop all forwarded UDP, until `mend`."""
        self._forward_rules("meta l4proto udp drop")

    def without_udp(self) -> contextlib.AbstractContextManager[None]:
        return self.dropping("meta l4proto udp")

    def without_tcp_port(self, port: int) -> contextlib.AbstractContextManager[None]:
        return self.dropping(f"tcp dport {port}", f"tcp sport {port}")

    def losing(self, percent: int) -> contextlib.AbstractContextManager[None]:
        """Drop packets at random, in both directions."""
        return self.dropping(f"numgen random mod 100 < {percent}")

    def police(self, kbps: int) -> None:
        """Forward the devices' packets up to a rate in kbit/s, with a burst of one second; drop the rest."""
        # The bucket of nft's limit by bytes has one second of the rate plus the burst.
        self._forward_rules(f"iifname north accept\nlimit rate over {kbps * 125} bytes/second burst 1 bytes drop")

    def pull_cable(self) -> None:
        """Remove the carrier; the devices keep address and routes."""
        self.router.run("ip", "link", "set", _DOWNLINK, "down")

    def plug_in(self) -> Moment:
        self.router.run("ip", "link", "set", _DOWNLINK, "up")
        return Moment.now()

    def take_down(self) -> None:
        """Set the devices' interface down, which removes its routes."""
        self.devices.run("ip", "link", "set", _UPLINK, "down")

    def bring_up(self) -> Moment:
        """Set the interface up and add its default route, like a DHCP client."""
        self.devices.run("ip", "link", "set", _UPLINK, "up")
        self.devices.run("ip", "route", "replace", "default", "via", _GATEWAY)
        return Moment.now()

    def change_address(self) -> Moment:
        """Replace the devices' address with another one in the same subnet."""
        old = self._address
        self._address = DEVICE_ADDRESSES[1 - DEVICE_ADDRESSES.index(old)]
        self.devices.run("ip", "address", "del", f"{old}/24", "dev", _UPLINK)
        self.devices.run("ip", "address", "add", f"{self._address}/24", "dev", _UPLINK)
        self.devices.run("ip", "route", "replace", "default", "via", _GATEWAY)
        return Moment.now()

    def mend(self) -> None:
        """Undo the faults that a failed test has left."""
        self._forward_rules()
        self.plug_in()
        self.bring_up()

    def close(self) -> None:
        self.devices.close()
        self.neighbour.close()
        self.router.close()

    def _forward_rules(self, *rules: str) -> None:
        chain = "\n".join(("type filter hook forward priority 0; policy accept;", *rules))
        self.router.run("nft", "-f", "-", text=f"flush ruleset\ntable ip faults {{ chain forward {{\n{chain}\n}}\n}}\n")
