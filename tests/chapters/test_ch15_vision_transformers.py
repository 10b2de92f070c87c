import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from igbrepro.data import load
from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.networks import CNNSpec, ViTSpec, build
from igbrepro.probes import layer_table
from igbrepro.publishing import notebook_path, parameter_defaults
from igbrepro.runs import DataFacts, Parameters, Run
from igbrepro.training import TrainSettings
from notebooks.ch15_vision_transformers.experiment import binarised, full, simplified, untrained
from notebooks.ch15_vision_transformers.lab import start, token_table

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


def test_patches_are_normalised_by_the_images_looked_at():
    """As in training mode, not by running statistics of nothing, which an untrained network has."""
    spec = replace(SPEC, patch_norm=True, unit_tokens=True)
    model = build(spec, InitSpec(2.0), torch.Generator().manual_seed(0)).eval()
    x = 1 + 3 * torch.randn(6, 1, 12, 12)
    table = token_table(model, x)
    assert table.equals(token_table(model.train(), x))
    np.testing.assert_allclose(table, token_table(model.eval(), 5 * x - 2), rtol=1e-3, atol=1e-3)


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


def test_the_start_is_what_the_probes_say_of_each_network():
    dataset = load("fashion-mnist-subset")
    spec = ViTSpec("relu", depth=2, width=8, heads=2, patch=7, input_shape=(1, 28, 28), norm=False, residual=False)
    found = start(Run("x", spec, InitSpec(2.0), 3, TrainSettings(1)), dataset, n_images=4, n_networks=2, n_heads=5)
    second = found[found["split"] == "network 1"].groupby("metric")["value"].agg(list)
    images = dataset.subset(n_test=4, seed=3).inputs("test", flat=False)
    model = build(spec, InitSpec(2.0), torch.Generator().manual_seed(30_001))
    sizes, tokens = layer_table(model, images, seed=1), token_table(model, images)
    assert second["q"] == list(sizes["q"]) and second["gradient"] == list(sizes["gradient"])
    assert second["within"] == list(tokens["within"]) and second["between"] == list(tokens["between"])
    assert len(second["max_class_fraction"]) == 1 and 0.25 <= second["max_class_fraction"][0] <= 1
    scheme = start(Run("x", spec, "default", 3, TrainSettings(1)), dataset, n_images=4, n_networks=2, n_heads=5)
    assert list(scheme["metric"]) == ["max_class_fraction"] * 2


@pytest.fixture(scope="module")
def sweeps():
    """Those of the laptop preset, on ten classes of colour pictures, by name."""
    p = Parameters(parameter_defaults(notebook_path("ch15_vision_transformers")))
    facts = DataFacts("x", "", "0", 10_000, 2_000, (3, 32, 32), tuple("abcdefghij"), "standard", (0.0,), (1.0,))
    return {one.__name__: one(p, facts) for one in (simplified, binarised, full, untrained)}


def test_simplified_networks_are_the_paper_s_and_read_patches_by_the_batch(sweeps):
    for name, labels, n_classes in (("simplified", "classes", 10), ("binarised", "parity", 2)):
        runs = sweeps[name].runs
        assert {run.settings.labels for run in runs} == {labels} and {run.spec.n_classes for run in runs} == {n_classes}
        assert all(run.settings.batch_statistics and run.spec.patch_norm and run.spec.unit_tokens for run in runs)
        assert not any(run.spec.norm or run.spec.residual for run in runs)
        assert {run.name: (run.init.sigma_w2, run.init.sigma_b2) for run in runs} == {
            f"{name} 0.7": (1.4, 0),
            f"{name} 1": (2, 0),
            f"{name} 1.3": (2.6, 0),
        }


def test_full_networks_are_torchvision_s(sweeps):
    for run in sweeps["full"].runs:
        assert run.spec.norm and run.spec.residual and not run.settings.batch_statistics
        assert not {"patch_norm", "unit_tokens"} & set(run.task["network"]), "as they were stored before these existed"
    assert set(sweeps["untrained"].networks) == {*sweeps["simplified"].networks, *sweeps["full"].networks}
