import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torchvision import models as zoo

from igbrepro.data import Dataset
from igbrepro.errors import DataMissing, ParameterError
from igbrepro.networks import ViTSpec, build
from igbrepro.probes import features
from igbrepro.training import TrainSettings, train_module
from notebooks.ch16_pretrained import lab as pretraining
from notebooks.ch16_pretrained.lab import load_pretrained, new_head_, rescale_, seen_by_head, untrained

SPEC = ViTSpec("gelu", depth=2, width=8, heads=2, n_classes=3, input_shape=(3, 8, 8))


def small() -> nn.Module:
    return build(SPEC, "default", torch.Generator().manual_seed(0))


def test_rescaling_multiplies_the_matrices_and_nothing_else():
    model = small()
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    before = copy.deepcopy(model.state_dict())
    assert rescale_(model, 1.5) is model
    for name, value in model.state_dict().items():
        matrix = name.endswith(("mlp.0.weight", "mlp.3.weight", "proj_weight", "proj.weight", "head.weight"))
        torch.testing.assert_close(value, before[name] * (1.5 if matrix else 1))
    changed = [name for name, value in model.state_dict().items() if not torch.equal(value, before[name])]
    assert len(changed) == 4 * 2 + 2  # four matrices a block, the patches and the head


def test_rescaling_all_leaves_no_parameter_out():
    model = small()
    before = copy.deepcopy(model.state_dict())
    rescale_(model, 0.5, "all")
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name] / 2)
    with pytest.raises(ParameterError, match="parts='heads'"):
        rescale_(model, 0.5, "heads")
    with pytest.raises(ParameterError, match="factor"):
        rescale_(model, 0.0)


def test_a_fresh_head_has_the_law_asked_for_and_the_body_is_untouched():
    model = small()
    x = torch.randn(5, 3, 8, 8)
    body = features(model, x)[0]
    new_head_(model, 2000, torch.Generator().manual_seed(1))
    head = model.heads[0]
    assert model(x).shape == (5, 2000) and not head.bias.any()
    assert head.weight.var().item() == pytest.approx(1 / 8, rel=4 * (2 / 16000) ** 0.5)
    torch.testing.assert_close(features(model, x)[0], body)
    plain = head.weight.detach().clone()
    scaled = new_head_(model, 2000, torch.Generator().manual_seed(1), 0.5**0.5).heads[0].weight
    torch.testing.assert_close(scaled.detach() ** 2, plain**2 / 2)


def test_torchvision_s_vit_comes_from_its_state_file_and_takes_small_images(tmp_path):
    with torch.device("meta"):
        original = zoo.vit_b_16(weights=None)
    original = original.to_empty(device="cpu").eval()
    for parameter in original.parameters():
        nn.init.constant_(parameter, 0.01)
    nn.init.normal_(original.conv_proj.weight, std=0.05, generator=torch.Generator().manual_seed(0))
    nn.init.normal_(original.heads.head.weight, generator=torch.Generator().manual_seed(0))
    torch.save(original.state_dict(), tmp_path / "vit.pth")

    model = load_pretrained("vit_b_16", tmp_path / "vit.pth").eval()
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        want = original(nn.functional.interpolate(x, size=(224, 224), mode="bilinear"))
        torch.testing.assert_close(model(x), want)
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert new_head_(model, 100)[1].heads[0].weight.shape == (100, 768)

    with pytest.raises(DataMissing, match="not the weights of vit_l_16"):
        load_pretrained("vit_l_16", tmp_path / "vit.pth")


def test_weights_that_cannot_be_had_say_what_to_do(tmp_path, monkeypatch):
    def no_net(self, **_):
        raise OSError("no route to host")

    monkeypatch.setattr(type(zoo.ViT_B_16_Weights.IMAGENET1K_V1), "get_state_dict", no_net)
    with pytest.raises(DataMissing, match=r"no route to host.*vit_b_16-c867db91.pth.*weights_file=PATH"):
        load_pretrained("vit_b_16")
    with pytest.raises(DataMissing, match=r"missing.pth"):
        load_pretrained("vit_b_16", tmp_path / "missing.pth")
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(DataMissing, match=r"text\.pth"):
        load_pretrained("vit_b_16", tmp_path / "text.pth")
    with pytest.raises(ParameterError, match="vit_h"):
        load_pretrained("vit_h")


def test_an_untrained_network_is_its_seed_s(monkeypatch):
    make = zoo.vision_transformer.VisionTransformer
    tiny = {"image_size": 32, "patch_size": 16, "num_layers": 1, "num_heads": 1, "hidden_dim": 4, "mlp_dim": 4}
    monkeypatch.setitem(pretraining.PRETRAINED, "tiny", (lambda weights: make(**tiny), None))
    one, same, other = (untrained("tiny", seed)[1].conv_proj.weight for seed in (0, 0, 1))
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert untrained("tiny", 0)(torch.randn(2, 3, 8, 8)).shape == (2, 1000)


def test_every_name_is_one_of_torchvision_s():
    for make, weights in pretraining.PRETRAINED.values():
        assert weights.url.split("/")[-1].startswith(make.__name__)


