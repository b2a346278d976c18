"""The heap of a camera worker, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

PICTURE_BYTES = 1280 * 720 * 3 // 2
# Prints the page faults for each of 100 pictures, one after the other.
PROGRAM = f"""
import resource
{{prepare}}
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    bytearray({PICTURE_BYTES})
before = faults()
for _ in range(100):
    bytearray({PICTURE_BYTES})
print((faults() - before) // 100)
"""


def faults_per_picture(prepare: str) -> int:
    # glibc adapts its own threshold with the first freed picture; a fixed one shows the difference in any case.
    environment = {"MALLOC_MMAP_THRESHOLD_": "131072"}
    program = PROGRAM.format(prepare=prepare)
    ended = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True, text=True)
    return int(ended.stdout)


@pytest.mark.parametrize(
    ("prepare", "least", "most"),
    (
        ("", 300, 400),
        ("from device.heap import keep_freed_pictures; keep_freed_pictures()", 0, 10),
    ),
)
def test_a_freed_picture_stays_in_the_heap_for_the_next_one(prepare: str, least: int, most: int) -> None:
    assert least <= faults_per_picture(prepare) <= most
