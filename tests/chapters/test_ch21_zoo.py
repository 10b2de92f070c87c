"""The zoo, against what papers and documentation say of the architectures, and its statistics."""

import functools
import http.server
import math
import shutil
import threading
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from toys import smoke_parameters

from igbrepro.ensembles import OneNumberLaw
from igbrepro.errors import ParameterError
from igbrepro.networks import TorchvisionSpec, build, least_side
from igbrepro.runs import DataFacts
from notebooks.ch21_zoo import experiment
from notebooks.ch21_zoo import lab as zoo

SCRIPT = Path(__file__).parents[2] / "book" / "_assets" / "sortable.js"


def fresh(name, side, seed, n_classes=1000):
    return build(TorchvisionSpec(name, n_classes, (3, side, side)), "default", torch.Generator().manual_seed(seed))


def photographs(n, side, seed=0):
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(seed))


def test_enlarged_images():
    grey = np.arange(8.0).reshape(2, 1, 2, 2)
    large = zoo.enlarge(grey, 4)
    assert large.shape == (2, 3, 4, 4) and torch.equal(large[:, 0], large[:, 2])
    assert large.mean(dim=(1, 2, 3)).tolist() == pytest.approx([1.5, 5.5])
    assert torch.equal(zoo.enlarge(grey, 2)[:, 1], torch.as_tensor(grey[:, 0], dtype=torch.float32))
    with pytest.raises(ParameterError, match="channel"):
        zoo.enlarge(np.zeros((2, 10)), 4)


# By hand, from the papers: norm, residual sums, what the head reads, whether that is never negative.
DESIGNS = {
    "alexnet": ("none", 0, "layer, relu", True),
    "vgg11_bn": ("batch", 0, "layer, relu", True),
    "squeezenet1_1": ("none", 0, "layer, relu", True),
    "resnet18": ("batch", 8, "sum, relu, pool of 4", True),
    "densenet121": ("batch", 0, "norm, relu, pool of 4", True),
    "googlenet": ("batch", 0, "norm, relu, pool of 4", True),
    "mobilenet_v2": ("batch", 10, "norm, hardtanh, pool of 4", True),
    "efficientnet_b0": ("batch", 9, "norm, silu, pool of 4", False),
    "convnext_tiny": ("layer", 18, "norm", False),
    "swin_t": ("layer", 24, "norm, pool of 4", False),
    "swin_v2_t": ("layer", 24, "norm, pool of 4", False),
    "vit_b_32": ("layer", 24, "norm", False),
}


@pytest.mark.parametrize("name", DESIGNS)
def test_structure_is_seen(name):
    seen = zoo.structure(fresh(name, 64, seed=0, n_classes=10), photographs(2, 64))
    (head_reads,) = zoo.head_reads(pd.DataFrame([seen]))
    assert (seen.norm, seen.sums, head_reads, seen.rectified) == DESIGNS[name]


def test_where_norms_stand():
    densenet = zoo.structure(fresh("densenet121", 32, seed=0), photographs(2, 32))
    assert densenet.norm_after_layer == pytest.approx(59 / 121)  # the first and one of two in each of 58 dense layers
    assert densenet.activation == "relu" and densenet.head == "classifier"
    convnext = zoo.structure(fresh("convnext_tiny", 32, seed=0), photographs(2, 32))
    assert convnext.norm_after_layer == pytest.approx(19 / 23)  # stem and 18 blocks; not in front of 3 strides and head
    squeezenet = zoo.structure(fresh("squeezenet1_1", 32, seed=0), photographs(2, 32))
    assert math.isnan(squeezenet.norm_after_layer) and squeezenet.after_head == "relu, adaptive_avg_pool2d"


def test_structure_needs_layers():
    with pytest.raises(ParameterError, match="depend"):
        zoo.structure(torch.nn.ReLU(), photographs(2, 4))


