"""Results written and read back, and every file that is none."""

from dataclasses import fields, replace

import numpy as np
import pytest

from igbrepro.ensembles import EnsembleResult, Measure, gaussian_inputs, simulate
from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.networks import MLPSpec
from igbrepro.theory import TANH, Activation, MaxPool

OWN = Activation("square", lambda x: x**2, lambda x: 2 * x)
SPECS = {
    "plain": MLPSpec("leaky_relu(0.1)", 2, 8, input_shape=(6,)),
    "pooled residual": MLPSpec("tanh", 3, 8, 3, (2, 3), MaxPool(2), residual=0.5),
    "post-activation": MLPSpec("relu", 3, 8, 3, (2, 3), residual=0.5, residual_unit="post-activation"),
}


def ensemble(spec, **measure):
    return simulate(
        spec,
        InitSpec(1.5, 0.1),
        gaussian_inputs(4, 6, 0).reshape(4, *spec.input_shape),
        n_networks=2,
        seed=3,
        measure=Measure(n_heads=2, **measure),
    )


def assert_same(one, two):
    for field in fields(one):
        a, b = getattr(one, field.name), getattr(two, field.name)
        if field.name == "snapshots":
            assert list(a) == list(b)
            for layer in a:
                for part in fields(a[layer]):
                    np.testing.assert_array_equal(getattr(a[layer], part.name), getattr(b[layer], part.name))
        elif isinstance(a, np.ndarray):
            np.testing.assert_array_equal(a, b)
            assert a.dtype == b.dtype
        else:
            assert a == b and type(a) is type(b)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize("measure", [{}, {"heads_at_every_layer": True, "keep_layers": [0, 2], "keep_nodes": 3}])
def test_what_is_saved_comes_back_to_the_bit(tmp_path, spec, measure):
    result = ensemble(spec, **measure)
    assert_same(EnsembleResult.load(result.save(tmp_path / "some.npz")), result)


def test_an_activation_of_ones_own_is_given_again(tmp_path):
    result = ensemble(SPECS["plain"])
    object.__setattr__(result, "spec", MLPSpec(OWN, 2, 8, input_shape=(6,)))  # which torch does not know
    path = result.save(tmp_path / "own.npz")
    assert EnsembleResult.load(path, activation=OWN).spec.activation is OWN
    with pytest.raises(ParameterError, match=r"'square', which is not built in; load\(path, activation="):
        EnsembleResult.load(path)
    object.__setattr__(result, "spec", MLPSpec(Activation("gelu", OWN, OWN), 2, 8, input_shape=(6,)))
    with pytest.raises(ParameterError, match="'gelu', which is not built in"):
        EnsembleResult.load(result.save(tmp_path / "alike.npz"))
    other = Activation("cube", OWN, OWN)
    with pytest.raises(ParameterError, match=r"activation='cube': the networks of .* have 'square'"):
        EnsembleResult.load(path, activation=other)


def test_another_function_of_the_same_name_is_refused(tmp_path):
    result = ensemble(SPECS["plain"])
    object.__setattr__(result, "spec", MLPSpec(Activation("tanh", OWN, OWN), 2, 8, input_shape=(6,)))
    path = result.save(tmp_path / "own.npz")
    with pytest.raises(ParameterError, match=r"activation='tanh': another function than that of .*own\.npz"):
        EnsembleResult.load(path, activation=TANH)
    assert EnsembleResult.load(path, activation=Activation("tanh", OWN, OWN)).spec.activation.name == "tanh"


def test_a_pool_comes_back_as_that_of_its_module(tmp_path):
    path = ensemble(SPECS["pooled residual"]).save(tmp_path / "pooled.npz")
    alike = type("MaxPool", (MaxPool,), {})
    assert type(EnsembleResult.load(path).spec.pool) is MaxPool
    result = ensemble(SPECS["pooled residual"])
    object.__setattr__(result, "spec", replace(result.spec, pool=alike(2)))
    assert type(EnsembleResult.load(result.save(tmp_path / "alike.npz")).spec.pool) is alike


def test_a_path_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(ParameterError, match=r"some\.npz': cannot be written"):
        ensemble(SPECS["plain"]).save(tmp_path / "missing" / "some.npz")


def test_files_that_are_none_are_refused_in_words(tmp_path):
    path = ensemble(SPECS["plain"]).save(tmp_path / "good.npz")
    (tmp_path / "cut.npz").write_bytes(path.read_bytes()[:-200])
    (tmp_path / "text.npz").write_text("q, c")
    (tmp_path / "empty.npz").write_bytes(b"")
    np.savez(tmp_path / "other.npz", q=np.ones(3))
    np.savez(tmp_path / "foreign.npz", told=np.array("[1]"))
    np.savez(tmp_path / "pickled.npz", told=np.array({"format": 1}, dtype=object))
    np.save(tmp_path / "array.npy", np.ones(3))
    for name in ("cut.npz", "text.npz", "empty.npz", "other.npz", "foreign.npz", "pickled.npz", "array.npy"):
        with pytest.raises(ParameterError, match=rf"{name}': not a file that EnsembleResult.save wrote"):
            EnsembleResult.load(tmp_path / name)
    with pytest.raises(ParameterError, match="no such file"):
        EnsembleResult.load(tmp_path / "nowhere.npz")
    with pytest.raises(ParameterError, match=r"path='out\.csv': need a name that ends in \.npz"):
        ensemble(SPECS["plain"]).save("out.csv")
