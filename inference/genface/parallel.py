"""A map over threads that keeps the order and never runs far ahead of its reader."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from genface.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD_PER_WORKER = 8


def ordered_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int,
    thread_name: str,
    *,
    ahead: int = AHEAD_PER_WORKER,
) -> Generator[Result, None, None]:
    """`function` of every item, in their order, by `workers` threads.

    At most `ahead` results a worker wait to be read: 70,000 photos must not wait decoded in memory. What has not begun
    is cancelled when the iterator is left early. Raises UserError when the system has no room for so many threads.
    """
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix=thread_name) as pool:
        try:
            for item in items:
                waiting.append(_submitted(pool, function, item, workers))
                if len(waiting) >= ahead * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _submitted(
    pool: ThreadPoolExecutor, function: Callable[[Item], Result], item: Item, workers: int
) -> Future[Result]:
    """Submit; the pool starts its threads as work comes."""
    try:
        return pool.submit(function, item)
    except RuntimeError as error:
        raise UserError(f"this system does not start {workers:,} threads ({error}): take fewer") from error
