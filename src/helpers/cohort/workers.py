"""Work shared out among processes so that one bad item costs itself: not the run, not its neighbours.

The standard pools end as a whole when a process dies, which a decoder in C can do on damaged bytes. Here each process
answers for one item at a time; when it dies, or is silent for too long, the item at hand gets the blame and a fresh
process goes on behind it. Processes are not forked from this one, since threads of numerical libraries do not survive
that: where the system has it, a server process imports this package once and is forked, else each process is spawned.
"""

import contextlib
import logging
import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from time import monotonic
from typing import Any, Optional

from helpers.cohort.exclusions import NotUsable, Reason

log = logging.getLogger(__name__)

# Longer than any volume takes from a slow disk.
PATIENCE_S = 600.0
WAIT_S = 5.0
SERVER = "forkserver"
CONTEXT = multiprocessing.get_context(SERVER if SERVER in multiprocessing.get_all_start_methods() else "spawn")
READY = "ready"

Function = Callable[[Any], Any]
Chunks = Sequence[Sequence[Any]]


def share_out(function: Function, chunks: Chunks, *, workers: int, patience_s: float = PATIENCE_S) -> Iterator[Any]:
    """Apply a function to every item of every chunk; results come in order, whatever the number of processes.

    Parameters
    ----------
    function
        Of one item; it and its results pickle. What it raises ends the work.
    chunks
        Items that one process should work on after each other, such as the planes of one volume.
    workers
        Processes; 1 works in this one, where a crash cannot be contained.
    patience_s
        A process that works on one item for longer is ended.

    Yields
    ------
    Result of each item, or `NotUsable` for one that brought a process down.
    """
    if workers == 1 or len(chunks) < 2:
        yield from (function(item) for chunk in chunks for item in chunk)
        return
    if CONTEXT.get_start_method() == SERVER:
        CONTEXT.set_forkserver_preload([__name__])
    crew = [_Worker(function) for _ in range(min(workers, len(chunks)))]
    try:
        yield from _in_order(_work(crew, chunks, patience_s=patience_s), sizes=[len(chunk) for chunk in chunks])
    finally:
        for worker in crew:
            worker.end()


def _in_order(results: Iterator[tuple[int, Any]], *, sizes: Sequence[int]) -> Iterator[Any]:
    """Results by chunk as they arrive, put back into the order of the chunks."""
    arrived: list[deque] = [deque() for _ in sizes]
    for number, size in enumerate(sizes):
        for _ in range(size):
            while not arrived[number]:
                chunk, result = next(results)
                arrived[chunk].append(result)
            yield arrived[number].popleft()


def _work(crew: Sequence["_Worker"], chunks: Chunks, *, patience_s: float) -> Iterator[tuple[int, Any]]:
    waiting = deque((number, chunk) for number, chunk in enumerate(chunks) if chunk)
    for worker in crew[: len(waiting)]:
        worker.take(*waiting.popleft())
    while busy := [worker for worker in crew if worker.items]:
        ready = set(wait([worker.connection for worker in busy], timeout=min(WAIT_S, patience_s)))
        for worker in busy:
            if worker.connection in ready and worker.greeted():
                yield worker.chunk, worker.receive()
            elif monotonic() - worker.heard > patience_s:
                yield worker.chunk, worker.replace(f"no answer within {patience_s:g} s")
            if not worker.items and waiting:
                worker.take(*waiting.popleft())


@dataclass(eq=False)
class _Worker:
    """A process, the chunk that it works on, and the items of it that are not answered yet."""

    function: Function
    chunk: int = -1
    items: deque = field(default_factory=deque)
    heard: float = inf
    process: Optional[BaseProcess] = None
    connection: Optional[Connection] = None

    def take(self, chunk: int, items: Sequence[Any]) -> None:
        self.chunk, self.items = chunk, deque(items)
        self._send()

    def greeted(self) -> bool:
        """Whether an answer can be received; the first message says only that the process stands, and starts the clock.

        Starting may take long on a busy machine, and is no fault of the item.
        """
        if self.heard < inf:
            return True
        with contextlib.suppress(EOFError, OSError):
            self.connection.recv()
            self.heard = monotonic()
            return False
        return True

    def receive(self) -> Any:
        """The answer to the first item, or the finding that the process died over it."""
        try:
            failed, result = self.connection.recv()
        except (EOFError, OSError) as error:
            self.process.join()
            if self.heard == inf:
                raise RuntimeError("a worker process cannot start; set cohort.workers to 1") from error
            return self.replace(f"the process ended with code {self.process.exitcode}")
        if failed:
            raise result
        self.items.popleft()
        self.heard = monotonic()
        return result

    def replace(self, why: str) -> NotUsable:
        """Blame the first item, and let a fresh process go on with the others."""
        self.end()
        blamed = self.items.popleft()
        log.warning("%s: %s", blamed, why)
        if self.items:
            self._send()
        return NotUsable(Reason.DECODER_CRASHED, f"while this was read, {why}")

    def end(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.connection.close()
            self.process = self.connection = None

    def _send(self) -> None:
        if self.process is None:
            self.connection, other = CONTEXT.Pipe()
            self.process = CONTEXT.Process(target=_serve, args=(self.function, other), daemon=True)
            self.process.start()
            other.close()
            self.heard = inf
        else:
            self.heard = monotonic()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it has ended; receiving will tell
            self.connection.send(list(self.items))


def _serve(function: Function, connection: Connection) -> None:
    """Body of a process: answer item by item until the other end is closed."""
    connection.send(READY)
    while True:
        try:
            items = connection.recv()
        except EOFError:
            return
        for item in items:
            connection.send(_answer(function, item))


def _answer(function: Function, item: Any) -> tuple[bool, Any]:
    try:
        return False, function(item)
    except Exception as error:
        return True, error
