"""Where independent tasks are computed: one after the other here, in several processes, or on a Dask cluster.

All three are `concurrent.futures` executors to those who submit tasks, and give the same results.
"""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from typing import Any, Optional

from helpers.study.params import ParameterError, StudyParams

CONNECT_SECONDS = 20
WORKER_VARIABLE = "LOCAL_RANK"  # torchrun's name for the number of a process on its machine


@contextmanager
def open_executor(params: StudyParams) -> Iterator[Optional[Executor]]:
    """The executor that the parameters ask for; None computes in this process.

    Raises
    ------
    ParameterError
        If Dask is not installed, its scheduler cannot be reached, or its workers run several tasks in one process.
    """
    if params.engine == "dask":
        with _dask_client(params.scheduler) as client:
            yield client.get_executor(pure=False, retries=2)
    elif params.jobs > 1:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(params.jobs, context, _take_number, (context.Value("i", 0),)) as pool:
            yield pool
    else:
        yield None


def compute(
    function: Callable[[Any], Any], tasks: Sequence[Any], *, executor: Executor, report: Callable[[int, int], None]
) -> list[Any]:
    """Apply a function to every task on an executor; ``report(done, total)`` follows each that ends.

    Returns
    -------
    The results in the order of the tasks. An error of a task is raised here, and those not yet begun are dropped.
    """
    futures = [executor.submit(function, task) for task in tasks]
    try:
        for done, future in enumerate(as_completed(futures), start=1):
            future.result()
            report(done, len(tasks))
    finally:
        for future in futures:
            future.cancel()
    return [future.result() for future in futures]


def worker_number() -> int:
    """Place of this process among the workers of its machine, from 0, by which it chooses its GPU; 0 outside them."""
    return int(os.environ.get(WORKER_VARIABLE, "0"))


def end_with_parent() -> None:
    """Let this worker of a pool end when the process that started it does, however that ends.

    A worker holds both ends of the queue that it waits on, and so would wait for ever behind a process that was killed.
    """
    threading.Thread(target=_follow, daemon=True).start()


def _follow() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)


def _take_number(counter: Any) -> None:
    end_with_parent()
    with counter.get_lock():
        os.environ[WORKER_VARIABLE] = str(counter.value)
        counter.value += 1


@contextmanager
def _dask_client(address: Optional[str]) -> Iterator[Any]:
    try:
        from distributed import Client
    except ImportError as error:
        raise ParameterError("study.engine: dask needs the optional packages: install with the extra [dask]") from error
    if not address:
        raise ParameterError("study.engine: dask needs study.scheduler, such as tcp://10.0.0.1:8786")
    try:
        client = Client(address, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise ParameterError(
            f"study.scheduler: no Dask scheduler answers at {address} ({error}); start one with `dask scheduler`"
        ) from error
    with client:
        _require_single_threads(client)
        yield client


def _require_single_threads(client: Any) -> None:
    # torch's random generator and thread count belong to the process: two fits in one would disturb each other
    workers = client.scheduler_info(n_workers=-1)["workers"]
    several = [name for name, worker in workers.items() if worker["nthreads"] > 1]
    if several:
        raise ParameterError(
            f"study.scheduler: {len(several)} of {len(workers)} workers run several tasks in one process; start them "
            "with `dask worker --nthreads 1`"
        )
