#!/bin/sh
# Installs Chromium, fonts, GStreamer's RTSP server and a C compiler for the tests, as root on a system with apt. Otherwise it prints what is
# missing, and the tests that need Chromium are skipped.
set -eu
missing=
command -v chromium >/dev/null || missing="$missing chromium"
test -e /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf || missing="$missing fonts-dejavu-core"
test -e /usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf || missing="$missing fonts-droid-fallback"
command -v cc >/dev/null || missing="$missing gcc libc6-dev" # tests/support/shims
rtsp_server='import gi; gi.require_version("GstRtspServer", "1.0"); from gi.repository import Gst; Gst.init(None)
assert all(map(Gst.ElementFactory.find, ("h264parse", "rtph264pay", "qtdemux", "jpegenc", "rtpL16pay")))'
/usr/bin/python3 -c "$rtsp_server" 2>/dev/null || missing="$missing python3-gi gir1.2-gst-rtsp-server-1.0
    gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad"
test -z "$missing" && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing for the tests, once:$missing"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # shellcheck disable=SC2086
    apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
    echo "missing:$missing (sudo apt install$missing): tests that need a browser will be skipped, those of fonts and of V4L2 cameras fail"
fi
