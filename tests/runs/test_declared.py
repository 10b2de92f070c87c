"""Keys: what changes them, what does not, what has none; and declarations without torch."""

import json
from dataclasses import dataclass, fields, replace

import numpy as np
import pytest
from runs.conftest import DATASET, FACTS, NETWORKS, SETTINGS, SPEC, VALUES, declare, printed, python

from igbrepro.errors import ParameterError
from igbrepro.initialization import HeadStart, InitSpec, SelectedStart
from igbrepro.networks import CNNSpec, MLPSpec, ResNetSpec, TorchvisionSpec, ViTSpec
from igbrepro.runs import DataFacts, NotStorable, Parameters, Run, Sweep, declared
from igbrepro.theory import TANH, Activation, AveragePool, MaxPool
from igbrepro.training import TrainSettings, log_steps

RUN = Run("one", SPEC, InitSpec(1.5, 0.1), 0, SETTINGS)
IMAGE = (3, 8, 8)
SPECS = {
    "mlp": SPEC,
    "pooled": MLPSpec("relu", 3, 16, 4, (2, 10), pool=MaxPool(2)),
    "averaged": MLPSpec("relu", 3, 16, 4, (2, 10), pool=AveragePool(2)),
    "residual": MLPSpec("tanh", 3, 16, residual=3**-0.5),
    "post-activation": MLPSpec("tanh", 3, 16, residual=3**-0.5, residual_unit="post-activation"),
    "leaky": MLPSpec("leaky_relu(0.2)", 3, 16),
    "cnn": CNNSpec("gelu", 3, 4, 2, IMAGE, strides=(2,), pool=MaxPool(4), pooled=(1, 2)),
    "resnet": ResNetSpec("relu", (1, 1), 4, 2, IMAGE, norm=False, scale="depth"),
    "vit": ViTSpec("gelu", 1, 8, 2, n_classes=2, input_shape=IMAGE),
    "vit of the paper": ViTSpec("relu", 1, 8, 2, 4, 1, 2, IMAGE, False, False, patch_norm=True, unit_tokens=True),
    "torchvision": TorchvisionSpec("mnasnet0_5", 2, (3, 8, 8)),
}


@pytest.mark.parametrize(
    "change",
    [
        {"activation": "erf"},
        {"depth": 4},
        {"width": 32},
        {"n_classes": 4},
        {"input_shape": (4, 5)},
        {"pool": MaxPool(2)},
        {"residual": 0.5},
        {"residual": 0.5, "residual_unit": "post-activation"},
    ],
    ids=lambda change: list(change)[-1],
)
def test_every_field_of_the_network_changes_the_key(change):
    assert replace(RUN, spec=replace(SPEC, **change)).key(FACTS) != RUN.key(FACTS)


def test_all_fields_of_the_network_are_among_these():
    assert {f.name for f in fields(MLPSpec)} == set(
        "activation depth width n_classes input_shape pool residual residual_unit".split()
    )


OTHER_SETTINGS = {
    "steps": 31,
    "batch_size": 61,
    "lr": 1.1e-2,
    "optimizer": "sgd",
    "momentum": 0.5,
    "weight_decay": 0.1,
    "labels": "classes",
    "eval_points": (7,),
    "n_eval_train": 10,
    "n_eval": 100,
    "gradients": True,
    "batch_statistics": True,
    "precision": "bfloat16",
    "epsilon": 1e-5,
}


@pytest.mark.parametrize("name", [f.name for f in fields(TrainSettings)])
def test_every_setting_changes_the_key(name):
    base = replace(SETTINGS, optimizer="sgd") if name == "momentum" else SETTINGS
    one, other = (replace(RUN, settings=s) for s in (base, replace(base, **{name: OTHER_SETTINGS[name]})))
    assert one.key(FACTS) != other.key(FACTS)


@pytest.mark.parametrize(
    "change",
    [{"init": InitSpec(1.6, 0.1)}, {"init": InitSpec(1.5, 0.2)}, {"init": "he"}, {"seed": 1}],
    ids=["sigma_w2", "sigma_b2", "scheme", "seed"],
)
def test_start_and_seed_change_the_key(change):
    assert replace(RUN, **change).key(FACTS) != RUN.key(FACTS)


def test_the_head_and_its_inputs_change_the_key():
    init = RUN.init
    starts = [init, *(HeadStart(init, *said) for said in (["centred"], ["centred", 65], [(1, 0)], [(0, 1)]))]
    starts += [HeadStart("he"), HeadStart("he", (1, 0)), "he"]
    starts += [SelectedStart(init, *said) for said in ([0.9], [0.8], [0.9, 0.1], [0.9, 0.05, 64])]
    assert len({replace(RUN, init=start).key(FACTS) for start in starts}) == len(starts)
    for start, known in ((HeadStart(init), {"sigma_w2": 1.5, "sigma_b2": 0.1}), (HeadStart("he"), {"scheme": "he"})):
        assert replace(RUN, init=start).task["start"] == known | {"head": "centred", "n_inputs": 64}


