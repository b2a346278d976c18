"""What the room gets: one video track and one audio track, fed by the workers."""
