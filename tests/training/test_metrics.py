import math

import pytest
import torch
from torch.nn import functional as F

from igbrepro.training import metrics

LOGITS = torch.tensor([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0], [5.0, 1.0, 2.0], [1.0, 0.0, 0.5]])  # guesses 0, 1, 0, 0
LABELS = torch.tensor([0, 1, 1, 0])


def test_by_hand():
    seen = metrics.evaluate(LOGITS, LABELS)
    losses = [
        math.log(sum(math.exp(v) for v in row)) - row[label] for row, label in zip(LOGITS.tolist(), LABELS, strict=True)
    ]
    assert seen["class_fraction"] == pytest.approx([0.75, 0.25, 0])
    assert seen["max_class_fraction"] == 0.75
    assert seen["accuracy"] == 0.75
    assert seen["class_accuracy"][:2] == [1.0, 0.5]
    assert seen["loss"] == pytest.approx(sum(losses) / 4)
    assert seen["class_loss"][:2] == pytest.approx([(losses[0] + losses[3]) / 2, (losses[1] + losses[2]) / 2])


def test_a_class_without_inputs_has_no_accuracy_and_no_loss():
    seen = metrics.evaluate(LOGITS, LABELS)
    assert math.isnan(seen["class_accuracy"][2]) and math.isnan(seen["class_loss"][2])


def test_accuracies_are_counts_class_by_class_and_losses_average_to_the_whole():
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(500, 10, generator=generator), torch.randint(10, (500,), generator=generator)
    pairs = list(zip(logits.argmax(1).tolist(), labels.tolist(), strict=True))
    want = [pairs.count((k, k)) / labels.tolist().count(k) for k in range(10)]
    torch.testing.assert_close(metrics.class_accuracies(logits, labels), torch.tensor(want))
    shares = torch.bincount(labels) / 500
    torch.testing.assert_close((metrics.class_losses(logits, labels) * shares).sum(), F.cross_entropy(logits, labels))


def test_several_networks_at_once():
    both = torch.stack([LOGITS, LOGITS.flip(-1)])  # the second guesses 2, 1, 2, 2
    assert metrics.class_fractions(both).tolist() == [[0.75, 0.25, 0], [0, 0.25, 0.75]]
    assert metrics.max_class_fraction(both).tolist() == [0.75, 0.75]


def test_nothing_is_claimed_of_logits_that_are_not_numbers():
    broken = LOGITS.clone()
    broken[2, 1] = math.nan
    assert metrics.class_fractions(torch.stack([LOGITS, broken])).isnan().any(-1).tolist() == [False, True]
    seen = metrics.evaluate(broken, LABELS)
    assert all(math.isnan(seen[name]) for name in ("accuracy", "loss", "max_class_fraction"))
    assert all(math.isnan(value) for name in ("class_fraction", "class_accuracy", "class_loss") for value in seen[name])
