#!/bin/sh
# Installs livekit-device, and what it needs of Debian, from the folder that this script is in. Needs no network:
#   sudo sh install.sh
set -eu
folder=$(cd "$(dirname "$0")" && pwd)
if [ "$(id -u)" != 0 ]; then
    echo "run this as root: sudo sh $0" >&2
    exit 1
fi
architecture=$(dpkg --print-architecture)
if [ ! -e "$(echo "$folder"/livekit-device_*_"$architecture".deb)" ]; then
    echo "this archive is not for $architecture, which this machine is" >&2
    exit 1
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch/lists/partial" "$scratch/archives/partial"
# The folder's own name may hold what a list of sources may not.
ln -s "$folder" "$scratch/packages"
echo "deb [trusted=yes] copy:$scratch/packages ./" >"$scratch/offline.list"
# apt takes from here what this machine lacks, and leaves what it has, which may be newer.
offline() {
    apt-get -o Dir::Etc::SourceList="$scratch/offline.list" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State::Lists="$scratch/lists" -o Dir::Cache="$scratch" -o APT::Sandbox::User=root "$@"
}
offline update -qq
offline install --yes --no-install-recommends livekit-device
