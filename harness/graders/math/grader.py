"""The mathematics grader: extraction, fast path, memo, and workers behind one class."""

import asyncio
import hashlib
import os
import threading
import weakref
from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, Self

from harness.errors import UsageError, nearest
from harness.graders.math import fast_path, limits
from harness.graders.math.answer import Answer, Extracted, Gold, Kind, Scorer
from harness.graders.math.corrections import ALL, check_names
from harness.graders.math.extraction import extract
from harness.graders.math.pins import versions
from harness.graders.math.pool import DEADLINE_SECONDS, WorkerPool

SCORERS: tuple[Scorer, ...] = ("strict", "math-verify")
EXTRACTED_CHARACTERS = 2_000
MAX_RESPONSE = 4_000_000
"""Characters of a response that Math-Verify's own extraction is given; longer ones are refused under that scorer."""

WHOLE_RESPONSES = 2_000
"""Whole responses that are remembered at most: unlike answers they hardly ever come twice."""

Pair = tuple[str, Gold] | tuple[str, Gold, bool]


def check_gold(gold: Any, kind: Kind) -> tuple[str, ...]:
    """Returns the golds as a tuple; raises UsageError for anything that is no gold."""
    golds = (gold,) if isinstance(gold, str) else tuple(gold) if isinstance(gold, list | tuple) else ()
    if not golds or not all(isinstance(item, str) and item.strip() for item in golds):
        raise UsageError(f"a gold must be a non-empty text or a list of them, not {gold!r:.80}")
    if kind == "aime":
        for item in golds:
            value = fast_path.exact_number(item.strip())
            if value is None or value.denominator != 1 or not 0 <= value <= 999:
                raise UsageError(f"an AIME gold is an integer from 0 to 999, not {item!r:.80}")
    elif kind != "math":
        raise UsageError(f"unknown kind of answer {kind!r}{nearest(str(kind), ('math', 'aime'))}; known: math, aime")
    return golds


_GRADERS: "weakref.WeakSet[MathGrader]" = weakref.WeakSet()


def _renew_locks() -> None:
    """In a forked child: another thread of the parent may have held a lock when the process was copied."""
    for grader in list(_GRADERS):
        grader._lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_locks)


