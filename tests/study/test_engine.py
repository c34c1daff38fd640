import os
import subprocess
import sys

import pytest

from helpers.study.engine import compute, open_executor, worker_number
from helpers.study.params import ParameterError, StudyParams


def squared(number: int) -> int:
    if number < 0:
        raise ValueError("below zero")
    return number**2


def process_id(_: int) -> int:
    return os.getpid()


def number_and_process(_: int) -> tuple[int, int]:
    return worker_number(), os.getpid()


def test_one_process_is_no_executor():
    with open_executor(StudyParams()) as executor:
        assert executor is None


def test_several_processes_give_results_in_order_and_report_each():
    seen = []
    with open_executor(StudyParams(jobs=2)) as executor:
        found = compute(squared, [3, 1, 2], executor=executor, report=lambda done, total: seen.append((done, total)))
    assert found == [9, 1, 4]
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_processes_are_numbered_so_that_each_can_take_a_gpu(monkeypatch):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    assert worker_number() == 0
    with open_executor(StudyParams(jobs=2)) as executor:
        found = compute(number_and_process, range(20), executor=executor, report=lambda done, total: None)
    assert len({process for _, process in found}) == len(set(found))
    assert {number for number, _ in found} <= {0, 1}


def test_an_error_in_a_task_is_raised_here():
    with open_executor(StudyParams(jobs=2)) as executor, pytest.raises(ValueError, match="below zero"):
        compute(squared, [-1, 2], executor=executor, report=lambda done, total: None)


def test_workers_end_with_a_process_that_is_killed():
    """They hold its output open, so that waiting for the end of the output is to wait for theirs."""
    script = (
        "import os\n"
        "from helpers.study.engine import open_executor\n"
        "from helpers.study.params import StudyParams\n"
        "with open_executor(StudyParams(jobs=2)) as executor:\n"
        "    executor.submit(os.getpid).result()\n"
        "    print('computed', flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, timeout=120)
    assert (done.stdout, done.returncode) == ("computed\n", -9)


@pytest.mark.slow
def test_a_cluster_gives_the_same_results_when_a_worker_dies(tmp_path, dask_cluster):
    from distributed import Client

    with dask_cluster(tmp_path) as (address, workers):
        params = StudyParams(engine="dask", scheduler=address)
        with open_executor(params) as executor:
            assert compute(squared, range(5), executor=executor, report=lambda done, total: None) == [0, 1, 4, 9, 16]
            before = set(compute(process_id, range(20), executor=executor, report=lambda done, total: None))
        workers[0].kill()
        with Client(address) as client:
            client.wait_for_workers(1)
        with open_executor(params) as executor:
            after = set(compute(process_id, range(20), executor=executor, report=lambda done, total: None))
        assert before <= {worker.pid for worker in workers}
        assert after == {workers[1].pid}


@pytest.mark.slow
def test_workers_that_share_a_process_are_refused(tmp_path, dask_cluster):
    with (
        dask_cluster(tmp_path, n_workers=1, n_threads=2) as (address, _),
        pytest.raises(ParameterError, match="--nthreads 1"),
        open_executor(StudyParams(engine="dask", scheduler=address)),
    ):
        pass


def test_dask_without_an_address_or_an_answer_says_what_to_do(monkeypatch):
    with pytest.raises(ParameterError, match=r"study\.scheduler"), open_executor(StudyParams(engine="dask")):
        pass
    monkeypatch.setattr("helpers.study.engine.CONNECT_SECONDS", 1)
    params = StudyParams(engine="dask", scheduler="tcp://127.0.0.1:9")
    with pytest.raises(ParameterError, match="dask scheduler"), open_executor(params):
        pass
