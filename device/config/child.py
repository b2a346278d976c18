"""Validates the configuration in a process of its own, and prints the result for `device.config.validation`.

Its standard input is empty, or has a JSON object: with `temporary` changes, or with the `layers` instead of files.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any

from device.config.layer import Layer
from device.errors import ConfigError

_STDOUT = 1


def main(arguments: list[str]) -> None:
    """Print what is valid, or the problems, or the traceback of an error that is none of the configuration."""
    gc.disable()  # it would run many times during the imports, and find nothing
    text = sys.stdin.read()
    answer = json.dumps(_answer(Path(arguments[0]) if arguments else None, json.loads(text) if text else {}))
    # Without a text if the daemon has ended meanwhile.
    with contextlib.suppress(BrokenPipeError), os.fdopen(_STDOUT, "w") as pipe:
        pipe.write(answer)


def _answer(argument: Path | None, given: dict[str, Any]) -> dict[str, Any]:
    try:
        # Looking for plugins of pydantic reads the metadata of all installed packages.
        os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
        from device.config import loading

        path = loading.find(argument)
        if "layers" in given:
            found = loading.of_layers([Layer.of_plain(each) for each in given["layers"]])
        else:
            found = loading.loaded(path, temporary=given.get("temporary"))
    except ConfigError as error:
        return {"problems": [[each.place, each.message] for each in error.problems]}
    except Exception as error:  # the daemon reports it as its own  # noqa: BLE001
        return {"failed": "".join(traceback.format_exception(error))}
    return {
        "path": str(path),
        "config": loading.plain(found.checked),
        "keys": {name: asdict(key) | {"needs": key.needs.value} for name, key in found.config.keys.items()},
        "layers": [each.as_plain() for each in found.layers],
        "warnings": [[each.place, each.message] for each in found.warnings],
    }


if __name__ == "__main__":
    main(sys.argv[1:])
