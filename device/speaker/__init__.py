"""The speaker: who is heard, what is played, and its echo."""
