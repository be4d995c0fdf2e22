r"""Published training data as the stages take it: demonstrations in tokens, and prompts with what verifies a response.

Written for ``inclusionAI/Ring-lite-sft-data`` and ``inclusionAI/Ring-lite-rl-data``; ``data.columns`` of a recipe
maps any other names: ``messages`` of demonstrations; ``prompt``, ``id``, ``domain``, ``answer``, ``tests`` and
``entry_point`` of problems.
"""

import hashlib
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from harness.errors import UsageError
from reference_trainer.hub_golds import NoGold, code_gold, text_gold
from reference_trainer.hub_rows import HubTable, hub_tables
from reference_trainer.stream import Prompt
from reference_trainer.tasks.problem import DOMAINS, Domain
from reference_trainer.tasks.tokenizer import response_tokens

if TYPE_CHECKING:
    from reference_trainer.recipe import HubData

Tokens = tuple[int, ...]

INSTRUCTION = "Please reason step by step, and put your final answer within \\boxed{}."
"""Ends a prompt of mathematics or science (Ring-lite, 3.3), where it has no instruction about a box."""

_MESSAGES, _PROMPT, _ID = ("messages",), ("prompt", "question", "problem", "messages"), ("mid", "id")
_ANSWER, _TESTS = ("answer", "groundtruth", "ground_truth"), ("code_test_cases", "test_cases", "tests")
_ALIASES: dict[str, Domain] = {"maths": "math", "mathematics": "math", "stem": "science", "coding": "code"}


def hub_demonstrations(
    data: "HubData", tokenizer: Any, which: Literal["sft", "general"] = "sft"
) -> Iterator[tuple[Tokens, Tokens]]:
    """(prompt, response) token ids of a data set of chats; only the response is learnt.

    The response is the assistant's last turn and the end token, the prompt all that comes before it in the tokenizer's
    chat template. Rows without a turn of the assistant are left out, with one warning at the end that counts them.

    Args:
        data: Where the rows are.
        tokenizer: Of the model, with a chat template.
        which: The data of the distillation or that of the general stage.

    Raises:
        UsageError: No such data, no ``messages`` column, a value in it that is no chat, or no chat template.
    """
    source = data.sft if which == "sft" else data.general
    if source is None:
        raise UsageError(f"the recipe names no data for the {which} stage: set data.{which}")
    _refuse_without_template(tokenizer)
    left_out: Counter[str] = Counter()
    for table in hub_tables(source, data.revision.get(which)):
        column = table.column("messages", _MESSAGES, data.columns)
        for number, row in enumerate(table, 1):
            messages = _chat(row[column], f"{table.name}, row {number}, column '{column}'")
            last = next((i for i in range(len(messages) - 1, -1, -1) if messages[i]["role"] == "assistant"), 0)
            if not last or not messages[last]["content"].strip():
                left_out["no response of the assistant"] += 1
                continue
            prompt = _render(messages[:last], tokenizer)
            text = _without_opening(messages[last]["content"], prompt)
            yield tuple(tokenizer.encode(prompt, add_special_tokens=False)), response_tokens(text, tokenizer)
    _warn(source, left_out)


def hub_prompts(data: "HubData", tokenizer: Any) -> list[Prompt]:
    """The problems of ``data.rl`` with golds that ``tasks.Verifier`` takes.

    A row's domain is its ``domain`` column, else the name of its file (``code.jsonl``), else code where it has tests
    and mathematics where it has none. Rows that cannot be verified are left out, with one warning that counts them.

    Raises:
        UsageError: A column is missing, a domain is unknown, there is no chat template, or no row is left.
    """
    _refuse_without_template(tokenizer)
    prompts: list[Prompt] = []
    seen: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    for table in hub_tables(data.rl, data.revision.get("rl")):
        reader = _ProblemReader(table, data.columns)
        for number, row in enumerate(table, 1):
            try:
                domain, messages, gold, metadata = reader.read(row, f"{table.name}, row {number}")
            except NoGold as reason:
                left_out[str(reason)] += 1
                continue
            tokens = tuple(tokenizer.encode(_render(messages, tokenizer), add_special_tokens=False))
            name = f"{domain}-{reader.id(row) or hashlib.sha256(repr(messages).encode()).hexdigest()[:16]}"
            seen[name] += 1
            name = name if seen[name] == 1 else f"{name}-{seen[name]}"
            prompts.append(Prompt(name, tokens, gold, domain, metadata))
    _warn(data.rl, left_out)
    if not prompts:
        raise UsageError(f"{data.rl} has no problem that can be verified: check data.columns of the recipe")
    return prompts


