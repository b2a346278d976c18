#!/bin/sh
# What the install test needs of its host, on Debian and Ubuntu; with "arm64", also what runs that. Does nothing where it
# is all there.
set -eu
missing=
command -v debootstrap >/dev/null || missing="$missing debootstrap"
command -v systemd-nspawn >/dev/null || missing="$missing systemd-container"
test -e /usr/share/keyrings/debian-archive-keyring.gpg || missing="$missing debian-archive-keyring"
if [ "${1:-}" = arm64 ]; then
    command -v qemu-aarch64-static >/dev/null || missing="$missing qemu-user-static"
fi
test -z "$missing" && exit 0
if [ "$(id -u)" != 0 ]; then
    echo "the install test chroots and boots machines: run it as root" >&2
    exit 1
fi
echo "installing for the install test, once:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null
