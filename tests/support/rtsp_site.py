"""An RTSP server of GStreamer's, run by Debian's Python: `rtsp_site.py PORT USER PASSWORD NAME=PIPELINE...`.

Each stream is at rtsp://127.0.0.1:PORT/NAME. With a user, all streams need user and password.
"""

import sys

import gi  # type: ignore[import-not-found]

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # type: ignore[import-not-found]  # noqa: E402


def main() -> None:
    port, user, password, *streams = sys.argv[1:]
    Gst.init(None)
    server = GstRtspServer.RTSPServer(address="127.0.0.1", service=port)
    if user:
        auth = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "viewer")
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
        server.set_auth(auth)
    for stream in streams:
        name, _, pipeline = stream.partition("=")
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(f"( {pipeline} )")
        if user:
            allowed = GstRtspServer.RTSPPermissions()
            allowed.add_permission_for_role("viewer", "media.factory.access", True)  # noqa: FBT003
            allowed.add_permission_for_role("viewer", "media.factory.construct", True)  # noqa: FBT003
            factory.set_permissions(allowed)
        server.get_mount_points().add_factory(f"/{name}", factory)
    if not server.attach(None):
        sys.exit("cannot listen")
    print("ready", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
