#!/bin/sh
# What building the packages needs of its host, on Debian and Ubuntu. Does nothing where it is all there.
set -eu
missing=
command -v dh >/dev/null || missing="$missing debhelper"
command -v dpkg-buildpackage >/dev/null || missing="$missing dpkg-dev"
command -v lintian >/dev/null || missing="$missing lintian"
command -v apt-ftparchive >/dev/null || missing="$missing apt-utils"
command -v gpg >/dev/null || missing="$missing gpg"
test -e /usr/share/keyrings/debian-archive-keyring.gpg || missing="$missing debian-archive-keyring"
test -z "$missing" && exit 0
if [ "$(id -u)" != 0 ]; then
    echo "as root: apt-get install$missing" >&2
    exit 1
fi
echo "installing for the packages, once:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null
