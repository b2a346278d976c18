"""`livekit-device report`: one text file for whoever helps, without secrets."""