BEFORE = {"pretrained": "miniature", "first_classes": [0, 1], "pretrain_steps": 3, "pretrain_lr": 1e-3}
BEFORE |= {"pretrain_batch_size": 8, "n_eval": 20}
HEAD = {"steps": 5, "lr": 1e-2, "weight_decay": 0.05, "batch_size": 8, "precision": "float32", "drawn_by": 5}


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (n, 3, 8, 8), dtype=np.uint8) for n in (80, 60)]
    labels = [np.arange(n) % 4 for n in (80, 60)]
    return Dataset("pictures", images[0], labels[0], images[1], labels[1], tuple("abcd"), "random")


def test_a_head_is_trained_as_in_the_whole_network_with_its_body_frozen(pictures):
    """By hand: Adam with the weight decay on the head alone, the body run anew at every step."""
    spec = replace(SPEC, n_classes=2)
    frame = pretraining.train_head(spec, 0, pictures, factor=0.5, **HEAD, **BEFORE)
    model = rescale_(copy.deepcopy(pretraining.body(spec, 0, pictures, **BEFORE)[0]), 0.5)
    new_head_(model, 2, torch.Generator().manual_seed(5000), 0.5)
    model.requires_grad_(False)
    model.heads.requires_grad_(True)
    settings = TrainSettings(5, 8, 1e-2, weight_decay=0.05, labels="classes", n_eval=20, eval_points=range(6))
    whole = train_module(model, pictures.only([2, 3]), settings, seed=0).frame
    assert frame.step.max() == 5 and len(frame) == len(whole)
    for metric in ("accuracy", "max_class_fraction"):
        pairs = [one[one.metric == metric].value.to_numpy() for one in (frame, whole)]
        np.testing.assert_array_equal(*pairs)
    pairs = [one[one.metric == "loss"].value.to_numpy() for one in (frame, whole)]
    np.testing.assert_allclose(*pairs, rtol=1e-5)
    assert pretraining.train_head(spec, 0, pictures, factor=0.5, **HEAD, **BEFORE).equals(frame), "a body is kept"
    others = [HEAD | {"weight_decay": 0.5}, HEAD | {"drawn_by": 6}]
    assert not any(pretraining.train_head(spec, 0, pictures, factor=0.5, **o, **BEFORE).equals(frame) for o in others)
    assert not pretraining.train_head(spec, 1, pictures, factor=0.5, **HEAD, **BEFORE).equals(frame)


def test_what_a_head_reads_is_kept_as_it_is_and_the_network_too(pictures):
    model = small()
    read = seen_by_head(model, pictures)
    assert read.input_shape == (8,) and read.train_labels is pictures.train_labels
    np.testing.assert_array_equal(read.inputs("test"), read.test_images)
    with torch.no_grad():
        logits = model.heads(torch.from_numpy(read.test_images))
        torch.testing.assert_close(logits, model.eval()(torch.from_numpy(pictures.inputs("test", flat=False))))
    rounded = seen_by_head(model, pictures, "bfloat16").test_images
    assert 0 < np.abs(rounded - read.test_images).max() < 0.1


def test_the_start_is_measured_at_every_factor(pictures):
    sizes = {"factors": [0.01, 1.0], "n_images": 20, "n_heads": 30, "drawn_by": 5}
    spec = replace(SPEC, n_classes=2)
    kinds = ("pre-trained", "pre-trained, all parameters", "never trained")
    tables = {kind: pretraining.start_table(spec, 0, pictures, kind=kind, **sizes, **BEFORE) for kind in kinds}
    values = {kind: table.set_index(["metric", "step"])["value"] for kind, table in tables.items()}
    assert values["pre-trained"]["c", 0] > values["pre-trained"]["c", 1] and "accuracy before" not in values[kinds[2]]
    assert values["pre-trained"]["c", 1] == values["pre-trained, all parameters"]["c", 1], "a factor of 1 is none"
    for found in values.values():
        assert 0.5 <= found["measured", 0] <= 1 and abs(found["measured", 1] - found["predicted", 1]) < 0.2


def test_weights_are_multiplied_by_the_root_of_sigma_w2():
    from igbrepro.runs import DataFacts, Parameters
    from notebooks.ch16_pretrained import experiment

    values = {
        name: 1 for name in "depth width heads patch mlp_ratio n_images n_heads seed pretrain_lr lr steps".split()
    }
    values |= {"pretrained": "miniature", "first_classes": [0, 1], "pretrain_steps": 1, "pretrain_batch_size": 1}
    values |= {"n_eval": 1, "batch_size": 1, "weight_decay": 0.0, "precision": "float32", "seeds": [0]}
    p = Parameters(values | {"sigma_w2": [0.5, 1.0], "sweep": [0.25, 1.0]})
    facts = DataFacts("x", "", "0", 8, 8, (3, 8, 8), tuple("abcd"), "standard", (0.0,), (1.0,))
    assert [run.settings.arguments["factor"] ** 2 for run in experiment.training(p, facts).runs] == pytest.approx(
        [0.5, 1]
    )
    (of_one, *_) = experiment.starts(p, facts).runs
    assert np.square(of_one.settings.arguments["factors"]) == pytest.approx([0.25, 0.5, 1])
