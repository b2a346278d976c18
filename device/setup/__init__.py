"""`livekit-device setup`: asks, tests each answer, writes the configuration, starts the service, shows a URL."""
