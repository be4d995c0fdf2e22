"""Between messages, token ids and text, for engines that run in this process: what is asked, and what was answered."""

import json
from collections.abc import Sequence
from typing import Any

from harness.backends.checkpoint import Checkpoint
from harness.backends.loading import first_line
from harness.errors import UsageError
from harness.protocol import digest
from harness.types import Request


class PromptText:
    """A tokenizer as samples need it.

    Args:
        tokenizer: Of transformers.
        name: The model's, for error messages.
        end_ids: Tokens that end a response; they are no part of its text.
    """

    def __init__(self, tokenizer: Any, name: str, end_ids: frozenset[int]) -> None:
        self._tokenizer, self._name = tokenizer, name
        thinking = {tokenizer.convert_tokens_to_ids(tag) for tag in ("<think>", "</think>")}
        special = {token for token, added in tokenizer.added_tokens_decoder.items() if added.special}
        self._hidden = (special | set(tokenizer.all_special_ids) | end_ids) - thinking

    def hashes(self) -> dict[str, str | None]:
        """What of the tokenizer changes a sample, for the manifest."""
        template = self._tokenizer.chat_template
        backend = getattr(self._tokenizer, "backend_tokenizer", None)
        words = backend.to_str() if backend is not None else digest(self._tokenizer.get_vocab())
        return {
            "tokenizer_hash": digest(words)[:16],
            "chat_template_hash": digest(template)[:16] if template else None,
        }

    def render(self, request: Request) -> tuple[list[int], str]:
        """Token ids of the prompt, and a thinking tag that the template has opened (it belongs to the response).

        Raises:
            UsageError: The chat template refuses the messages.
        """
        messages = [dict(message) for message in request.messages]
        if request.style == "chat" and self._tokenizer.chat_template:
            text = self._templated(messages)
            opened = text[text.rindex("<think>") :] if text.rstrip().endswith("<think>") else ""
            return self._tokenizer(text, add_special_tokens=False)["input_ids"], opened
        text = "\n\n".join(message["content"] for message in messages)
        return self._tokenizer(text)["input_ids"], ""

    def _templated(self, messages: list[dict[str, str]]) -> str:
        try:
            text: str = self._tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        except Exception as error:
            roles = ", ".join(message["role"] for message in messages)
            raise UsageError(
                f"the chat template of {self._name} refuses messages of the roles {roles}: {first_line(error)}"
            ) from error
        return text

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of generated tokens: without end and other special tokens, thinking tags apart."""
        shown = [token for token in tokens if token not in self._hidden]
        text: str = self._tokenizer.decode(shown, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text

    def decode_until(self, tokens: Sequence[int], stop: Sequence[str]) -> str:
        """The text up to where the first stop string begins."""
        text = self.decode(tokens)
        return text[: min((place for word in stop if (place := text.find(word)) >= 0), default=None)]


def declared_ends(*sources: Any) -> frozenset[int]:
    """Every token that any of these configurations and tokenizers declares to end a response."""
    declared = [getattr(source, "eos_token_id", None) for source in sources]
    ids = {token for item in declared for token in (item if isinstance(item, (list, tuple)) else [item])}
    return frozenset(token for token in ids if token is not None)


def ends_on_disk(checkpoint: Checkpoint, tokenizer: Any) -> frozenset[int]:
    """``declared_ends`` of a checkpoint's files, for engines that keep the model's configuration to themselves."""
    found: set[int] = set(declared_ends(tokenizer))
    for name in ("config.json", "generation_config.json"):
        file = checkpoint.folder / name
        values = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        for part in (values, values.get("text_config") or {}):
            item = part.get("eos_token_id")
            found.update(token for token in (item if isinstance(item, list) else [item]) if isinstance(token, int))
    return frozenset(found)