@pytest.mark.parametrize("change", [{"sha256": "0"}, {"scaling": "unit"}, {"center": (0.5,)}, {"scale": (2.0,)}])
def test_the_identity_of_the_data_changes_the_key(change):
    assert RUN.key(replace(FACTS, **change)) != RUN.key(FACTS)


def test_inputs_of_other_moments_have_another_key():
    part = DATASET.subset(n_train=400)
    alone = replace(part, moments=None)
    assert part.sha256 == alone.sha256 and RUN.key(DataFacts.of(part)) != RUN.key(DataFacts.of(alone))


@pytest.mark.parametrize(("setting", "value"), [("n_eval_train", 10), ("epsilon", 1e-5)])
def test_a_setting_younger_than_stored_runs_changes_the_key_where_it_is_used(setting, value):
    assert setting not in RUN.task["settings"]
    used = replace(RUN, settings=replace(SETTINGS, **{setting: value}))
    assert used.task["settings"][setting] == value and used.key(FACTS) != RUN.key(FACTS)
    assert Run.of_task("one", used.task).settings == used.settings


@pytest.mark.parametrize("field", ["patch_norm", "unit_tokens"])
def test_a_field_of_the_network_younger_than_stored_runs_changes_the_key_where_it_is_used(field):
    run = replace(RUN, spec=SPECS["vit"])
    assert field not in run.task["network"]
    used = replace(run, spec=replace(run.spec, **{field: True}))
    assert used.task["network"][field] is True and used.key(FACTS) != run.key(FACTS)


def test_a_field_of_networks_younger_than_stored_runs_changes_the_key_where_it_is_used():
    residual = replace(RUN, spec=replace(SPEC, residual=0.5))
    assert "residual_unit" not in residual.task["network"]
    used = replace(RUN, spec=replace(SPEC, residual=0.5, residual_unit="post-activation"))
    assert used.task["network"] == residual.task["network"] | {"residual_unit": "post-activation"}
    assert used.key(FACTS) != residual.key(FACTS) and Run.of_task("one", used.task).spec == used.spec


def test_names_change_no_key():
    assert replace(RUN, name="other").key(FACTS) == RUN.key(FACTS)
    assert RUN.key(replace(FACTS, name="copy", source="elsewhere", classes=("a",))) == RUN.key(FACTS)


def test_the_protocol_changes_every_key(monkeypatch):
    before = RUN.key(FACTS)
    monkeypatch.setattr(declared, "PROTOCOL", declared.PROTOCOL + 1)
    assert RUN.key(FACTS) != before


def test_numbers_count_to_twelve_digits():
    near, far = (replace(RUN, init=InitSpec(1.5 * (1 + gap), 0.1)) for gap in (1e-14, 1e-10))
    assert near.key(FACTS) == RUN.key(FACTS) != far.key(FACTS)


def test_whole_numbers_are_the_same_however_they_are_typed():
    for one, other in ((2, 2.0), (2, np.float64(2)), (0.1, np.float64(0.1))):
        assert replace(RUN, init=InitSpec(one)).key(FACTS) == replace(RUN, init=InitSpec(other)).key(FACTS)
    typed = replace(RUN, settings=replace(SETTINGS, lr=1, steps=np.int64(30)), seed=np.int64(0))
    assert typed.key(FACTS) == replace(RUN, settings=replace(SETTINGS, lr=1.0)).key(FACTS)


STARTS = [InitSpec(2.0, 0.1), "default", "edge-of-chaos", HeadStart("lsuv"), HeadStart(InitSpec(2.0), (0.5, 0.5), 30)]
STARTS += [SelectedStart(InitSpec(2.0), 0.9, n_inputs=30)]


@pytest.mark.parametrize("init", STARTS, ids=str)
@pytest.mark.parametrize("name", SPECS)
def test_a_run_comes_back_from_its_description(name, init):
    run = Run(name, SPECS[name], init, 3, replace(SETTINGS, labels=(0, 1, 0, 1), eval_points=log_steps(30, 5)))
    again = Run.of_task(name, json.loads(json.dumps(run.task)))
    assert again.task == run.task and again.key(FACTS) == run.key(FACTS)
    assert type(again.spec) is type(run.spec) and again.settings == run.settings and again.init == run.init


