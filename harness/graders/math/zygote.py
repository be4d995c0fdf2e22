"""The warm parent of all workers: a clean process that has the libraries loaded and only ever forks.

The caller may run threads (torch, asyncio, a training loop), and a fork of such a process can inherit a locked lock. So
the caller starts this one with ``exec``, and every worker is forked from here, where there is one thread and nothing
else.

Requests on the control socket (SOCK_SEQPACKET, one message each): ``F`` with a file descriptor forks a worker that
serves on it and answers with its process id (4 bytes); ``R`` + id reaps that worker, so an id is never reused before
its owner has done with it. When the control socket closes, all workers are killed and the zygote ends.
"""

import contextlib
import gc
import logging
import os
import signal
import socket
import struct
import sys

PID = struct.Struct("!i")

# Typical shapes, so that the parser's prediction tables and sympy's caches are filled once and shared by all workers.
_WARM = (
    ("\\frac{1}{2}", "0.5"),
    ("x^2+2x+1", "(x+1)^2"),
    ("\\frac{\\sqrt{3}}{2}", "\\sqrt{\\frac{3}{4}}"),
    ("(1, \\frac{\\pi}{2})", "(1,\\pi/2)"),
    ("[0,1)\\cup(2,\\infty)", "(2,\\infty)\\cup[0,1)"),
    ("\\begin{pmatrix}1\\\\2\\end{pmatrix}", "\\begin{bmatrix}1\\\\2\\end{bmatrix}"),
    ("y=2x+3", "y = 3+2x"),
    ("1,2,3", "\\{1,2,3\\}"),
    ("3+4i", "4i+3"),
    ("\\text{east}", "east"),
    ("\\log_2 3", "\\frac{\\ln 3}{\\ln 2}"),
    ("\\binom{5}{2}", "2\\cdot 5"),
    ("\\sin^2 x", "1-\\cos^2 x"),
    ("x \\ge 2", "2 \\le x"),
    ("90^\\circ", "10\\%"),
    ("e^{2x}-3!", "e^{2 x} - 6"),
)


def _fork(control: socket.socket, descriptor: int) -> int:
    child = os.fork()
    if child:
        return child
    try:
        control.close()
        from harness.graders.math.worker import serve

        serve(socket.socket(fileno=descriptor))
    finally:
        os._exit(1)


def _reap(child: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(child, 0)


def main(control_descriptor: int) -> None:
    """Loads the libraries, warms them, then forks and reaps workers until the control socket closes."""
    control = socket.socket(fileno=control_descriptor)
    from harness.graders.math.comparison import answer_request

    logging.disable(logging.CRITICAL)
    for gold, answer in _WARM:
        answer_request({"op": "strict", "golds": [gold], "answer": answer, "corrections": None})
        answer_request({"op": "math-verify", "golds": [gold], "response": f"So the answer is $\\boxed{{{answer}}}$."})
    gc.collect()
    gc.freeze()
    children: set[int] = set()
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 64, 1)
        if message[:1] == b"F" and descriptors:
            child = _fork(control, descriptors[0])
            os.close(descriptors[0])
            children.add(child)
            control.send(PID.pack(child))
        elif message[:1] == b"R":
            child = PID.unpack(message[1:])[0]
            if child in children:
                children.discard(child)
                _reap(child)
        else:
            break
    for child in children:
        os.kill(child, signal.SIGKILL)
    for child in children:
        _reap(child)


if __name__ == "__main__":
    main(int(sys.argv[1]))
