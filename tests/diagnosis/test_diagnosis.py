"""The diagnosis: its numbers against the layer table and by hand, its words on patients whose illness is known."""

import copy
import importlib.util
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from igbrepro.diagnosis import Diagnosis, diagnose
from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec, initialize_
from igbrepro.networks import CNNSpec, MLPSpec, ResNetSpec, ViTSpec, build
from igbrepro.probes import layer_table, trace
from igbrepro.theory import Phase

INIT = InitSpec(1.7, 0.2)
MLP = MLPSpec("tanh", 3, 20, 4, (6,))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def inputs(n, *shape, seed=0):
    return torch.randn(n, *shape, generator=seeded(seed))


def test_a_plain_network_has_the_rows_and_numbers_of_the_layer_table():
    model, x = build(MLP, INIT, seeded()), inputs(9, 6)
    found, table = diagnose(model, x, seed=4), layer_table(model, x, seed=4)
    assert found.layers["layer"].tolist() == table["layer"].tolist()
    for column in ("q", "c", "gamma", "gradient", "chi"):
        np.testing.assert_allclose(found.layers[column], table[column], rtol=2e-4)


def test_post_activation_units_are_seen_as_residual_sums_before_their_activation():
    spec = MLPSpec("relu", 4, 30, 4, (6,), residual=0.5, residual_unit="post-activation")
    model, x = initialize_(build(spec, INIT, seeded()), INIT, generator=seeded(1)), inputs(9, 6)
    assert len(trace(model, x)[0].residual_sums()) == 3
    found, table = diagnose(model, x, seed=4), layer_table(model, x, seed=4)
    assert len(table) == 5 and table["kind"].tolist()[1:4] == ["ResidualBlock"] * 3
    assert np.isfinite(table["gradient"]).all() and found.head["q"] == pytest.approx(table["q"].iloc[-1], rel=1e-4)
    initialize_(model, "edge-of-chaos", example_input=x, generator=seeded(2))
    assert np.isfinite(layer_table(model, x)["gradient"]).all()


@pytest.mark.parametrize("mode", ["training", "trained, eval", "fresh, eval"])
def test_table_and_diagnosis_have_one_rule_about_batch_statistics(mode):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 30), nn.BatchNorm1d(30), nn.ReLU(), nn.Linear(30, 4))
    x = inputs(20, 6)
    if not mode.startswith("fresh"):
        for _ in range(50):
            model(5 * x + 3)
    model.train(mode == "training")
    batch = mode != "trained, eval"
    norm = nn.functional.batch_norm
    with torch.no_grad():
        running = (None, None) if batch else (model[1].running_mean, model[1].running_var)
        want = float(model[3](norm(model[0](x), *running, training=batch).relu()).square().mean())
    assert layer_table(model, x)["q"].iloc[-1] == pytest.approx(want, rel=1e-4)
    assert diagnose(model, x).head["q"] == pytest.approx(want, rel=1e-4)


def test_imbalance_and_class_gradients_are_their_definitions():
    model, x = build(MLP, INIT, seeded()), inputs(30, 6)
    labels = torch.arange(30) % 4
    found = diagnose(model, x, labels)
    h = model[1](x).detach().requires_grad_()
    logits = model[2:](h)
    favourite = int(torch.bincount(logits.argmax(1)).argmax())
    assert found.head["favourite"] == favourite
    assert found.head["max_fraction"] == float((logits.argmax(1) == favourite).double().mean())

    def squares(target):
        loss = F.cross_entropy(logits, target, reduction="sum")
        return torch.autograd.grad(loss, h, retain_graph=True)[0].square().sum(1).double()

    by_class = {k: float(squares(labels)[labels == k].mean()) for k in range(4)}
    assert found.head["class_gradient"] == pytest.approx(by_class, rel=1e-4)
    assert found.head["loss"] == pytest.approx(float(F.cross_entropy(logits.detach(), labels)), rel=1e-5)
    others = [squares(torch.full((30,), k)).mean() for k in range(4) if k != favourite]
    ratio = float(sum(others) / 3 / squares(torch.full((30,), favourite)).mean())
    many = np.mean([diagnose(model, x, seed=s).layers["imbalance"][0] for s in range(60)])
    assert many == pytest.approx(ratio, rel=0.05)  # each seed draws one other class for every input


def test_the_weights_are_set_against_the_edge_of_what_feeds_them():
    model = build(MLPSpec("relu", 3, 300, 4, (200,)), InitSpec(1.0), seeded())
    weights = diagnose(model, inputs(5, 200)).weights
    assert weights["fed_by"].tolist() == ["the inputs", "relu", "relu", "relu"]
    np.testing.assert_allclose(weights["edge"], [1, 2, 2, 2], rtol=1e-6)
    np.testing.assert_allclose(weights["sigma_w2"][:3], 1.0, rtol=0.03)


