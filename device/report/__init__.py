"""`livekit-device report`: one text file for support, without secrets."""
