"""One thread and no per-example deadline: the examples are tiny tensors on a shared machine."""

import pytest
import torch
from hypothesis import settings

settings.register_profile("trainer", deadline=None)
settings.load_profile("trainer")


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
