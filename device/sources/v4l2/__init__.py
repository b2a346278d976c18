"""V4L2 cameras: USB webcams and capture cards. Pictures come through FFmpeg; lists and controls through own ioctls."""
