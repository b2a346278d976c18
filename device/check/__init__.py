"""`livekit-device check`: tries every step of a start and reports what fails, with a remedy."""
