"""`livekit-device fleet`: the devices in a server's rooms, through the server's API alone."""
