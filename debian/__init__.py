"""Builds the Debian packages, the repository and the offline archive; the packaging itself stands beside this."""
