#!/bin/sh
# What the lab needs of its host, on Debian and Ubuntu. Does nothing where it is all there.
set -eu
missing=
command -v debootstrap >/dev/null || missing="$missing debootstrap"
command -v systemd-nspawn >/dev/null || missing="$missing systemd-container"
command -v chromium >/dev/null || missing="$missing chromium"
command -v mkfs.vfat >/dev/null || missing="$missing dosfstools"
command -v fusefat >/dev/null || missing="$missing fusefat"
test -e /usr/share/keyrings/debian-archive-keyring.gpg || missing="$missing debian-archive-keyring"
test -z "$missing" && exit 0
if [ "$(id -u)" != 0 ]; then
    echo "the lab mounts, chroots and boots a machine: run it as root" >&2
    exit 1
fi
echo "installing for the lab, once:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null
