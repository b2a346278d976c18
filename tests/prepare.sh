#!/bin/sh
# What the tests need of the system: a Chromium. Installed where we may; else said, and its tests are skipped.
set -eu
command -v chromium >/dev/null && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing Debian's chromium, once"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends chromium >/dev/null
else
    echo "chromium is missing: the browser tests will be skipped (sudo apt install chromium)"
fi
