"""What is measured of the device, for Prometheus and for operators in the room; not loaded if it is off."""
