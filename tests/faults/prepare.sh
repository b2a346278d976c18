#!/bin/sh
# What the fault harness needs of its host, on Debian and Ubuntu. Does nothing where it is all there.
set -eu
missing=
command -v ip >/dev/null || missing="$missing iproute2"
command -v nft >/dev/null || missing="$missing nftables"
command -v redis-server >/dev/null || missing="$missing redis-server"
command -v gcc >/dev/null || missing="$missing gcc libc6-dev"
command -v nsenter >/dev/null || missing="$missing util-linux"
test -z "$missing" && exit 0
apt-get update
# The redis that Debian would start by itself is not wanted: each run starts its own.
# shellcheck disable=SC2086
RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $missing
