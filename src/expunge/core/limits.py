"""An end to what others' files may make us compute."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """TimeoutError inside the block once it has computed for ``seconds``, wherever it is.

    The time of the processor counts (``ITIMER_VIRTUAL``), not that of the clock: on a busy machine
    the same block is let through. The alarm is the process's own, so it rings in the main thread
    alone and on Unix; elsewhere nothing is limited. A timer that was set before goes on afterwards.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(
        signal, "setitimer"
    ):
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"more than {seconds:g} s")

    handler = signal.signal(signal.SIGVTALRM, ring)
    left, again = signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, handler)
        if left:
            signal.setitimer(signal.ITIMER_VIRTUAL, left, again)
