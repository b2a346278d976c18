"""`make bench-peers` builds the peer with this."""

from tests.bench.sink import build

build()
