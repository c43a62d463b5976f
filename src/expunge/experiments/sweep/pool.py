"""Work side by side: local processes of one thread, this process alone, or ray; the same calls for
all.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from expunge.core.errors import Failed, Refused, no_choice
from expunge.core.progress import bar

EXECUTORS = ("local", "ray")
Job = tuple[Any, ...]  # a function at the top of a module and its arguments


class Pool(Protocol):
    """What takes a job and promises its result."""

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Future[Any]: ...


class Here:
    """One worker is this process: no second start of Python, and a debugger sees everything."""

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args))
        except Exception as error:
            done.set_exception(error)
        return done


class Ray:
    """Tasks of one CPU on the cluster that RAY_ADDRESS names, or on one started here.

    OUT must be a folder that all machines share.
    """

    def __init__(self, ray: Any) -> None:
        self.ray = ray

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Future[Any]:
        variables = {
            "OMP_NUM_THREADS": "1",
            "OMP_WAIT_POLICY": "PASSIVE",
            "TOKENIZERS_PARALLELISM": "false",
        }
        task = self.ray.remote(num_cpus=1, max_retries=1, runtime_env={"env_vars": variables})(fn)
        promised: Future[Any] = task.remote(*args).future()
        return promised


@contextmanager
def pool(workers: int, executor: str = "local") -> Iterator[Pool]:
    """Workers that stay for all jobs of the block.

    What is unfinished when the block is left by an error is dropped, not waited for.
    """
    check_executor(executor)
    if executor == "ray":
        import ray

        ray.init(
            address=os.environ.get("RAY_ADDRESS"),
            num_cpus=None if os.environ.get("RAY_ADDRESS") else workers,
            log_to_driver=False,
        )
        try:
            yield Ray(ray)
        finally:
            ray.shutdown()
    elif workers == 1:
        yield Here()
    else:
        made = ProcessPoolExecutor(
            workers, multiprocessing.get_context("spawn"), initializer=_prepare
        )
        try:
            yield made
            made.shutdown()
        except BaseException:
            for worker in multiprocessing.active_children():
                worker.terminate()
            made.shutdown(cancel_futures=True)
            raise


def check_executor(executor: str) -> None:
    """Refuse an executor that does not exist, or whose package is missing, before anything is
    computed.
    """
    if executor not in EXECUTORS:
        raise no_choice("--executor", executor, EXECUTORS)
    if executor == "ray":
        try:
            import ray

            assert ray
        except ModuleNotFoundError:
            raise Refused(
                "--executor ray needs the package ray; pip install 'expunge[ray]', or leave "
                "--executor away"
            ) from None


def _prepare() -> None:
    """A worker computes on one thread: two spinning beside each other are slower than one.

    What the imports made is set aside from the garbage collector, which else walks it at the start
    of every training. The worker ends with its parent, however that ended, and leaves Ctrl-C to it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import gc

    import torch

    from expunge.pipeline import attack, train

    torch.set_num_threads(1)
    assert attack and train
    gc.freeze()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def together(workers: Pool, label: str, jobs: Sequence[Job], quiet: bool) -> None:
    """Run jobs side by side; the first failure ends it with its own line, and what is finished
    stays.
    """
    with bar(label, len(jobs), quiet=quiet, unit="runs") as tick:
        if isinstance(workers, Here):
            for job in jobs:
                workers.submit(*job).result()
                tick(1)
            return
        waiting: list[Future[Any]] = [workers.submit(*job) for job in jobs]
        try:
            for done in as_completed(waiting):
                done.result()
                tick(1)
        except BrokenProcessPool:
            raise Failed(
                "a worker process died, perhaps for want of memory; what is finished is kept, run "
                "the same command again"
            ) from None
        finally:
            for other in waiting:
                with suppress(Exception):
                    other.cancel()
