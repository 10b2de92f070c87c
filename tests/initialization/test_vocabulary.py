"""One vocabulary of initialisations, understood wherever a network is drawn, and no torch to import for its names."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.optimize import brentq

from igbrepro import training
from igbrepro.data import gaussian
from igbrepro.errors import ParameterError
from igbrepro.initialization import SCHEMES, TRACED, InitSpec, check_init, initialize_
from igbrepro.networks import CNNSpec, MLPSpec, ResNetSpec, ViTSpec, build
from igbrepro.theory import MaxPool, design

DATASET = gaussian(n_train=130, n_test=40, features=48, classes=2, seed=0)
SPECS = {
    "mlp": MLPSpec("tanh", 3, 20, 2, (3, 4, 4)),
    "cnn": CNNSpec("relu", 2, 6, 2, (3, 4, 4), strides=(), pool=MaxPool(4)),
    "resnet": ResNetSpec("relu", (1,), 4, 2, (3, 4, 4)),
    "vit": ViTSpec("gelu", 1, 8, 2, 2, n_classes=2, input_shape=(3, 4, 4)),
}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_names_need_no_torch():
    code = (
        "import sys; from igbrepro.initialization import TRACED, InitSpec, check_init; check_init('lsuv'); "
        "assert 'torch' not in sys.modules; import igbrepro.initialization as room; "
        "assert all(hasattr(room, name) and name in dir(room) for name in room.__all__) and 'torch' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    import igbrepro.initialization as room

    with pytest.raises(AttributeError, match="no attribute 'initialise_'"):
        _ = room.initialise_


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize("init", [*TRACED, *SCHEMES])
def test_build_takes_every_name(spec, init):
    model, again, other = (build(spec, init, seeded(seed)) for seed in (3, 3, 4))
    for (name, p), q in zip(model.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(p, q) and p.isfinite().all(), name
    assert not all(torch.equal(p, q) for p, q in zip(model.parameters(), other.parameters(), strict=True))


def test_traced_names_are_initialize_on_the_same_inputs():
    spec, x = SPECS["cnn"], torch.rand(10, 3, 4, 4, generator=seeded())
    for given in (None, x):
        built = build(spec, "lsuv", seeded(1), given)
        inputs = torch.randn(64, 3, 4, 4, generator=seeded()) if given is None else given
        with torch.no_grad():
            assert float(built[0](inputs).std()) == pytest.approx(1, rel=1e-3)  # what lsuv is for


def test_a_design_is_its_two_variances():
    made = design("tanh", 3, 1.0)
    assert check_init(made) == InitSpec(made.sigma_w2, made.sigma_b2)
    one, two = (build(SPECS["mlp"], init, seeded()) for init in (made, check_init(made)))
    assert all(torch.equal(p, q) for p, q in zip(one.parameters(), two.parameters(), strict=True))


@pytest.mark.parametrize("init", ["edge-of-chaos", "lsuv", design("tanh", 3, 1.0)], ids=["edge", "lsuv", "design"])
def test_training_takes_them_too(init):
    settings = {"steps": 2, "batch_size": 10, "n_eval": 10, "progress": False}
    alone = training.train(SPECS["mlp"], init, DATASET, seed=1, **settings)
    many = training.train_many({"it": (SPECS["mlp"], init)}, DATASET, seeds=[1], workers=1, **settings)
    loss = many.frame.query("metric == 'loss' and split == 'test'")["value"].to_numpy()
    assert loss == pytest.approx(alone.series("loss").to_numpy(), rel=1e-5)


def test_lsuv_in_training_has_unit_variance_on_the_data():
    settings = {"steps": 0, "batch_size": 10, "n_eval": 10, "progress": False}
    model = training.train(SPECS["mlp"], "lsuv", DATASET, **settings).model
    x = torch.from_numpy(DATASET.standardise(DATASET.train_images[::2][:64])).reshape(-1, 48)
    with torch.no_grad():
        assert float(model[:2].cpu()(x).std()) == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize(
    ("init", "words"),
    [
        ("edge-of-caos", "init='edge-of-caos'.*edge-of-chaos, orthogonal, lsuv.*Did you mean 'edge-of-chaos'"),
        ("He", "Did you mean 'he'"),
        ("kaiming", "Did you mean 'he'"),
        ("glorot", "Did you mean 'xavier'"),
        ("LSUV", "Did you mean 'lsuv'"),
        (1.5, r"init=1\.5: need an InitSpec"),
        (np.ones(2), "need an InitSpec"),
    ],
)
def test_other_words_are_refused(init, words):
    for draw in (check_init, lambda init: build(SPECS["mlp"], init)):
        with pytest.raises(ParameterError, match=words):
            draw(init)
    with pytest.raises(ParameterError, match="scheme="):
        initialize_(build(SPECS["mlp"]), init)


def tanh_edge(sigma_b2):
    """sigma_w2 with chi = 1 at the fixed point, by sums over a fine grid."""
    z = np.linspace(-8, 8, 4001)
    weight = np.exp(-z * z / 2) / np.exp(-z * z / 2).sum()

    def excess(q):
        slope = weight @ (1 - np.tanh(np.sqrt(q) * z) ** 2) ** 2
        return weight @ np.tanh(np.sqrt(q) * z) ** 2 / slope + sigma_b2 - q

    q = brentq(excess, 1e-6, 50)
    return 1 / (weight @ (1 - np.tanh(np.sqrt(q) * z) ** 2) ** 2)


@pytest.mark.parametrize(("activation", "sigma_b2"), [("tanh", 0.1), ("tanh", 0.5), ("relu", 0.1)])
def test_on_the_edge_every_layer_of_a_transformer_has_the_critical_value_of_what_feeds_it(activation, sigma_b2):
    spec = ViTSpec(activation, 1, 120, 4, 4, 2, input_shape=(1, 8, 8))
    model = build(spec, InitSpec.from_ratio(1.0, activation, sigma_b2), seeded())
    block = model.encoder.layers[0]
    fed_by_nothing = (block.self_attention.in_proj_weight, block.self_attention.out_proj.weight, block.mlp[0].weight)
    for weight in fed_by_nothing:
        assert float(weight.square().mean()) * 120 == pytest.approx(1, rel=0.05)
    edge = 2.0 if activation == "relu" else tanh_edge(sigma_b2)
    assert float(block.mlp[3].weight.square().mean()) * 240 == pytest.approx(edge, rel=0.05)
    assert model.heads.head.gain == pytest.approx(1 / edge, rel=1e-3)
