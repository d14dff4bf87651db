"""A map over threads that keeps the order and never runs far ahead of its reader."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD_PER_WORKER = 8


def ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int, thread_name: str
) -> Generator[Result, None, None]:
    """`function` of every item, in their order, by `workers` threads.

    At most 8 results a worker wait to be read: 70,000 photos must not wait decoded in memory. What has not begun is
    cancelled when the iterator is left early.
    """
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix=thread_name) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= _AHEAD_PER_WORKER * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