def test_a_run_of_another_protocol_is_not_repeated():
    with pytest.raises(ParameterError, match=r"one: a run of protocol 0, which this package, of 1, cannot repeat"):
        Run.of_task("one", RUN.task | {"protocol": 0})


def test_a_network_that_is_not_of_this_package_is_not_repeated():
    with pytest.raises(ParameterError, match=r"kind 'mine\.Spec': not one of MLPSpec, .*run its chapter instead"):
        Run.of_task("one", RUN.task | {"network": {"kind": "mine.Spec"}})


@dataclass(frozen=True)
class Described:
    """A description of a network in a module."""

    activation: object = TANH
    n_classes: int = 2
    input_shape: tuple = (20,)
    depth: int = 1

    def module(self):
        raise NotImplementedError


def test_a_description_of_another_module_is_told_apart_by_it():
    task = replace(RUN, spec=Described()).task
    assert task["network"] == {
        "kind": f"{Described.__module__}.Described",
        "activation": "tanh",
        "n_classes": 2,
        "input_shape": [20],
        "depth": 1,
    }


def session_spec():
    return type("Spec", (Described,), {"__module__": "__main__"})()


def local_pool():
    class MaxPool(AveragePool):  # called as one of the package's is
        pass

    return MaxPool(2)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"spec": replace(SPEC, activation=Activation("mine", np.sin, np.cos))}, "activation='mine'"),
        ({"spec": replace(SPEC, activation=Activation("tanh", np.sin, np.cos))}, "activation='tanh'"),
        ({"settings": replace(SETTINGS, labels=lambda k: k % 2)}, "lambda"),
        ({"spec": session_spec()}, "only dataclasses of a module"),
        ({"spec": replace(SPEC, pool=local_pool())}, "only dataclasses of a module"),
    ],
    ids=["activation", "name", "labels", "session", "pool"],
)
def test_what_no_checksum_can_name_has_no_key(change, words):
    with pytest.raises(NotStorable, match=words):
        replace(RUN, **change).key(FACTS)


def test_a_session_s_copy_of_a_known_activation_is_the_known_one():
    same = Activation("tanh", TANH.function, TANH.derivative, torch_function="torch.tanh")
    assert replace(RUN, spec=replace(SPEC, activation=same)).key(FACTS) == RUN.key(FACTS)


KEYS = """
import sys
import igbrepro.runs
assert "torch" not in sys.modules, "the room imports torch"
from runs.conftest import DATASET, VALUES, declare
from igbrepro.runs import DataFacts, Parameters, Store, choose
(plan,), _ = choose([declare], Parameters(VALUES), DATASET, Store(None))
print(*(run.key(DataFacts.of(DATASET)) for run in plan.missing), plan)
assert "torch" not in sys.modules, "planning imports torch"
"""


def test_keys_are_the_same_in_other_processes_which_need_no_torch():
    ours = [run.key(FACTS) for run in declare(Parameters(VALUES), FACTS).runs]
    for process in [python(KEYS, PYTHONHASHSEED=seed) for seed in ("1", "2")]:
        assert printed(process).split()[: len(ours)] == ours


def test_facts_of_data_are_read_back():
    assert DataFacts.from_dict(json.loads(json.dumps(FACTS.to_dict()))) == FACTS
    assert FACTS.provenance == DATASET.provenance


def test_parameters_are_those_of_the_notebook():
    parameters = Parameters({"depth": 3})
    assert parameters.depth == parameters["depth"] == 3 and dict(parameters) == {"depth": 3}
    with pytest.raises(ParameterError, match="parameter 'width': the notebook has none"):
        _ = parameters.width


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seeds": 3}, r"seeds=3: need a list of seeds, \[3\]"),
        ({"seeds": []}, "need one of each"),
        ({"seeds": [1, 1]}, "no seed twice"),
        ({"seeds": [-1]}, "seeds=-1: need a whole number"),
        ({"networks": {}}, "need one of each"),
        ({"settings": {"calm": SETTINGS}}, "settings: nothing for relu"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused(change, words):
    with pytest.raises(ParameterError, match=words):
        Sweep(**{"networks": NETWORKS, "settings": SETTINGS, "seeds": [0]} | change)


def test_every_network_may_have_settings_of_its_own():
    settings = {"calm": SETTINGS, "relu": replace(SETTINGS, lr=1e-3)}
    runs = Sweep(NETWORKS, settings, [0, 1]).runs
    assert [(run.name, run.seed, run.settings.lr) for run in runs] == [
        ("calm", 0, 1e-2),
        ("calm", 1, 1e-2),
        ("relu", 0, 1e-3),
        ("relu", 1, 1e-3),
    ]
