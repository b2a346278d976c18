"""`livekit-device check`: every step that a first start can stumble on, tried and told in words."""
