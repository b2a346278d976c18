"""Write a sine for each channel into a FIFO, in real time: `tone.py FIFO RATE_HZ PPM TONE_HZ [TONE_HZ]`.

The second channel's tone distinguishes left and right; PPM makes the microphone's clock fast or slow.
"""

import array
import contextlib
import itertools
import math
import os
import sys
import time

BLOCK_S = 0.01
AMPLITUDE = 12000


def main() -> None:
    rate_hz, ppm, *tones_hz = map(int, sys.argv[2:])
    fifo = os.open(sys.argv[1], os.O_RDWR | os.O_NONBLOCK)
    frames = round(rate_hz * BLOCK_S)
    # One second repeats without a discontinuity, because every tone is a whole number of hertz.
    second = array.array(
        "h",
        (
            round(AMPLITUDE * math.sin(2 * math.pi * tone_hz * frame / rate_hz))
            for frame in range(rate_hz)
            for tone_hz in tones_hz
        ),
    )
    samples = frames * len(tones_hz)
    blocks = [second[start : start + samples].tobytes() for start in range(0, len(second), samples)]
    due = time.monotonic()
    for block in itertools.cycle(blocks):
        due += BLOCK_S / (1 + ppm / 1e6)
        time.sleep(max(0.0, due - time.monotonic()))
        with contextlib.suppress(BlockingIOError):  # there is no reader
            os.write(fifo, block)


main()
