"""The figures that a plan needs, for the toy domains: counted in what the toy's own generators make."""

import itertools

from reference_trainer.recipe import Recipe, ToyData

_SAMPLE = 400


def with_toy_figures(recipe: Recipe) -> Recipe:
    """The recipe with a complete ``plan`` section if its data are the toy's; what is set there stays."""
    if not isinstance(recipe.data, ToyData):
        return recipe
    from reference_trainer.tasks import DOMAINS
    from reference_trainer.tasks.teacher import demonstrations
    from reference_trainer.tasks.tokenizer import demonstration_tokens, toy_tokenizer

    data, tokenizer = recipe.data, toy_tokenizer()
    shown = itertools.islice(demonstrations(_SAMPLE, recipe.seed, data.hasty_share, data.shares), _SAMPLE)
    pairs = [demonstration_tokens(demonstration, tokenizer) for demonstration in shown]
    prompt = sum(len(prompt) for prompt, _ in pairs) / len(pairs)
    response = sum(len(response) for _, response in pairs) / len(pairs)
    share = recipe.general.reasoning_share if recipe.general is not None else 0.0
    counted = {
        "prompt_tokens": prompt,
        "response_tokens": dict.fromkeys(("c3po_math", "c3po_code_science"), response),
        "problems": dict.fromkeys(DOMAINS, data.train),
        "demonstrations": data.demonstrations,
        "demonstration_tokens": prompt + response,
        "general_demonstrations": max(1, round(data.instructions / (1 - share))),
        "unknown": {"response_tokens": "the teacher's mean; a trained policy writes longer"},
    }
    missing = {name: value for name, value in counted.items() if name not in recipe.plan.model_fields_set}
    return recipe.model_copy(update={"plan": recipe.plan.model_copy(update=missing)})
