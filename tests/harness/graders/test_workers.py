"""Workers from threads, asyncio, forked and spawned processes, beside torch threads, and after being killed."""

import asyncio
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.graders.math import MathGrader, grade
from harness.graders.math import pool as pool_module


def right(grader: MathGrader, number: int) -> bool:
    """One comparison that needs a worker, and one that must come out False."""
    return (
        grader.grade(f"\\boxed{{{number}+x}}", f"x+{number}").correct
        and not grader.grade(f"\\boxed{{{number}+x}}", f"x+{number + 1}").correct
    )


def in_child(grader: MathGrader, queue: "multiprocessing.Queue[bool]") -> None:
    queue.put(right(grader, 7) and grade("\\boxed{1+y}", "y+1").correct)


def test_many_threads_share_few_workers(strict: MathGrader) -> None:
    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(lambda number: right(strict, number), range(48)))
    assert len(strict._pool._idle) <= strict.workers


def test_asyncio_is_not_held_up(strict: MathGrader) -> None:
    async def main() -> tuple[list[bool], int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticker = asyncio.create_task(tick())
        hanging = strict.grade_async("\\boxed{\\binom{10^9}{10^7}}", "x^2+1")
        answers = await asyncio.gather(hanging, *(strict.grade_async(f"\\boxed{{{n}+z}}", f"z+{n}") for n in range(20)))
        ticker.cancel()
        return [answer.correct for answer in answers], ticks

    verdicts, ticks = asyncio.run(main())
    assert verdicts == [False] + [True] * 20
    assert ticks > 20


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_forked_children_have_workers_of_their_own(strict: MathGrader) -> None:
    assert right(strict, 1)
    ours = {worker.pid for worker in strict._pool._idle}
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    children = [context.Process(target=in_child, args=(strict, queue)) for _ in range(2)]
    for child in children:
        child.start()
    assert [queue.get(timeout=120) for _ in children] == [True, True]
    for child in children:
        child.join(30)
        assert child.exitcode == 0
    assert right(strict, 2)
    assert ours & {worker.pid for worker in strict._pool._idle}


def test_spawned_children_get_the_grader_by_pickle(tmp_path: Path) -> None:
    script = tmp_path / "spawned.py"
    script.write_text("""
import multiprocessing
from harness.graders.math import MathGrader

def child(grader):
    return [answer.correct for answer in grader.grade_many([("\\\\boxed{1+x}", "x+1"), ("\\\\boxed{2+x}", "x+1")])]

if __name__ == "__main__":
    with MathGrader(workers=1) as grader, multiprocessing.get_context("spawn").Pool(2) as pool:
        print(pool.map(child, [grader, grader]))
""")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=200)
    assert done.stdout.strip() == str([[True, False]] * 2), done.stderr


def test_beside_busy_torch_threads() -> None:
    program = """
import threading, torch
from harness.graders.math import MathGrader
stop = threading.Event()
def burn():
    matrix = torch.randn(200, 200)
    while not stop.is_set():
        matrix @ matrix
threads = [threading.Thread(target=burn) for _ in range(2)]
for thread in threads: thread.start()
with MathGrader(workers=2) as grader:
    print([answer.correct for answer in grader.grade_many((f"\\\\boxed{{{n}+x}}", f"x+{n}") for n in range(6))])
stop.set()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == str([True] * 6), done.stderr


def test_killed_workers_and_a_killed_zygote_are_replaced(strict: MathGrader) -> None:
    assert right(strict, 3)
    for worker in list(strict._pool._idle):
        os.kill(worker.pid, signal.SIGKILL)
    assert right(strict, 4)
    zygote = pool_module._zygote
    assert zygote is not None
    os.kill(zygote.process.pid, signal.SIGKILL)
    zygote.process.wait(10)
    assert right(strict, 5)


def test_one_hang_holds_nobody_else_up() -> None:
    with MathGrader(workers=2, deadline=60) as grader:
        hanging = threading.Thread(target=grader.grade, args=("\\boxed{\\binom{10^9}{10^8}}", "x^2+1"))
        hanging.start()
        while not grader._pool._busy:
            time.sleep(0.01)
        (stuck,) = grader._pool._busy.values()
        for number in range(100, 110):
            assert right(grader, number)
        assert hanging.is_alive()
        os.kill(stuck.pid, signal.SIGKILL)  # the fresh try hangs as well
        while stuck.pid in grader._pool._busy or not grader._pool._busy:
            time.sleep(0.01)
        os.kill(next(iter(grader._pool._busy)), signal.SIGKILL)
        hanging.join()
        assert right(grader, 200)


def test_nothing_outlives_a_killed_caller(tmp_path: Path) -> None:
    program = """
import os, signal, threading, time
from harness.graders.math import MathGrader, pool
grader = MathGrader(workers=1)
grader.grade("\\\\boxed{x+1}", "1+x")
threading.Thread(target=grader.grade, args=("\\\\boxed{\\\\binom{10^9}{10^8}}", "x^2+1")).start()
time.sleep(0.3)
print(pool._zygote.process.pid, *[worker for worker in grader._pool._busy], flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) == 2, done.stderr
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_close_ends_the_workers_and_the_grader_goes_on() -> None:
    grader = MathGrader(workers=1)
    assert right(grader, 1)
    (worker,) = grader._pool._idle
    grader.close()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{worker.pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{worker.pid}").exists()
    assert right(grader, 2)
    grader.close()


def test_pickling_keeps_the_switches() -> None:
    grader = MathGrader("strict", 3, boxes_only=True, corrections=["units"])
    again = pickle.loads(pickle.dumps(grader))
    assert again.describe() == grader.describe()
    assert again.workers == 3


def test_batches_keep_their_order_and_compare_equal_pairs_once(strict: MathGrader) -> None:
    pairs = [(f"\\boxed{{{number % 5}+x+x}}", f"2x+{number % 7}") for number in range(200)]
    answers = strict.grade_many(pairs)
    assert [answer.correct for answer in answers] == [number % 5 == number % 7 for number in range(200)]
    truncated = strict.grade_many([("no box", "5", True), ("no box", "5", False), ("\\boxed{5}", "5", True)])
    assert [answer.status for answer in truncated] == ["truncated", "no_answer", "ok"]
