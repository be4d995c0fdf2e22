"""One contender of ``benchmarks.perf.trainer`` in a process of its own: whole RL steps, timed one by one.

python -m benchmarks.perf.trainer_contenders '{"trainer": "ringlite", "checkpoint": "...", ...}'

The last line of its output is JSON: tokens generated, CPU seconds and wall seconds of each step, and the peak memory.
"""

import json
import os
import random
import resource
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

END, PAD = 1, 0
VOCABULARY = 60


@dataclass(frozen=True)
class Task:
    """What is run: the same for every contender but for ``trainer`` and ``tokens_at_once``.

    Attributes:
        trainer: "ringlite" or "trl".
        checkpoint: Folder of the model that is trained.
        tokens_at_once: Most tokens, padding included, whose activations are held at a time. TRL counts sequences: it
            gets the number that fits at their longest.
        prompts: Prompts a step.
        samples: Answers a prompt.
        new_tokens: Length limit of an answer.
        prompt_tokens: Shortest and longest prompt.
        steps: Steps to time; the first is a warm-up.
        implementations: Keyword arguments of ``from_pretrained``.
    """

    trainer: str
    checkpoint: str
    tokens_at_once: int = 16_384
    prompts: int = 32
    samples: int = 8
    new_tokens: int = 40
    prompt_tokens: tuple[int, int] = (10, 24)
    steps: int = 6
    implementations: tuple[tuple[str, str], ...] = ()

    def prompt_ids(self) -> list[list[int]]:
        """Random prompts without the two special tokens, enough for every step."""
        rng = random.Random(0)
        return [
            [rng.randrange(2, VOCABULARY) for _ in range(rng.randint(*self.prompt_tokens))]
            for _ in range(self.prompts * self.steps)
        ]


def make_checkpoint(folder: Path, kind: str, experts: int = 8) -> int:
    """Saves a random model of the toy's shape, as ``bailing_moe`` or ``qwen2_moe``; returns its parameters."""
    import torch
    from transformers import Qwen2MoeConfig, Qwen2MoeForCausalLM

    from reference_trainer.model import BailingMoeConfig, BailingMoeForCausalLM

    torch.manual_seed(0)
    shape: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "hidden_size": 128,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "num_experts": experts,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 96,
        "norm_topk_prob": True,
        "max_position_embeddings": 1024,
        "eos_token_id": END,
        "pad_token_id": PAD,
    }
    if kind == "bailing_moe":
        config: Any = BailingMoeConfig(**shape, num_shared_experts=1, use_bias=False)
        model: Any = BailingMoeForCausalLM(config)
    else:
        model = Qwen2MoeForCausalLM(Qwen2MoeConfig(**shape, shared_expert_intermediate_size=96, qkv_bias=False))
    model.save_pretrained(folder)
    return sum(parameter.numel() for parameter in model.parameters())


def load(task: Task) -> Any:
    """The task's model in float32."""
    import torch
    from transformers import AutoModelForCausalLM

    import reference_trainer.model  # noqa: F401  registers bailing_moe

    return AutoModelForCausalLM.from_pretrained(task.checkpoint, dtype=torch.float32, **dict(task.implementations))


