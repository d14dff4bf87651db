"""One graph in one session, run block by block; what the runtime throws becomes an error that says what to do."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genface.errors import UserError
from genface.providers import Provider
from genface.runtime_errors import first_line, is_out_of_memory

Arrays = Mapping[str, NDArray[Any]]


class Runner:
    """Runs a session, by one thread at a time where its provider asks for that. Raises UserError when a run fails."""

    def __init__(self, session: Any, provider: Provider) -> None:
        self._session = session
        self._bound = provider.bound
        self._turn = nullcontext() if provider.concurrent else threading.Lock()

    def run(self, feed: Arrays, names: Sequence[str]) -> list[NDArray[Any]]:
        """The outputs `names`, whatever their shapes."""
        try:
            with self._turn:
                outputs: list[NDArray[Any]] = self._session.run(list(names), dict(feed))
        except Exception as error:
            raise _explained(error) from error
        return outputs

    def run_into(self, feed: Arrays, name: str, out: NDArray[Any]) -> None:
        """Write one output into `out`, C-contiguous, of its type and shape.

        With a provider of another device, the inputs are copied there and the output is copied back once, straight
        into `out`; `run` would copy it into an array of the runtime's first.
        """
        if not self._bound:
            (out[...],) = self.run(feed, [name])
            return
        assert out.flags.c_contiguous
        try:
            with self._turn:
                binding = self._session.io_binding()
                for input_name, array in feed.items():
                    binding.bind_cpu_input(input_name, np.ascontiguousarray(array))
                binding.bind_output(name, "cpu", 0, out.dtype.type, out.shape, out.ctypes.data)
                # Returns when the output has arrived: the runtime waits for the device's stream.
                self._session.run_with_iobinding(binding)
        except Exception as error:
            raise _explained(error) from error


def _explained(error: Exception) -> UserError:
    reason = first_line(error)
    if is_out_of_memory(error):
        return UserError(
            f"out of memory while drawing ({reason}): draw with fewer threads, or take provider cpu where a GPU is too"
            " small; the graph is fed blocks of one size, whatever the batch, so a smaller batch does not help"
        )
    return UserError(f"ONNX Runtime failed to draw ({reason})")