class MathGrader:
    """Grades mathematical answers; safe to share between threads and asyncio tasks, to pickle, and to use after a fork.

    Args:
        scorer: "strict" (our extraction and corrections; the reward) or "math-verify" (Math-Verify on the whole
            response, untouched but for isolation; what published numbers used).
        workers: Processes that compare at once; None takes the number of usable CPUs. They start when first needed.
        boxes_only: The reward mode: nothing but a box counts as an answer (strict only).
        prefilled_think: Whether the prompt ends in an open ``<think>``, so that a response without ``</think>`` never
            finished thinking (strict only).
        corrections: Names of the corrections that are on (strict only); None for all. See ``corrections.ALL``.
        deadline: Seconds of wall time for one comparison.
        memo_size: Compared (gold, answer) pairs that are remembered.
        explain: Whether every strict verdict says, in ``evidence``, what Math-Verify has for the same answer and which
            corrections made the difference. It costs a second comparison.

    Raises:
        UsageError: An argument is out of range or unknown.
    """

    def __init__(
        self,
        scorer: Scorer = "strict",
        workers: int | None = None,
        *,
        boxes_only: bool = False,
        prefilled_think: bool = False,
        corrections: Iterable[str] | None = None,
        deadline: float = DEADLINE_SECONDS,
        memo_size: int = 100_000,
        explain: bool = False,
    ) -> None:
        if scorer not in SCORERS:
            raise UsageError(f"unknown scorer {scorer!r}{nearest(str(scorer), SCORERS)}; known: {', '.join(SCORERS)}")
        if workers is not None and workers < 1:
            raise UsageError(f"the grader needs at least 1 worker, not {workers}")
        self.scorer: Scorer = scorer
        self.workers = workers or len(os.sched_getaffinity(0))
        self.boxes_only = boxes_only
        self.prefilled_think = prefilled_think
        self.corrections = ALL if corrections is None else check_names(corrections)
        self.deadline = deadline
        self.memo_size = memo_size
        self.explain = explain
        self.counts: Counter[str] = Counter()
        """How often each path, status and correction decided; see ``Answer.evidence``."""
        self._pool = WorkerPool(self.workers, deadline)
        self._memo: OrderedDict[tuple[Any, ...], dict[str, Any]] = OrderedDict()
        self._lock = threading.Lock()
        _GRADERS.add(self)

    def __getstate__(self) -> dict[str, Any]:
        names = (
            "scorer",
            "workers",
            "boxes_only",
            "prefilled_think",
            "corrections",
            "deadline",
            "memo_size",
            "explain",
        )
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        MathGrader.__init__(self, **state)

    def grade(
        self,
        response: str,
        gold: Gold,
        *,
        truncated: bool = False,
        kind: Kind = "math",
        several: bool = False,
        tolerance: float | None = None,
    ) -> Answer:
        """Grades one response.

        Args:
            response: What the model wrote, thinking included.
            gold: The answer, or several of which any one is right.
            truncated: Whether the response was cut at the token limit; tells "truncated" from "no_answer".
            kind: "math", or "aime" (the gold must be an integer from 0 to 999).
            several: Whether each gold is known to hold several values (strict only), so that "100,200" is two.
            tolerance: Absolute error that the problem allows in a number (strict only).

        Raises:
            UsageError: The gold is not one.
        """
        golds = check_gold(gold, kind)
        task = self._prepare(response, golds, truncated, several, tolerance)
        answer = task if isinstance(task, Answer) else self._finish(task, self._compare(task))
        self._count([answer])
        return answer

    async def grade_async(self, response: str, gold: Gold, **options: Any) -> Answer:
        """``grade`` that leaves the event loop free while a worker compares."""
        return await asyncio.to_thread(self.grade, response, gold, **options)

    def grade_many(self, pairs: Iterable[Pair], *, kind: Kind = "math") -> list[Answer]:
        """Grades a batch (a step of RL): ``(response, gold)`` or ``(response, gold, truncated)`` each, in order.

        Equal (gold, answer) pairs are compared once; comparisons run on all workers at once.
        """
        answers: list[Answer | None] = []
        waiting: dict[tuple[Any, ...], list[tuple[int, _Task]]] = {}
        running: dict[tuple[Any, ...], Future[dict[str, Any]]] = {}
        with ExitStack() as stack:
            executor: ThreadPoolExecutor | None = None
            for response, gold, *rest in pairs:
                task = self._prepare(response, check_gold(gold, kind), bool(rest and rest[0]))
                if isinstance(task, Answer):
                    answers.append(task)
                    continue
                if task.key not in running:
                    executor = executor or stack.enter_context(ThreadPoolExecutor(self.workers))
                    running[task.key] = executor.submit(self._compare, task)
                waiting.setdefault(task.key, []).append((len(answers), task))
                answers.append(None)
            for key, tasks in waiting.items():
                reply = running[key].result()
                for index, task in tasks:
                    answers[index] = self._finish(task, reply)
        graded = [answer for answer in answers if answer is not None]
        self._count(graded)
        return graded

    def close(self) -> None:
        """Ends the workers. The grader may be used again; it starts new ones then."""
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def describe(self) -> dict[str, Any]:
        """What identifies this grader in a manifest: scorer, switches and the versions of the four pinned packages."""
        return {
            "scorer": self.scorer,
            "boxes_only": self.boxes_only,
            "prefilled_think": self.prefilled_think,
            "corrections": sorted(self.corrections),
            "deadline_seconds": self.deadline,
            "versions": versions(),
        }

    def _prepare(
        self,
        response: str,
        golds: tuple[str, ...],
        truncated: bool,
        several: bool = False,
        tolerance: float | None = None,
    ) -> "Answer | _Task":
        if self.scorer == "math-verify":
            if len(response) > MAX_RESPONSE:
                reason = f"the response has {len(response)} characters; at most {MAX_RESPONSE} are searched"
                return self._refuse(None, reason)
            return _Task({"op": "math-verify", "golds": golds, "response": response}, None, truncated)
        found = extract(response, boxes_only=self.boxes_only, prefilled=self.prefilled_think)
        if found is None:
            return Answer(False, "truncated" if truncated else "no_answer", None, self.scorer, {"path": "extraction"})
        verdicts = [None if several else fast_path.decide(gold, found.answer) for gold in golds]
        if True in verdicts or (None not in verdicts and tolerance is None):
            evidence = {"path": "fast", "source": found.source, "math_verify": True in verdicts}
            return Answer(True in verdicts, "ok", found.answer[:EXTRACTED_CHARACTERS], self.scorer, evidence)
        refusals = filter(None, map(limits.refusal, (found.answer, *golds)))
        for refusal in refusals:
            return self._refuse(found, refusal)
        request = {
            "op": "strict",
            "golds": golds,
            "answer": found.answer,
            "corrections": sorted(self.corrections),
            "several": several,
            "tolerance": tolerance,
        }
        return _Task(request, found, truncated)

    def _refuse(self, found: Extracted | None, reason: str) -> Answer:
        extracted = found.answer[:EXTRACTED_CHARACTERS] if found is not None else None
        return Answer(False, "refused_input", extracted, self.scorer, {"path": "limits", "reason": reason})

    def _compare(self, task: "_Task") -> dict[str, Any]:
        reply = self._remembered(task.key, task.request)
        if self.explain and task.found is not None and "correct" in reply:
            request = {"op": "pair", "golds": task.request["golds"], "answer": task.request["answer"]}
            raw = self._remembered(("pair", *request["golds"], request["answer"]), request).get("correct")
            reply = reply | {"math_verify": raw, "corrections": reply["used"] if raw != reply["correct"] else []}
        return reply

    def _remembered(self, key: tuple[Any, ...], request: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            known = self._memo.get(key)
            if known is not None:
                self._memo.move_to_end(key)
                return known
        reply = self._pool.run(request)
        with self._lock:
            self._memo[key] = reply
            most = self.memo_size if self.scorer == "strict" else min(self.memo_size, WHOLE_RESPONSES)
            while len(self._memo) > most:
                self._memo.popitem(last=False)
        return reply

    def _finish(self, task: "_Task", reply: dict[str, Any]) -> Answer:
        extracted = task.found.answer if task.found is not None else reply.get("extracted")
        extracted = extracted[:EXTRACTED_CHARACTERS] if extracted is not None else None
        evidence: dict[str, Any] = {"path": "slow"} | ({"source": task.found.source} if task.found else {})
        if "timeout" in reply:
            evidence["reason"] = f"the comparison was killed after {reply['timeout']} s"
            return Answer(False, "timeout", extracted, self.scorer, evidence)
        if "refused" in reply:
            return Answer(False, "refused_input", extracted, self.scorer, evidence | {"reason": reply["refused"]})
        evidence |= {name: reply[name] for name in ("math_verify", "corrections") if reply.get(name) not in (None, [])}
        if not reply.get("found", True):
            return Answer(False, "truncated" if task.truncated else "no_answer", None, self.scorer, evidence)
        return Answer(bool(reply["correct"]), "ok", extracted, self.scorer, evidence)

    def _count(self, answers: Sequence[Answer]) -> None:
        counts: Counter[str] = Counter()
        for answer in answers:
            counts["path " + answer.evidence["path"]] += 1
            counts["status " + answer.status] += 1
            for name in answer.evidence.get("corrections", ()):
                counts["correction " + name] += 1
        with self._lock:
            self.counts += counts


class _Task:
    """One comparison that needs a worker."""

    __slots__ = ("found", "key", "request", "truncated")

    def __init__(self, request: dict[str, Any], found: Extracted | None, truncated: bool) -> None:
        self.request, self.found, self.truncated = request, found, truncated
        # The switches and versions are fixed for the life of the process, so they need no place in the key.
        # A whole response is remembered by its digest: thousands of them would not fit into memory.
        text = _digest(request["response"]) if found is None else request["answer"]
        self.key = (request["op"], *request["golds"], text, request.get("several"), request.get("tolerance"))


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
