#!/bin/sh
# Installs what `make lab-kernel` needs on the host, on Debian and Ubuntu. Does nothing if it is installed.
set -eu
"$(dirname "$0")/../lab/prepare.sh"
missing=
command -v qemu-system-x86_64 >/dev/null || missing="$missing qemu-system-x86"
command -v cpio >/dev/null || missing="$missing cpio"
test -z "$missing" && exit 0
echo "installing for the lab with a kernel, once:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null
