"""`livekit-device setup`: questions, tries, one transaction, the service, a viewer's URL."""
