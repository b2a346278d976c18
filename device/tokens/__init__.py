"""Where join tokens come from, and what they allow."""
