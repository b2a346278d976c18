"""Queries of rtnetlink: of this machine's own kernel, and answers as bytes for what that cannot be made to send."""

from __future__ import annotations

import errno
import socket
import struct
from typing import TYPE_CHECKING, Any

import pytest

from device.network.netlink import Address, Netlink, NetlinkError, Route

if TYPE_CHECKING:
    from collections.abc import Iterator

DONE, ERROR, NEW_ADDRESS, NEW_ROUTE = 3, 2, 20, 24
MULTI, INTERRUPTED = 0x2, 0x10
UP, LOOPBACK, RUNNING = 0x1, 0x8, 0x40
HOST_SCOPE = 254


@pytest.fixture
def kernel() -> Iterator[Netlink]:
    with Netlink() as found:
        yield found


def test_this_machines_loopback(kernel: Netlink) -> None:
    (loopback,) = [each for each in kernel.links() if each.name == "lo"]
    assert loopback.flags & (UP | LOOPBACK | RUNNING) == UP | LOOPBACK | RUNNING
    assert kernel.link(loopback.index) == loopback
    found = [each for each in kernel.addresses() if each.address == "127.0.0.1"]
    assert [(each.index, each.scope) for each in found] == [(loopback.index, HOST_SCOPE)]
    assert kernel.route_to("127.0.0.9") == Route(index=loopback.index, source="127.0.0.1")


def test_many_queries_on_one_socket_after_an_error(kernel: Netlink) -> None:
    with pytest.raises(NetlinkError, match="No such device"):
        kernel.link(1 << 30)
    names = {each.name for each in kernel.links()}
    for _ in range(50):
        assert {each.name for each in kernel.links()} == names


def test_an_address_that_is_none_is_refused(kernel: Netlink) -> None:
    with pytest.raises(OSError, match="illegal IP address"):
        kernel.route_to("name.example")


class Answering(Netlink):
    """Gets these datagrams from the kernel, or from another sender."""

    def __init__(self, *datagrams: bytes, sender: int = 0, flags: int = 0) -> None:
        super().__init__()
        self._socket.close()
        self._socket = Datagrams(datagrams, sender=sender, flags=flags)  # type: ignore[assignment]


class Datagrams:
    def __init__(self, datagrams: tuple[bytes, ...], *, sender: int, flags: int) -> None:
        self._datagrams, self._sender, self._flags = list(datagrams), sender, flags

    def sendto(self, data: bytes, address: tuple[int, int]) -> None:
        assert struct.unpack_from("=I", data)[0] == len(data)
        assert address == (0, 0)

    def recvmsg(self, _size: int) -> tuple[bytes, list[Any], int, tuple[int, int]]:
        if not self._datagrams:
            raise TimeoutError
        return self._datagrams.pop(0), [], self._flags, (self._sender, 0)

    def close(self) -> None:
        pass


def message(kind: int, content: bytes, *, flags: int = MULTI, sequence: int = 1) -> bytes:
    length = 16 + len(content)
    return struct.pack("=IHHII", length, kind, flags, sequence, 7) + content + bytes(-length % 4)


def attribute(kind: int, content: bytes) -> bytes:
    length = 4 + len(content)
    return struct.pack("=HH", length, kind) + content + bytes(-length % 4)


def address(*attributes: bytes, flags: int = 0) -> bytes:
    return struct.pack("=BBBBI", 2, 24, flags, 0, 4) + b"".join(attributes)


ONE, OTHER = (socket.inet_aton(each) for each in ("192.0.2.7", "192.0.2.1"))
END = message(DONE, struct.pack("=i", 0))


@pytest.mark.parametrize(
    ("content", "expected"),
    (
        (address(attribute(1, ONE)), ("192.0.2.7", 0)),
        (address(attribute(1, OTHER), attribute(2, ONE)), ("192.0.2.7", 0)),  # point to point: the local one
        (address(attribute(1, ONE), attribute(8, struct.pack("=I", 0x140)), flags=0x40), ("192.0.2.7", 0x140)),
        (address(attribute(1, ONE), flags=0x20), ("192.0.2.7", 0x20)),
        (address(attribute(3, b"name\0"), attribute(1, ONE)), ("192.0.2.7", 0)),  # one of no whole number of words
        (address(attribute(1 | 0x8000, ONE)), ("192.0.2.7", 0)),
        (address(attribute(1, b"\1\2")), ("", 0)),
        (address(b"\1\0\1\0"), ("", 0)),  # shorter than its own header
    ),
)
def test_addresses_from_bytes(content: bytes, expected: tuple[str, int]) -> None:
    text, flags = expected
    netlink = Answering(message(NEW_ADDRESS, content) + message(NEW_ADDRESS, content), END)
    assert netlink.addresses() == [Address(index=4, address=text, scope=0, flags=flags)] * 2


def test_a_list_that_a_change_interrupted_is_no_answer() -> None:
    netlink = Answering(message(NEW_ADDRESS, address(), flags=MULTI | INTERRUPTED), END)
    with pytest.raises(NetlinkError) as raised:
        netlink.addresses()
    assert raised.value.errno == errno.EINTR


@pytest.mark.parametrize("kind", (ERROR, DONE))
def test_an_error_at_the_end_of_a_list(kind: int) -> None:
    with pytest.raises(NetlinkError, match="No buffer space"):
        Answering(message(NEW_ADDRESS, address()), message(kind, struct.pack("=i", -105))).addresses()


def test_a_route_without_an_interface_or_a_source() -> None:
    assert Answering(message(NEW_ROUTE, bytes(12), flags=0)).route_to("192.0.2.1") == Route(index=0, source="")


@pytest.mark.parametrize(
    ("netlink", "error"),
    (
        (Answering(message(NEW_ADDRESS, address(), sequence=9), END), []),  # the rest of another answer
        (Answering(END, sender=77), TimeoutError),  # another process
        (Answering(END, flags=socket.MSG_TRUNC), OSError),
        (Answering(struct.pack("=IHHII", 8, DONE, 0, 1, 0)), OSError),
        (Answering(struct.pack("=IHHII", 99, DONE, 0, 1, 0)), OSError),
    ),
)
def test_only_whole_answers_of_the_kernel_count(netlink: Netlink, error: Any) -> None:
    if error == []:
        assert netlink.addresses() == []
        return
    with pytest.raises(error):
        netlink.addresses()