def test_start_of_a_linear_map_follows_the_law():
    n, k = 12, 10
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(400, 6_000, bias=False))
    torch.nn.init.normal_(model[1].weight, generator=torch.Generator().manual_seed(1))
    normal = torch.randn(n + 1, 400, generator=torch.Generator().manual_seed(2))
    rows = torch.linalg.qr(normal.double().T).Q.T.float()
    c = 0.6  # all pairs alike: orthonormal parts beside a common one
    inputs = math.sqrt(c) * rows[:1] + math.sqrt(1 - c) * rows[1:]
    law = OneNumberLaw(k, n, np.random.default_rng(0), draws=4_000)
    found = zoo.start(model, inputs, law, k)
    assert found.c == pytest.approx(c, abs=0.02) and found.gamma == pytest.approx(c / (1 - c), abs=0.1)
    assert found.share_error < 0.01
    for predicted in (found.from_gamma, found.from_c, found.from_pairs, float(law(c))):
        assert found.share == pytest.approx(predicted, abs=4 * found.share_error + 0.005)
    stretched = zoo.start(model, inputs * torch.linspace(0.1, 5, n)[:, None], law, k)
    assert (stretched.share, stretched.c) == pytest.approx((found.share, found.c))
    assert stretched.gamma < 0.8 * found.gamma  # lengths enter the ratio of variances, and no guess


def test_a_head_of_zeros_is_drawn_anew():
    model = fresh("vit_b_32", 32, seed=0, n_classes=20)
    law = OneNumberLaw(2, 4, np.random.default_rng(0))
    found = zoo.start(model, photographs(4, 32), law, 2, seed=1)
    bound = 1 / math.sqrt(768)
    assert found.zero_head and 0.9 * bound < float(model.heads.head.weight.detach().abs().max()) <= bound
    assert 0.5 <= found.share < 1 and np.isfinite(found.gradient)


parameters = partial(smoke_parameters, "ch21_zoo")


def test_what_is_too_large_is_left_out_and_why():
    names = ["resnet18", "regnet_y_128gf", "maxvit_t", "efficientnet_b6"]
    found = experiment.catalogue(parameters(architectures=names))
    assert list(found["left_out"]) == [
        "",
        "645 million weights",
        "needs images of 224 pixels a side",
        "19 billion multiplications an image",
    ]
    assert list(found["side"]) == [32, 32, 224, 32] and found.loc["resnet18", "family"] == "resnet"
    assert len(experiment.catalogue(parameters(architectures=None))) >= 80
    with pytest.raises(ParameterError, match="name='resnet19': torchvision has no such model"):
        experiment.catalogue(parameters(architectures=["resnet19"]))


@pytest.fixture(scope="module")
def data():
    return experiment.dataset(parameters())


def test_the_sweeps_are_of_all_architectures_and_of_the_smallest_of_each_family(data):
    names = ["mnasnet1_0", "mnasnet0_5", "maxvit_t", "alexnet"]
    p, facts = parameters(architectures=names, seeds=[4, 5]), DataFacts.of(data)
    survey, pools = experiment.survey(p, facts), experiment.pools(p, facts)
    assert list(survey.networks) == ["mnasnet1_0", "mnasnet0_5", "alexnet"] and survey.seeds == (4, 5)
    assert survey.networks["alexnet"] == (TorchvisionSpec("alexnet", 200, (3, 63, 63)), "default")
    assert sorted(pools.networks) == [
        f"{n}, {s} pixels" for n, s in (("alexnet", 63), ("alexnet", 64), ("mnasnet0_5", 32), ("mnasnet0_5", 64))
    ]
    assert pools.seeds == (4,)


@pytest.mark.parametrize("name", ["shufflenet_v2_x0_5", "squeezenet1_1"])
def test_a_run_is_a_diagnosis_and_comes_back_as_one(data, name):
    p = parameters(architectures=[name], seeds=[3])
    (run,) = experiment.survey(p, DataFacts.of(data)).runs
    frame = run.settings.numbers(run, data).assign(run=name, seed=3)
    (found,) = zoo.networks(frame).to_dict("records")
    side = least_side(name, 32)
    x = zoo.enlarge(data.subset(n_test=8, seed=21).inputs("test", flat=False), side)
    model = fresh(name, side, 3, 200)
    seen = zoo.structure(model, x[:2])
    assert {key: found[key] for key in asdict(seen)} == pytest.approx(asdict(seen), nan_ok=True)
    law = OneNumberLaw(10, 8, np.random.default_rng(21), 500)
    start = asdict(zoo.start(model, x, law, 10, head=seen.head, seed=3))  # in single precision
    assert {key: found[key] for key in start} == pytest.approx(start, rel=1e-3)
    assert isinstance(found["rectified"], bool) and isinstance(found["sums"], int)