def mlp(activation, depth, sigma_w2, sigma_b2=0.0, width=200):
    return build(MLPSpec(activation, depth, width, 10, (50,)), InitSpec(sigma_w2, sigma_b2), seeded())


PATIENTS = {
    "vanishing": (lambda: mlp("relu", 30, 0.7), Phase.ORDERED),
    "edge": (lambda: mlp("relu", 30, 2.0), Phase.EDGE),
    "deep chaos": (lambda: mlp("relu", 40, 4.0), Phase.CHAOTIC_DEEP),
    "prejudice": (lambda: mlp("tanh", 100, 2.5, 0.1), Phase.PREJUDICE),
    "neutrality": (lambda: mlp("tanh", 40, 5.0, 0.1), Phase.NEUTRALITY),
}


@pytest.mark.parametrize("make, phase", PATIENTS.values(), ids=PATIENTS)
def test_the_phase_is_that_of_the_theory(make, phase):
    found = diagnose(make(), inputs(60, 50))
    assert found.phase is phase
    assert ("vanish" in found.verdict, "explode" in found.verdict, "keep their size" in found.verdict) == (
        phase is Phase.ORDERED,
        phase not in (Phase.ORDERED, Phase.EDGE),
        phase is Phase.EDGE,
    )
    assert any("initialize_(model" in line for line in found.advice) == (phase is not Phase.EDGE)
    text = " ".join(str(found).split())
    assert found.verdict in text
    if phase in (Phase.EDGE, Phase.ORDERED, Phase.CHAOTIC_DEEP):  # tanh, without the kept variance 1, has another edge
        assert ("off the edge" in text) == (phase is not Phase.EDGE)


def test_the_depth_scale_is_that_of_the_theory():
    """chi = sigma_w2 / 2 in a ReLU network: ln of the squared gradient changes by ln(chi) a layer."""
    scales = []
    for seed in range(10):
        model = build(MLPSpec("relu", 25, 300, 10, (50,)), InitSpec(1.2), seeded(seed))
        scales.append(1 / diagnose(model, inputs(20, 50)).depth_scale)
    error = np.std(scales, ddof=1) / np.sqrt(10)
    # The head counts as one more layer: |dh|^2 below it is sigma_w2 / 2 times that of the logits on average too.
    assert error < 0.02 and np.mean(scales) == pytest.approx(-np.log(0.6), abs=4 * error)


MODELS = {
    "mlp": (lambda: build(MLP, INIT, seeded()), (6,)),
    "cnn": (lambda: build(CNNSpec("relu", 4, 8, input_shape=(3, 12, 12)), INIT, seeded()), (3, 12, 12)),
    "resnet": (lambda: build(ResNetSpec(stages=(1, 1), width=4), INIT, seeded()), (3, 12, 12)),
    "no norm": (lambda: build(ResNetSpec(stages=(1, 1), width=4, norm=False), INIT, seeded()), (3, 12, 12)),
    "vit": (lambda: build(ViTSpec(depth=2, input_shape=(3, 8, 8)), INIT, seeded()), (3, 8, 8)),
    "dropout": (
        lambda: nn.Sequential(nn.Linear(6, 9), nn.BatchNorm1d(9), nn.ReLU(True), nn.Dropout(), nn.Linear(9, 3)),
        (6,),
    ),
}


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("make, shape", MODELS.values(), ids=MODELS)
def test_a_model_is_left_as_it_was(make, shape, training):
    model, x = make().train(training), inputs(8, *shape)
    frozen = next(iter(model.children()))
    frozen.eval()
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    before, kept, rng = copy.deepcopy(model.state_dict()), x.clone(), torch.get_rng_state()
    hook = model.register_forward_hook(lambda *_: None)
    found = diagnose(model, x, torch.zeros(8, dtype=torch.int64))
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values(), strict=True))
    assert torch.equal(rng, torch.get_rng_state()) and torch.equal(x, kept) and not x.requires_grad
    assert all(torch.equal(p.grad, torch.ones_like(p)) and p.requires_grad for p in model.parameters())
    assert model.training == training and not frozen.training
    assert list(model._forward_hooks) == [hook.id] and sum(len(m._forward_hooks) for m in model.modules()) == 1
    assert np.isfinite(found.log_growth) and str(found) == str(diagnose(model, x, torch.zeros(8, dtype=torch.int64)))


