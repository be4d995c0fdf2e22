"""The toys' tokenizer: one token a character, a few words that stand for themselves, and a chat form."""

import string
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import UsageError
from reference_trainer.stream import Prompt
from reference_trainer.tasks.problem import ToyProblem
from reference_trainer.tasks.teacher import Demonstration

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, END, UNKNOWN, USER, ASSISTANT = "<pad>", "<end>", "<unk>", "<user>", "<assistant>"
CHARACTERS = string.digits + string.ascii_lowercase + "+-*/=%()[]{}<>:;,.?!_'\"\\` \n"
WORDS = ("\\boxed{", "\n```\ndef f(x):return (", ")%10\n```", "```", "def", "return")
"""Format that would otherwise cost a character-level model many tokens; they decode to themselves."""
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}<assistant>{{ message['content'] }}<end>"
    "{% else %}<user>{{ message['content'] }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)


def toy_tokenizer() -> "PreTrainedTokenizerFast":
    """The tokenizer; its chat template renders ``<user>question<assistant>response<end>``.

    Raises:
        UsageError: transformers is not installed.
    """
    try:
        from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
        from transformers import PreTrainedTokenizerFast
    except ImportError as error:
        raise UsageError(
            f"the toy tokenizer needs transformers ({error}); install it with: pip install 'ringlite[train]'"
        ) from error
    special = (PAD, END, UNKNOWN, USER, ASSISTANT)
    vocabulary = {token: number for number, token in enumerate((*special, *CHARACTERS, *WORDS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    tokenizer.add_tokens([AddedToken(word, normalized=False) for word in WORDS])
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # transformers annotates no constructor
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        unk_token=UNKNOWN,
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=256,
    )


def save_tokenizer(folder: Path) -> None:
    """Writes the tokenizer's files, for ``AutoTokenizer.from_pretrained(folder)``."""
    toy_tokenizer().save_pretrained(folder)


def prompt_tokens(question: str, tokenizer: Any) -> tuple[int, ...]:
    """Token ids of a question through the tokenizer's chat template, up to where the response begins."""
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": question}], tokenize=False, add_generation_prompt=True
    )
    return tuple(tokenizer.encode(text, add_special_tokens=False))


def response_tokens(response: str, tokenizer: Any) -> tuple[int, ...]:
    """Token ids of a whole response, the end token included."""
    return (*tokenizer.encode(response, add_special_tokens=False), tokenizer.eos_token_id)


def demonstration_tokens(demonstration: Demonstration, tokenizer: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(prompt, response) token ids of a demonstration; only the response is learnt."""
    question = prompt_tokens(demonstration.problem.question, tokenizer)
    return question, response_tokens(demonstration.response, tokenizer)


def stream_prompts(problems: Sequence[ToyProblem], tokenizer: Any) -> list[Prompt]:
    """The problems as a stage draws them; ``gold`` is what ``VerifierReward`` compares with."""
    from reference_trainer.tasks.verifier import toy_gold

    return [
        Prompt(
            id=problem.id,
            tokens=prompt_tokens(problem.question, tokenizer),
            gold=toy_gold(problem),
            domain=problem.domain,
            metadata={"level": problem.level},
        )
        for problem in problems
    ]
