"""The end of a process that has loaded the SDK."""

from __future__ import annotations

import logging
import os
import sys
from typing import NoReturn


def leave(code: int) -> NoReturn:
    """End at once, without exit handlers: the SDK's native threads may panic in them.

    It also does not wait for threads, such as one that resolves a name for many seconds.
    """
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)
