"""The numbers of a diagnosis in plain words: what is wrong, and what to change."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from igbrepro.errors import some
from igbrepro.theory import Phase

DEPTH_SCALES = 6  # a network trains up to about six of the depths over which its gradient changes by a factor e
_NEAR_EDGE = 1.25  # sigma_w2 over that of the edge, up or down, that is not worth a word
_ANEW = "draw the weights anew, each layer on the edge of chaos: initialize_(model, example_input={})"
_ALREADY = (
    "the weights are on the edge already; what is left comes from few units, padding, layers used several times or "
    "functions of no known kind: try another seed, wider layers, skip connections or a norm"
)


class LeftOut(NamedTuple):
    """What a diagnosis does not see: layers that do not reach the output, parameters of layers of unknown kinds."""

    cut_off: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def advise(
    table: pd.DataFrame,
    weights: pd.DataFrame,
    head: dict[str, Any],
    phase: Phase | None,
    total: float,
    left_out: LeftOut,
) -> tuple[str, tuple[str, ...]]:
    """The verdict, a short paragraph, and what to do about it, the most effective first; arguments as in Diagnosis."""
    verdict, advice = _verdict(table, weights, head, phase, total)
    if left_out.cut_off:
        last = left_out.cut_off[-1]
        verdict = (
            f"The output of {len(left_out.cut_off)} layers, the last of them {last!r}, is not followed to the logits: "
            f"the model leaves PyTorch there, or does not use it. Only the rest is judged. {verdict}"
        )
    if left_out.unknown:
        advice.append(f"not looked at, as of layers of no known kind: {some(left_out.unknown)}")
    if head["probabilities"]:
        advice.append("the outputs look like probabilities; diagnose the logits, without the softmax")
    return verdict, tuple(advice)


def _verdict(
    table: pd.DataFrame, weights: pd.DataFrame, head: dict[str, Any], phase: Phase | None, total: float
) -> tuple[str, list[str]]:
    edge, fed_by = weights["edge"].to_numpy(float), weights["fed_by"].to_numpy()
    odd = np.isnan(edge) & (fed_by != "?")  # no edge at variance 1, as of sigmoid
    again = _ANEW.format("inputs, sigma_b2=0.0" if odd.any() and np.isfinite(table["q"].to_numpy()).all() else "inputs")
    n_classes = head["n_classes"]
    start = (
        f"Before training it gives {head['max_fraction']:.0%} of the {head['n_inputs']} inputs to class "
        f"{head['favourite']} (an even split is {100 / min(n_classes, head['n_inputs']):.2g}%; gamma = "
        f"{head['gamma']:.3g} at the head)."
    )
    overflow = table.loc[~np.isfinite(table["q"]), "layer"]
    if len(overflow):
        return f"The signal is not finite from {overflow.iloc[0]!r} on: nothing can be learned.", [again]
    if head["tied"]:
        silent = table.loc[table["q"] == 0, "layer"].iloc[:1]
        if len(silent) and silent.index[0] < len(table) - 1:
            where = f"the signal is zero from {silent.iloc[0]!r} on, the units before it dead"
            return f"All logits are equal: {where}.", [again]
        return (
            "All logits are equal, as a head of zeros makes them: no class is favoured, and no gradient passes below "
            "the head before its weights have moved. The gradients in the table say nothing about the body.",
            ["to see the body, give the last layer random weights and diagnose again"],
        )
    if phase is None:
        return f"{_stopped(table)} {start}", [again]
    how = "grows" if total > 0 else "shrinks"
    by = f"10^{abs(total) / math.log(10):.1f}"
    growth = f"over {len(table)} stages the squared gradient {how} by {by} towards the inputs"
    if phase is Phase.EDGE:
        verdict, advice = _healthy(growth, total, head)
    else:
        verdict, off = _ill(growth, len(table) / abs(total), phase, total), _off_the_edge(weights)
        advice = [again, *off] if off or odd.any() else [_ALREADY]
    if head["q"] > 100:
        advice.append(f"its logits are large (q = {head['q']:.3g}), and so is the first loss: scale the head down")
    imbalance = table["imbalance"].iloc[0]
    if imbalance > 10 and phase is Phase.EDGE:
        advice.append(
            f"nothing to change, but to know: inputs not of the favourite class send {imbalance:.2g} times the squared "
            "gradient of the others, so that the first steps are about the bias"
        )
    return verdict + start, advice


def _healthy(growth: str, total: float, head: dict[str, Any]) -> tuple[str, list[str]]:
    """Of a network whose gradient keeps its size, or grows as norms make it."""
    if total > DEPTH_SCALES:
        verdict = (
            f"Gradients grow no faster than norms make them: {growth}. With skip connections that is harmless; a deep "
            "network without them wants a warm-up or small steps. "
        )
    else:
        verdict = f"Gradients keep their size, as on the edge of chaos: {growth}. Its start lets it train. "
    if head["max_fraction"] <= 0.5 + 0.5 / head["n_classes"]:
        return verdict, []
    return (
        f"{verdict}It starts deeply biased, which is common there and does no harm: training undoes it first. ",
        ["to begin with even guesses and the same body: initialization.center_head_(model, inputs)"],
    )


def _ill(growth: str, scale: float, phase: Phase, total: float) -> str:
    """Of a network whose gradient changes by a factor e every `scale` stages, and by too many of them in all."""
    why = "vanish" if phase is Phase.ORDERED else "explode"
    outlook = "hardly train" if abs(total) > 3 * DEPTH_SCALES else "train late, if at all,"
    return (
        f"Gradients {why} ({phase.label}): {growth}, a factor e every {scale:.2g} stages. Networks train up to about "
        f"{DEPTH_SCALES} times that depth, here {DEPTH_SCALES * scale:.0f} stages: it will {outlook} as it is. "
    )


def _stopped(table: pd.DataFrame) -> str:
    """Where the gradient ends on its way back."""
    silent = np.flatnonzero(~(table["gradient"] > 0))
    if not len(silent) or silent[-1] + 1 == len(table):
        return "No gradient arrives at the first stages: the network is dead."
    below, above = table["layer"].iloc[silent[-1]], table["layer"].iloc[silent[-1] + 1]
    return (
        f"No gradient passes from {above!r} back to {below!r}: units between them are dead, or a detach, a no_grad or "
        "a step function cuts it off."
    )


def _off_the_edge(weights: pd.DataFrame) -> list[str]:
    """A word on layers whose weights, which no norm follows, are not those of the edge; sampling noise set aside.

    The first layer sets the size of the signal only, and is passed over.
    """
    seen = weights[
        ~weights["normed"]
        & (weights["fed_by"] != "the inputs")
        & np.isfinite(weights["edge"])
        & (weights["sigma_w2"] > 0)
    ]
    ratio = pd.Series(np.log(seen["sigma_w2"] / seen["edge"]), index=seen.index)
    off = ratio.loc[ratio.abs() > math.log(_NEAR_EDGE) + 4 * np.sqrt(2 / seen["numbers"])]
    if off.empty and abs(ratio.sum()) > DEPTH_SCALES / 2:  # each is nearly there, all together are not
        off = ratio
    if off.empty:
        return []
    one = seen.loc[off.abs().idxmax()]
    fed = "no activation feeds" if one["fed_by"] == "no activation" else f"{one['fed_by']} feeds"
    return [
        f"{len(off)} of {len(seen)} layers without a norm have weights off the edge, in the median by a factor of "
        f"{math.exp(off.median()):.2g}; farthest {one['layer']!r}, which {fed}: sigma_w2 = {one['sigma_w2']:.3g}, "
        f"{one['edge']:.3g} on the edge"
    ]
