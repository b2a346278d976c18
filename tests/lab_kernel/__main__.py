"""`make lab-kernel`: this project with real kernel devices, in a machine with Debian's kernel; prints a table."""

import json
import shutil
import sys
import time
from pathlib import Path

from tests.lab.filesystem import Scratch
from tests.lab.root import built_root, cache
from tests.lab_kernel import qemu
from tests.lab_kernel.recipe import KERNEL

_CHECKOUT = Path(__file__).parents[2]
_WITHIN_S = 900.0


def main() -> int:
    began = time.monotonic()
    with Scratch(built_root(KERNEL), machines=cache() / "machines") as scratch:
        release = qemu.kernel_of(scratch.root)
        lab = scratch.root / "lab"
        shutil.copytree(_CHECKOUT / "device", lab / "checkout/device", ignore=shutil.ignore_patterns("node_modules"))
        shutil.copytree(_CHECKOUT / "tests/lab_kernel", lab / "checkout/tests/lab_kernel")
        shutil.copy(_CHECKOUT / "tests/lab_kernel/init.sh", lab / "init")
        console = qemu.run(scratch.root, within_s=_WITHIN_S)
        rows_file = lab / "rows.jsonl"
        rows = [json.loads(line) for line in rows_file.read_text().splitlines()] if rows_file.exists() else []
    print(f"Linux {release}, {time.strftime('%Y-%m-%d', time.gmtime())}, {time.monotonic() - began:.0f} s")
    for each in rows:
        print(f"{'ok  ' if each['ok'] else 'MISS'}  {each['what']}: {each['seen']}  (must: {each['must']})")
    misses = sum(not each["ok"] for each in rows)
    if misses or not rows or "lab: done" not in console:
        print(console[-4000:], file=sys.stderr)
        print(f"{misses} of {len(rows)} rows missed", file=sys.stderr)
        return 1
    print(f"all {len(rows)} rows hold")
    return 0


if __name__ == "__main__":
    sys.exit(main())
