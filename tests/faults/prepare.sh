#!/bin/sh
# Installs what the fault tests need on the host, on Debian and Ubuntu. Does nothing if it is installed.
set -eu
missing=
command -v ip >/dev/null || missing="$missing iproute2"
command -v nft >/dev/null || missing="$missing nftables"
command -v redis-server >/dev/null || missing="$missing redis-server"
command -v gcc >/dev/null || missing="$missing gcc libc6-dev"
command -v nsenter >/dev/null || missing="$missing util-linux"
test -z "$missing" && exit 0
apt-get update
# Do not let Debian start its own redis: each run starts one.
# shellcheck disable=SC2086
RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $missing
