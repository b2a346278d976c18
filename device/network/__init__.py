"""Connections to the server: probing, name resolution, proxies, TLS, and the device's own link."""