def run_ringlite(task: Task) -> list[dict[str, float]]:
    """Steps of this project's trainer: C3PO over all tokens, KL, entropy, balance and z-loss."""
    from reference_trainer.config import ObjectiveConfig, OptimizerConfig, RLConfig, RolloutConfig
    from reference_trainer.engine import OneProcessEngine
    from reference_trainer.rollout import TransformersEngine
    from reference_trainer.step import RLTrainer
    from reference_trainer.stream import Prompt, PromptStream

    config = RLConfig(
        seed=0,
        objective=ObjectiveConfig(token_budget=None),
        optimizer=OptimizerConfig(learning_rate=1e-5, micro_batch_tokens=task.tokens_at_once),
        rollout=RolloutConfig(
            prompts_per_step=task.prompts, responses_per_prompt=task.samples, max_new_tokens=task.new_tokens
        ),
    )
    model = load(task)
    engine = OneProcessEngine(model, config.objective, config.optimizer)
    stream = PromptStream([Prompt(str(i), tuple(ids)) for i, ids in enumerate(task.prompt_ids())], seed=0)
    sampler = TransformersEngine(model, END, max_rows=task.prompts * task.samples)
    trainer = RLTrainer(engine, sampler, stream, lambda _, rollouts: [r.length % 2 for r in rollouts], config)
    steps = []
    for _ in range(task.steps):
        cpu, wall = time.process_time(), time.perf_counter()
        metrics, timings = trainer.step()
        steps.append(
            {
                "tokens": metrics["tokens_generated"],
                "cpu": time.process_time() - cpu,
                "wall": time.perf_counter() - wall,
                "rollout_wall": timings["rollout_seconds"],
            }
        )
    return steps


def run_trl(task: Task) -> list[dict[str, float]]:
    """Steps of TRL's GRPOTrainer: the token mean of DAPO, KL, and the auxiliary loss of a model that has one."""
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    tokenizer, words = word_tokenizer()
    lengths: list[int] = []
    stamps: list[tuple[float, float]] = []

    def reward(completion_ids: list[list[int]], **_: Any) -> list[float]:
        lengths.append(sum(len(ids) for ids in completion_ids))
        return [float(len(ids) % 2) for ids in completion_ids]

    class Stopwatch(TrainerCallback):
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            stamps.append((time.process_time(), time.perf_counter()))

        def on_step_end(self, *_: Any, **__: Any) -> None:
            stamps.append((time.process_time(), time.perf_counter()))

    rows = task.prompts * task.samples
    longest = task.prompt_tokens[1] + task.new_tokens
    per_pass = next(n for n in range(min(rows, task.tokens_at_once // longest), 0, -1) if rows % n == 0)
    arguments = GRPOConfig(
        output_dir=str(Path(task.checkpoint).with_name("trl_output")),
        per_device_train_batch_size=per_pass,
        gradient_accumulation_steps=rows // per_pass,
        num_generations=task.samples,
        max_completion_length=task.new_tokens,
        max_steps=task.steps,
        beta=1e-3,
        learning_rate=1e-5,
        loss_type="dapo",
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        model_init_kwargs=None,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        seed=0,
    )
    texts = ["".join(words[i] for i in ids) for ids in task.prompt_ids()]
    trainer = GRPOTrainer(
        load(task),
        reward,
        args=arguments,
        train_dataset=Dataset.from_dict({"prompt": texts}),
        processing_class=tokenizer,
        callbacks=[Stopwatch()],
    )
    trainer.train()
    pairs = zip(stamps, stamps[1:], lengths, strict=False)
    return [{"tokens": n, "cpu": after[0] - before[0], "wall": after[1] - before[1]} for before, after, n in pairs]


def word_tokenizer() -> tuple[Any, list[str]]:
    """A tokenizer of one character a token, so that TRL sees the same token ids."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["<pad>", "<eos>", *(chr(0x4E00 + i) for i in range(VOCABULARY - 2))]
    core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<pad>"))
    core.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<eos>", pad_token="<pad>"), words


def main() -> None:
    """Runs the task of the command line on one thread."""
    import torch

    torch.set_num_threads(1)
    values = json.loads(sys.argv[1])
    values["prompt_tokens"] = tuple(values["prompt_tokens"])
    values["implementations"] = tuple(tuple(pair) for pair in values["implementations"])
    task = Task(**values)
    steps = run_ringlite(task) if task.trainer == "ringlite" else run_trl(task)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        json.dumps({"task": asdict(task), "steps": steps, "peak_mib": peak, "threads": os.environ["OMP_NUM_THREADS"]})
    )


if __name__ == "__main__":
    main()
