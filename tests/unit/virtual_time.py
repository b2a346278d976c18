"""An event loop with a virtual clock, which jumps to the next timer when nothing else can run."""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from _typeshed import FileDescriptorLike

Result = TypeVar("Result")


class _Jumping(selectors.BaseSelector):
    """Advances time instead of waiting. For coroutines that neither read files nor wait for threads."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._real = selectors.DefaultSelector()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "nothing is due and nothing can run: it would wait for ever"
        self.now += max(0.0, timeout)
        return self._real.select(0)

    def register(self, fileobj: FileDescriptorLike, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def get_map(self) -> Any:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def run_virtually(main: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run a coroutine like `asyncio.run`; an hour's sleep takes no real time."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(main())