def test_heads_in_words():
    read = {"reads": ["norm", "sum", "norm"], "rectifier": ["relu", "", "silu"], "positions": [4, 1, 1]}
    assert list(zoo.head_reads(pd.DataFrame(read))) == ["norm, relu, pool of 4", "sum", "norm, silu"]


def test_the_last_pool_of_larger_images(data):
    p = parameters(architectures=["mnasnet0_5"], n_images=40)
    small, large = (
        run.settings.numbers(run, data).set_index("metric")["value"]
        for run in experiment.pools(p, DataFacts.of(data)).runs
    )
    assert (small["positions"], large["positions"]) == (1, 4) and small["c"] < large["c"]
    assert small["c"] == pytest.approx(1 / math.pi, abs=0.05)


def test_pooled_rectified_normal_numbers():
    z = np.random.default_rng(0).standard_normal((2, 200_000, 9))
    a, b = np.maximum(z, 0).mean(-1)
    c = (a * b).mean() / np.sqrt((a**2).mean() * (b**2).mean())
    assert zoo.pooled_correlation(9) == pytest.approx(c, abs=0.003)
    assert zoo.pooled_correlation([1, np.inf]) == pytest.approx([1 / np.pi, 1])


def test_contrast_counts_families():
    families = pd.Series(list("aaabbcdeff"))
    values = pd.Series([1.0, 2, 3, 5, 1, 9, 7, 8, 9, 3])
    chosen = pd.Series([True] * 5 + [False] * 4 + [True])
    one, other = [2.0, 3.0, 3.0], [9.0, 7.0, 8.0, 9.0]
    found = zoo.contrast(values, chosen, families)
    assert found.difference == pytest.approx(np.mean(one) - np.mean(other))
    welch = stats.ttest_ind(one, other, equal_var=False).confidence_interval(math.erf(math.sqrt(2)))
    assert (found.difference - 2 * found.error, found.difference + 2 * found.error) == pytest.approx(tuple(welch))
    assert found.p == pytest.approx(2 / 35) and (found.n_with, found.n_without) == (3, 4)  # the lowest of 7 choose 3


def test_contrast_of_one_family_has_no_error():
    found = zoo.contrast(pd.Series([1.0, 2, 4]), pd.Series([True, False, False]), pd.Series(list("abc")))
    assert found.difference == -2 and math.isnan(found.error) and math.isnan(found.p)


def test_sortable_is_a_plain_table():
    html = zoo.sortable(pd.DataFrame({"name": ["<b>", "c"], "γ": ["1.5", None]}), 'A "label"')
    assert 'aria-label="A &quot;label&quot;"' in html and "igb-sortable" in html
    assert "&lt;b&gt;" in html and "<td>–</td>" in html and "<script" not in html


@pytest.mark.browser
def test_a_click_sorts_the_table(browser, tmp_path):
    frame = pd.DataFrame({"name": ["b", "c", "a", "d"], "size": ["10", None, "9", "-1e2"]})
    page = f"<!doctype html><script src=sortable.js></script>{zoo.sortable(frame, 'sizes')}"
    (tmp_path / "index.html").write_text(page, encoding="utf-8")
    shutil.copy(SCRIPT, tmp_path)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    tab, errors = browser.new_page(), []
    try:
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.goto(f"http://127.0.0.1:{server.server_port}/index.html")

        def column():
            return tab.locator("tbody tr td:first-child").all_inner_texts()

        size, name = tab.get_by_role("button", name="size"), tab.get_by_role("button", name="name")
        assert column() == ["b", "c", "a", "d"]
        size.click()
        assert column() == ["d", "a", "b", "c"]  # by number, the missing one last
        assert tab.locator("th[aria-sort]").get_attribute("aria-sort") == "ascending"
        size.press("Enter")
        assert column() == ["b", "a", "d", "c"]
        name.click()
        assert column() == ["a", "b", "c", "d"] and tab.locator("th[aria-sort]").count() == 1
        assert not errors
    finally:
        tab.close()
        server.shutdown()
        server.server_close()
