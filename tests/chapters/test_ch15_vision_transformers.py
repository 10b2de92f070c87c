import itertools

import numpy as np
import pytest
import torch

from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.networks import CNNSpec, ViTSpec, build
from notebooks.ch15_vision_transformers.lab import token_table

SPEC = ViTSpec("relu", depth=2, width=8, heads=2, input_shape=(1, 12, 12), norm=False, residual=False)


def test_correlations_are_those_of_every_pair_by_hand():
    model = build(SPEC, InitSpec(2.0), torch.Generator().manual_seed(0)).train()
    x = torch.randn(3, 1, 12, 12, generator=torch.Generator().manual_seed(1))
    found = token_table(model, x.numpy())
    assert model.training and found["block"].tolist() == [0, 1, 2]

    model.eval()
    with torch.no_grad():
        h = model._process_input(x)
        h = torch.cat([model.class_token.expand(3, -1, -1), h], 1) + model.encoder.pos_embedding
        states = [h]
        for block in model.encoder.layers:
            states.append(block(states[-1]))
    for row, state in zip(found.itertuples(), states, strict=True):
        h = state.double().numpy()
        unit = h / np.linalg.norm(h, axis=-1, keepdims=True)
        within = np.mean([unit[a, s] @ unit[a, t] for a in range(3) for s, t in itertools.combinations(range(10), 2)])
        between = np.mean([unit[a, s] @ unit[b, s] for s in range(10) for a, b in itertools.combinations(range(3), 2)])
        np.testing.assert_allclose([row.within, row.between], [within, between], rtol=1e-6)


def test_attention_without_weights_makes_all_tokens_of_an_image_one():
    model = build(SPEC, InitSpec(2.0), torch.Generator().manual_seed(0))
    with torch.no_grad():  # keys and queries of zero: every token attends to all others alike
        model.encoder.layers[0].self_attention.in_proj_weight[:16] = 0
    table = token_table(model, torch.randn(4, 1, 12, 12))
    assert table["within"][0] < 0.5 and table["within"][1] == pytest.approx(1, abs=1e-5)
    assert table["between"][1] < 0.9


def test_tokens_of_length_zero_have_no_correlation():
    model = build(SPEC, InitSpec(2.0), torch.Generator().manual_seed(0))
    torch.nn.init.zeros_(model.encoder.layers[1].mlp[3].weight)
    torch.nn.init.zeros_(model.encoder.layers[1].mlp[3].bias)
    assert token_table(model, torch.randn(2, 1, 12, 12)).iloc[2].isna()[["within", "between"]].all()


def test_other_models_and_single_images_are_refused():
    with pytest.raises(ParameterError, match="0 encoder blocks"):
        token_table(build(CNNSpec("relu", 2, 4), "default"), torch.randn(2, 3, 32, 32))
    with pytest.raises(ParameterError, match="1 inputs"):
        token_table(build(SPEC, InitSpec(2.0)), torch.randn(1, 1, 12, 12))