def test_a_trained_norm_is_read_with_its_own_statistics():
    model = nn.Sequential(nn.Linear(6, 9), nn.BatchNorm1d(9), nn.ReLU(), nn.Linear(9, 3))
    x = inputs(8, 6)
    assert diagnose(model.eval(), x).layers["q"][0] == pytest.approx(1, rel=1e-3)  # no batch seen: normalised
    model[1].running_mean.fill_(2.0)
    model[1].num_batches_tracked.fill_(5)
    with torch.no_grad():
        want = float(model[:2](x).square().mean())
    assert diagnose(model, x).layers["q"][0] == pytest.approx(want, rel=1e-5)


def test_frozen_weights_whole_numbers_and_outputs_with_logits():
    class Words(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.head = nn.Embedding(11, 8), nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))

        def forward(self, ids):
            return type("Output", (), {"logits": self.head(self.embed(ids).mean(1))})()

    model = Words().requires_grad_(False)
    found = diagnose(model, torch.arange(20).reshape(5, 4) % 11)
    assert found.layers["layer"].tolist() == ["embed", "mean", "head.0", "head.2"] and np.isfinite(found.log_growth)


def test_a_head_of_zeros_a_dead_network_and_an_overflow_are_called_so():
    x = inputs(12, 6)
    zero = build(MLP, INIT, seeded())
    nn.init.zeros_(zero[-1].weight)
    nn.init.zeros_(zero[-1].bias)
    assert "All logits are equal" in diagnose(zero, x).verdict
    dead = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    nn.init.constant_(dead[0].bias, -100.0)
    assert "dead" in diagnose(dead, x).verdict and diagnose(dead, x).phase is None
    huge = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 5), nn.Linear(5, 3))
    nn.init.constant_(huge[1].weight, 3e38)
    found = diagnose(huge, x)
    assert "not finite from '1' on" in found.verdict and json.loads(found.to_json())["layers"][1]["q"] is None


def test_the_repaired_patient_is_well():
    model, x = PATIENTS["vanishing"][0](), inputs(60, 50)
    assert diagnose(initialize_(model, generator=seeded()), x).phase is Phase.EDGE


def test_json_and_figure_hold_what_was_found():
    found = diagnose(build(MLP, INIT, seeded()), inputs(9, 6))
    plain = json.loads(found.to_json())
    assert plain["head"]["n_classes"] == 4 and len(plain["layers"]) == 4 and plain["verdict"] == found.verdict
    fig = found.figure()
    assert len(fig.axes) == 4 and all(ax.get_xlabel() and ax.get_ylabel() for ax in fig.axes)
    np.testing.assert_allclose(fig.axes[0].lines[0].get_ydata(), found.layers["gradient"])


class Cut(nn.Module):
    """Three layers, a cut, three layers."""

    def __init__(self, cut):
        super().__init__()
        self.a, self.b = (nn.Sequential(*(nn.Linear(6, 6) for _ in range(3))) for _ in range(2))
        self.cut = cut

    def forward(self, x):
        return self.b(self.cut(self.a(x)))


def test_a_model_that_is_cut_is_called_so():
    by_numpy = diagnose(Cut(lambda h: torch.from_numpy(h.detach().numpy().copy())), inputs(9, 6))
    assert by_numpy.verdict.startswith("The output of 3 layers, the last of them 'a.2', is not followed")
    assert by_numpy.layers["layer"].tolist() == ["b.0", "b.1", "b.2"]
    by_detach = diagnose(Cut(lambda h: h.detach()), inputs(9, 6))
    assert "No gradient passes from 'b.0' back to 'a.2'" in by_detach.verdict and "detach" in by_detach.verdict


def test_what_no_known_layer_reads_is_named_and_a_softmax_at_the_end():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.w, self.head = nn.Parameter(torch.randn(6, 8)), nn.Linear(8, 3)

        def forward(self, x):
            return self.head(x @ self.w).softmax(1)

    advice = " ".join(diagnose(Own(), inputs(9, 6)).advice)
    assert "of no known kind: w" in advice and "look like probabilities" in advice


def test_a_repaired_network_that_is_still_ill_is_not_sent_to_the_same_repair():
    tied = nn.Linear(20, 20)
    narrow = nn.Sequential(nn.Linear(6, 20), *(m for _ in range(60) for m in (nn.ReLU(), tied)), nn.Linear(20, 3))
    for seed in range(20):
        found = diagnose(initialize_(narrow, generator=seeded(seed)), inputs(30, 6))
        if found.phase in (Phase.ORDERED, Phase.CHAOTIC_DEEP, Phase.PREJUDICE):
            break
    assert "on the edge already" in found.advice[0] and "initialize_" not in " ".join(found.advice)