class _ProblemReader:
    """Reads the rows of one table, whose columns are looked up once."""

    def __init__(self, table: HubTable, columns: Mapping[str, str]):
        self._table, self._columns = table, columns
        self._prompt = table.column("prompt", _PROMPT, columns)
        self._id = table.optional("id", _ID, columns)
        self._domain = table.optional("domain", ("domain",), columns)
        self._tests = table.optional("tests", _TESTS, columns)
        self._answer = table.optional("answer", _ANSWER, columns)
        self._entry_point = table.optional("entry_point", ("entry_point", "fn_name"), columns)
        self._kept = [name for name in ("dataset", "difficulty", "groundtruth_language") if name in table.columns]

    def id(self, row: Mapping[str, Any]) -> str | None:
        value = row[self._id] if self._id else None
        return None if value in (None, "") else str(value)

    def read(self, row: Mapping[str, Any], place: str) -> tuple[Domain, list[dict[str, str]], Any, dict[str, Any]]:
        domain = self._domain_of(row, place)
        messages = _chat(row[self._prompt], f"{place}, column '{self._prompt}'")
        while messages and messages[-1]["role"] == "assistant":
            messages.pop()
        if not messages or not messages[-1]["content"].strip():
            raise NoGold("no question")
        if domain == "code":
            tests = self._tests or self._table.column("tests", _TESTS, self._columns)
            gold: Any = code_gold(row[tests], row[self._entry_point] if self._entry_point else None)
        else:
            gold = text_gold(row[self._answer or self._table.column("answer", _ANSWER, self._columns)])
            if "\\boxed" not in messages[-1]["content"]:
                messages[-1] = messages[-1] | {"content": f"{messages[-1]['content'].rstrip()}\n\n{INSTRUCTION}"}
        return domain, messages, gold, {name: row[name] for name in self._kept if row[name] is not None}

    def _domain_of(self, row: Mapping[str, Any], place: str) -> Domain:
        if self._domain is None:
            stem = _known_domain(self._table.stem.split("-")[0].split("_")[0])
            return stem or ("code" if self._tests and row[self._tests] else "math")
        if (domain := _known_domain(str(row[self._domain]).lower())) is None:
            raise UsageError(f"{place}: the domain {row[self._domain]!r} is none of {', '.join(DOMAINS)}")
        return domain


def _known_domain(name: str) -> Domain | None:
    return next((domain for domain in DOMAINS if domain == name), _ALIASES.get(name))


def _chat(value: Any, place: str) -> list[dict[str, str]]:
    """A question, or a list of messages, as messages with role and text."""
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    if not isinstance(value, Sequence):
        raise UsageError(f"{place} holds neither a text nor a list of messages, but {type(value).__name__}")
    messages = []
    for message in value:
        role, content = (message.get("role"), message.get("content")) if isinstance(message, Mapping) else (None, None)
        if not isinstance(role, str) or not isinstance(content, str):
            raise UsageError(f"{place} holds a message without a text under role and content: {str(message)[:80]!r}")
        messages.append({"role": role.lower(), "content": content})
    return messages


def _render(messages: list[dict[str, str]], tokenizer: Any) -> str:
    return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))


def _without_opening(response: str, prompt: str) -> str:
    """The response without an opening ``<think>`` that the chat template has already written."""
    if prompt.rstrip().endswith("<think>") and response.lstrip().startswith("<think>"):
        return response.lstrip().removeprefix("<think>").lstrip("\n")
    return response


def _refuse_without_template(tokenizer: Any) -> None:
    if not getattr(tokenizer, "chat_template", None):
        raise UsageError("the model's tokenizer has no chat template: set model.path to a checkpoint that has one")


def _warn(source: str, left_out: Counter[str]) -> None:
    if left_out:
        reasons = ", ".join(f"{count} with {reason}" for reason, count in left_out.most_common())
        warnings.warn(f"{source}: left out {left_out.total()} rows: {reasons}", stacklevel=3)
