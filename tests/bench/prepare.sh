#!/bin/sh
# Installs GStreamer, with which `make bench-peers` builds livekitwebrtcsink, on Debian and Ubuntu. Does nothing if it
# is installed.
set -eu
pkg-config --exists gstreamer-webrtc-1.0 gstreamer-app-1.0 2>/dev/null && gst-inspect-1.0 --exists nicesrc x264enc &&
    exit 0
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    pkg-config libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev libgstreamer-plugins-bad1.0-dev \
    gstreamer1.0-tools gstreamer1.0-nice gstreamer1.0-plugins-base gstreamer1.0-plugins-good \
    gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly >/dev/null
