"""What ranks hold of a batch makes up the batch again."""

import pytest
import torch

from reference_trainer.engine import UpdateBatch


@pytest.mark.parametrize("ranks", [1, 2, 3, 7])
@pytest.mark.parametrize("lengths", [[5, 1, 7, 3, 3], [2]])
def test_joining_the_shares_gives_the_batch(batch, ranks, lengths):
    made = batch(lengths)
    joined = UpdateBatch.joined([made.share(rank, ranks) for rank in range(ranks)])
    assert (joined.divisor, joined.tokens, joined.update_responses) == (
        made.divisor,
        made.tokens,
        made.update_responses,
    )
    for name in ("lengths", "advantages"):
        assert getattr(joined, name).equal(getattr(made, name))
    for name in ("prompts", "responses", "sampling_logprobs", "old_logprobs"):
        assert all(torch.equal(*pair) for pair in zip(getattr(joined, name), getattr(made, name), strict=True)), name
    assert joined.reference_logprobs is None
