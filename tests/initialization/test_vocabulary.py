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
from igbrepro.initialization import SCHEMES, TRACED, HeadStart, InitSpec, SelectedStart, check_init, initialize_
from igbrepro.networks import CNNSpec, MLPSpec, ResNetSpec, ViTSpec, build
from igbrepro.probes import batch_statistics, evaluating
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
        "import sys; from igbrepro.initialization import TRACED, HeadStart, InitSpec, check_init; HeadStart('lsuv'); "
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


@pytest.mark.parametrize("name", ["mlp", "cnn", "resnet"])
def test_rules_without_matrices_of_their_own_draw_the_same_numbers(name):
    rules = [build(SPECS[name], init, seeded(1)) for init in ("edge-of-chaos", "he", "xavier", InitSpec(1.5))]
    for weights in zip(*(model.named_parameters() for model in rules), strict=True):
        flat = [weight.detach().flatten() for key, weight in weights if key.endswith("weight") and weight.ndim > 1]
        assert not flat or torch.corrcoef(torch.stack(flat)).min() > 0.99999


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


def trained_logits(start, n, seed=1, spec=SPECS["mlp"]):
    """Of a network before its first step, over n training inputs evenly spread."""
    settings = {"steps": 0, "batch_size": 10, "n_eval": 10, "progress": False, "device": "cpu"}
    history = training.train(spec, start, DATASET, seed=seed, **settings)
    x = torch.from_numpy(DATASET.standardise(DATASET.train_images[:: 130 // n][:n]))
    with torch.no_grad(), evaluating(history.model), batch_statistics(history.model):
        return history.model(x.reshape(n, *spec.input_shape)).numpy(), history


@pytest.mark.parametrize("init", [InitSpec(1.5, 0.5), design("tanh", 3, 1.0), "lsuv"], ids=["spec", "design", "lsuv"])
def test_a_head_start_moves_the_last_bias_alone(init):
    plain, centred, forced = (
        trained_logits(start, 30) for start in (init, HeadStart(init, n_inputs=30), HeadStart(init, (0, 1), 30))
    )
    assert np.abs(plain[0].mean(0)).max() > 0.01
    assert centred[0].mean(0) == pytest.approx(0, abs=1e-6)
    assert (forced[0].argmax(1) == 1).all() and not (plain[0].argmax(1) == 1).all()
    for logits, history in (centred, forced):
        *body, bias = history.model.parameters()
        *drawn_body, drawn_bias = plain[1].model.parameters()
        assert all(torch.equal(p, q) for p, q in zip(body, drawn_body, strict=True))
        shift = (bias - drawn_bias).detach().numpy()
        assert logits - plain[0] == pytest.approx(np.broadcast_to(shift, logits.shape), abs=1e-6)
    assert centred[1].settings["head"] == "centred" and forced[1].settings["n_head_inputs"] == 30


def test_a_head_start_is_that_of_every_network_that_has_a_head():
    for spec in SPECS.values():
        logits, _ = trained_logits(HeadStart("edge-of-chaos", n_inputs=65), 65, spec=spec)
        assert logits.mean(0) == pytest.approx(0, abs=1e-5)


def test_networks_of_several_heads_train_side_by_side_as_they_do_alone():
    start = InitSpec(1.5, 0.5)
    networks = {"drawn": start, "centred": HeadStart(start), "forced": HeadStart(start, (1, 0), 20)}
    settings = {"steps": 3, "batch_size": 10, "n_eval": 10, "progress": False}
    pairs = {name: (SPECS["mlp"], init) for name, init in networks.items()}
    many = training.train_many(pairs, DATASET, seeds=[1], workers=1, **settings)
    losses = many.frame.query("metric == 'loss' and split == 'test'").groupby("run")["value"]
    for name, init in networks.items():
        alone = training.train(SPECS["mlp"], init, DATASET, seed=1, **settings)
        assert losses.get_group(name).to_numpy() == pytest.approx(alone.series("loss").to_numpy(), rel=1e-5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"init": "edge-of-caos"}, "init='edge-of-caos'.*Did you mean 'edge-of-chaos'"),
        ({"init": HeadStart("he")}, "only where a network is trained"),
        ({"head": "centered"}, "head='centered': need \"centred\", or one share"),
        ({"head": 1}, "head=1: need"),
        ({"head": (0.5, 0.4)}, "that sum to 1"),
        ({"head": (1.5, -0.5)}, "0 or more"),
        ({"head": (1.0,)}, "one share for each class"),
        ({"head": (0.5, "0.5")}, "one share for each class"),
        ({"head": (float("nan"), 1.0)}, "0 or more"),
        ({"n_inputs": 0}, "n_inputs=0: need a whole number"),
    ],
)
def test_heads_that_cannot_be_are_refused(change, words):
    with pytest.raises(ParameterError, match=words):
        HeadStart(**{"init": "he"} | change)


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (HeadStart("he", n_inputs=131), "n_inputs=131: gaussian.* has only 130 training inputs"),
        (HeadStart("he", (0.2, 0.3, 0.5)), r"prior of shape \(3,\): the model has 2 classes"),
    ],
)
def test_heads_that_do_not_fit_are_refused_when_the_network_is_drawn(start, words):
    with pytest.raises(ParameterError, match=words):
        training.train(SPECS["mlp"], start, DATASET, steps=1, batch_size=10, n_eval=10, progress=False)


