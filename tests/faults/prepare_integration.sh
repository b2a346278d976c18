#!/bin/sh
# Installs what `make integration` needs on the host beside the fault tests, on Debian and Ubuntu.
set -eu
"$(dirname "$0")/prepare.sh"
axe="$(dirname "$0")/../browser/axe"
test -e "$axe/node_modules/axe-core" || npm ci --prefix "$axe" --ignore-scripts --no-audit --no-fund
missing=
command -v turnserver >/dev/null || missing="$missing coturn"
command -v tinyproxy >/dev/null || missing="$missing tinyproxy"
command -v promtool >/dev/null || missing="$missing prometheus"
command -v firefox-esr >/dev/null || missing="$missing firefox-esr"
test -z "$missing" && exit 0
apt-get update
# Debian must not start its own ones: each run starts its own.
# shellcheck disable=SC2086
RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $missing
