"""Reload: what a changed configuration needs, carried out on what runs, and reverted if it does not work."""