def test_a_head_is_not_set_without_training_inputs():
    for draw in (check_init, lambda start: build(SPECS["mlp"], start)):
        with pytest.raises(ParameterError, match=r"init=HeadStart\(.*call center_head_ or start_at_prior_"):
            draw(HeadStart("he"))


def test_a_selected_start_is_the_first_of_a_sequence_that_is_biased_as_asked_for():
    init = InitSpec(1.5, 0.5)
    free, drawn_shares = [], []
    for seed in range(8):
        logits, history = trained_logits(SelectedStart(init, 0.95, 0.04, 130), 130, seed)
        assert abs(np.bincount(logits.argmax(1)).max() / 130 - 0.95) <= 0.04
        plain, _ = trained_logits(init, 130, seed)
        drawn_shares.append(np.bincount(plain.argmax(1)).max() / 130)
        if abs(drawn_shares[-1] - 0.95) <= 0.04:  # it fits at once, so it is the plain one
            assert np.array_equal(plain, logits)
            free.append(seed)
        assert history.settings["share"] == 0.95 and history.settings["n_share_inputs"] == 130
    assert 0 < len(free) < 8, drawn_shares


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"init": "edge-of-caos"}, "Did you mean 'edge-of-chaos'"),
        ({"init": HeadStart("he")}, "only where a network is trained"),
        ({"init": SelectedStart("he", 0.9)}, "only where a network is trained is it drawn until it fits"),
        ({"share": 0}, "share=0: need a share"),
        ({"share": 1.2}, "share=1.2: need a share"),
        ({"within": -0.1}, "within=-0.1: need a share"),
        ({"share": True}, "share=True: need a share"),
        ({"n_inputs": 0}, "n_inputs=0: need a whole number"),
    ],
)
def test_selected_starts_that_cannot_be_are_refused(change, words):
    with pytest.raises(ParameterError, match=words):
        SelectedStart(**{"init": "he", "share": 0.9} | change)


def test_a_share_that_no_network_has_is_refused_when_it_is_drawn(monkeypatch):
    monkeypatch.setattr("igbrepro.training.run._MOST_DRAWS", 3)
    settings = {"steps": 1, "batch_size": 10, "n_eval": 10, "progress": False}
    for start, words in (
        (
            SelectedStart("he", 0.2, n_inputs=130),
            r"share=0\.2, within=0\.05: none of 3 networks .* favourite class 0\.",
        ),
        (SelectedStart("he", 0.9), "n_inputs=1000: gaussian.* has only 130 training inputs"),
    ):
        with pytest.raises(ParameterError, match=words):
            training.train(SPECS["mlp"], start, DATASET, **settings)


def test_heads_are_equal_however_they_are_said():
    made = design("tanh", 3, 1.0)
    assert HeadStart(made, [1, 0]) == HeadStart(check_init(made), np.array([1.0, 0.0]))
    assert hash(HeadStart(made, (1, 0))) == hash(HeadStart(made, (1.0, 0.0)))
