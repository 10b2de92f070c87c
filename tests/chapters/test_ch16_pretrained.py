import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torchvision import models as zoo

from igbrepro.data import Dataset, gaussian
from igbrepro.errors import DataMissing, ParameterError
from igbrepro.networks import ViTSpec, build
from igbrepro.probes import features
from notebooks.ch16_pretrained import lab as pretraining
from notebooks.ch16_pretrained.lab import freeze_body_, load_pretrained, new_head_, rescale_, untrained

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


def test_frozen_is_everything_but_the_head_and_only_until_it_is_thawed():
    model = nn.Sequential(nn.Identity(), small())
    freeze_body_(model)
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert trained == ["1.heads.head.weight", "1.heads.head.bias"]
    freeze_body_(model, frozen=False)
    assert all(parameter.requires_grad for parameter in model.parameters())
    with pytest.raises(ParameterError, match="has 0 of"):
        freeze_body_(nn.Linear(2, 2))


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


def test_frozen_training_moves_the_head_alone():
    from igbrepro.training import train_module

    data = gaussian(n_train=40, n_test=20, features=3 * 8 * 8, classes=2, distance=4.0)
    model = nn.Sequential(nn.Unflatten(1, (3, 8, 8)), small())
    freeze_body_(new_head_(model, 2, torch.Generator().manual_seed(0)))
    before = copy.deepcopy(model.state_dict())
    train_module(model, data, steps=3, batch_size=10, lr=0.1, labels="classes", n_eval=10, progress=False)
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {"1.heads.0.weight", "1.heads.0.bias"}


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
BEFORE |= {"batch_size": 8, "n_eval": 20}
TUNING = {"head_steps": 2, "head_lr": 1e-2, "all_steps": 3, "all_lr": 1e-3, "drawn_by": 5}


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (n, 3, 8, 8), dtype=np.uint8) for n in (80, 60)]
    labels = [np.arange(n) % 4 for n in (80, 60)]
    return Dataset("pictures", images[0], labels[0], images[1], labels[1], tuple("abcd"), "random")


def test_both_stages_are_counted_on_and_the_head_alone_moves_first(pictures):
    spec = replace(SPEC, n_classes=2)
    frame = pretraining.fine_tune(spec, 0, pictures, factor=0.5, **TUNING, **BEFORE)
    steps = frame.query("metric == 'accuracy'").step.tolist()
    assert steps[0] == 0 and steps[-1] == 5 and 2 in steps and len(steps) == len(set(steps)) and steps == sorted(steps)
    again = pretraining.fine_tune(spec, 0, pictures, factor=0.5, **TUNING, **BEFORE)
    assert again.equals(frame), "the pre-trained body is not changed by fine-tuning"
    alone = pretraining.fine_tune(spec, 0, pictures, factor=0.5, **TUNING | {"head_steps": 0}, **BEFORE)
    assert alone.step.max() == 3 and alone[alone.step == 0].value.tolist() == frame[frame.step == 0].value.tolist()
    assert not pretraining.fine_tune(spec, 1, pictures, factor=0.5, **TUNING, **BEFORE).equals(frame)


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
