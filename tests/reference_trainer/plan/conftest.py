"""A small machine with round numbers."""

import pytest

from reference_trainer.plan.cluster import Cluster, Sampler
from reference_trainer.plan.rates import Decoding, Training
from reference_trainer.plan.shape import Shape


@pytest.fixture(scope="session")
def small_shape():
    """1,000 parameters, 400 of them in 4 experts of which 1 is used, 100 in the embedding; 32 bytes of cache."""
    return Shape(
        total=1000,
        activated=700,
        routed=400,
        embedding=100,
        largest_layer=400,
        layers=2,
        expert_layers=2,
        hidden=8,
        heads=2,
        kv_heads=1,
        head_dim=4,
        experts=4,
        experts_per_token=1,
        expert_width=4,
        shared_width=0,
        dense_width=0,
        vocabulary=10,
        source="test",
    )


@pytest.fixture(scope="session")
def make_sampler(small_shape):
    def make(engines=4, rows=1000, prompt=10, bandwidth=1e4):
        return Sampler(engines, rows, Decoding(small_shape, bandwidth, 1e9), prompt)

    return make


@pytest.fixture(scope="session")
def make_cluster(small_shape, make_sampler):
    def make(gpus=4, rate=None, **sampler):
        return Cluster(gpus, make_sampler(**{"engines": gpus, **sampler}), Training(small_shape, 1e6, rate), 1, 5.0)

    return make