@pytest.mark.parametrize(
    "model, x, says",
    [
        (
            nn.Linear(6, 3),
            [torch.zeros(2), torch.zeros(3)],
            r"inputs: list; need one tensor or array.*next\(iter\(loader",
        ),
        (nn.Linear(6, 3), torch.zeros(4, 6, dtype=torch.uint8), "inputs of type uint8: scale the images"),
        (nn.Linear(6, 1), inputs(4, 6), r"its output is \(4, 1\); need logits \(4, n_classes\)"),
        (nn.Linear(6, 3), inputs(1, 6), r"inputs of shape \(1, 6\): need \(n, \.\.\.\) with n >= 2"),
        (nn.ReLU(), inputs(4, 6), "has no parameters"),
        (nn.LSTM(6, 3), inputs(4, 5, 6), r"its output is \(4, 5, 3\); need logits \(4, n_classes\)"),
    ],
)
def test_what_cannot_be_diagnosed_is_refused_in_one_sentence(model, x, says):
    with pytest.raises(ParameterError, match=says):
        diagnose(model, x)
    with pytest.raises(ParameterError, match="need 4 whole numbers from 0 to 2"):
        diagnose(nn.Linear(6, 3), inputs(4, 6), [0, 1, 2, 3])


def test_the_lines_of_the_readme_do_what_it_says_of_its_figure():
    path = Path(__file__).parents[2] / "tools" / "make_diagnosis_figure.py"
    spec = importlib.util.spec_from_file_location("make_diagnosis_figure", path)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    model, images = tool.patient()
    names = tool.run(model, images)
    shrinks = round(-names["before"].log_growth / np.log(10))
    assert names["before"].phase is Phase.ORDERED and f"10<sup>{shrinks}</sup>" in (tool.ROOT / "README.md").read_text()
    assert diagnose(model, images).phase is Phase.EDGE and len(names["figure"].axes) == 4
    with Image.open(tool.OUT) as image:
        assert 800 <= image.width <= 1600


def test_stages_of_attention_are_read_input_by_input():
    """Torch's attention computes with the positions first: here 5 of them, for 3 inputs."""
    model = build(ViTSpec("relu", 1, 8, 2, 4, input_shape=(1, 8, 8), norm=False, residual=False), INIT, seeded())
    x = torch.randn(3, 1, 8, 8, generator=seeded(1))
    table = diagnose(model, x).layers.set_index("layer")
    seen = []
    attention = model.encoder.layers[0].self_attention
    hook = attention.register_forward_hook(lambda _, given, out: seen.append(out[0].detach()))
    model.eval()(x)
    hook.remove()
    h = seen[0].flatten(1).double()
    want = float(h.mean(0).square().mean() - h.var(0).mean() / 3)
    assert table.loc["encoder.layers.encoder_layer_0.self_attention", "sigma_mu2"] == pytest.approx(want, rel=1e-5)


@pytest.mark.parametrize("labels", [None, [0, 1, 2, 0]], ids=["no labels", "labels"])
def test_a_diagnosis_comes_back_from_its_file(tmp_path, labels):
    dead = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3))
    nn.init.constant_(dead[0].bias, -100)  # no gradient, so numbers that are not finite
    for model in (build(MLP, INIT, seeded()), dead):
        found = diagnose(model, inputs(4, 6), None if labels is None else [label % 2 for label in labels])
        found.save(tmp_path / "found.json")
        again = Diagnosis.load(tmp_path / "found.json")
        for name in ("layers", "weights"):
            pd.testing.assert_frame_equal(getattr(again, name), getattr(found, name), check_exact=True)
        assert str(again) == str(found) and repr(again.head) == repr(found.head) and again.phase is found.phase
        assert repr([again.log_growth, again.depth_scale, again.c_scale]) == repr(
            [found.log_growth, found.depth_scale, found.c_scale]
        )


def test_files_of_another_kind_are_refused(tmp_path):
    texts = {"no.json": None, "text.json": "words", "list.json": "[]", "old.json": '{"kind": "Diagnosis"}'}
    for name, text in texts.items():
        if text is not None:
            (tmp_path / name).write_text(text)
        with pytest.raises(ParameterError, match=f"{name}.*(cannot be read|no file that|no diagnosis)"):
            Diagnosis.load(tmp_path / name)
    with pytest.raises(ParameterError, match="cannot be written"):
        diagnose(nn.Linear(6, 3), inputs(4, 6)).save(tmp_path / "none" / "found.json")


def test_a_diagnosis_without_layers_with_weights_comes_back_equal(tmp_path):
    found = diagnose(nn.BatchNorm1d(6), inputs(4, 6))
    found.save(tmp_path / "found.json")
    again = Diagnosis.load(tmp_path / "found.json")
    assert len(found.weights) == 0 and again.weights.equals(found.weights)
    assert list(again.weights) == list(found.weights) and again.layers.equals(found.layers)
