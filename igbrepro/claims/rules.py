"""What a claim is, and the rules by which measured numbers decide it.

A rule takes the measurements of a claim by name and returns (Outcome, reason). The smaller rules below are enough to
build every rule of the book. Each knows a third answer besides yes and no: "undecided", where standard errors are too
large; the reason then ends in what would decide. Every rule raises ParameterError for a measurement it needs and does
not get.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from igbrepro.claims.measurement import Measurement, format_number, margin, plain
from igbrepro.claims.power import REPEATS, decides_distance, decides_error
from igbrepro.claims.verdict import Outcome
from igbrepro.errors import ParameterError

HOPELESS = f"the effect is too small for any feasible number of {REPEATS}; an equivalence margin would decide"
Decision = Callable[[Mapping[str, Measurement]], tuple[Outcome, str]]


@dataclass(frozen=True)
class Rule:
    """How measurements decide a claim: `decide` maps them, by name, to (Outcome, reason).

    needs: names of the measurements without which it raises ParameterError.
    local: whether what it says is about the machine of the run, so that no verdict is committed to compare with.
    """

    decide: Decision
    needs: tuple[str, ...]
    local: bool = False

    def __call__(self, measurements: Mapping[str, Measurement]) -> tuple[Outcome, str]:
        return self.decide(measurements)


@dataclass(frozen=True)
class Claim:
    """One statement of the paper that a chapter settles.

    statement: one sentence in our words.  source: where in the paper.  rule: decides it from measured numbers.
    """

    id: str
    title: str
    statement: str
    source: str
    rule: Rule

    def __post_init__(self) -> None:
        for name in ("id", "title", "statement", "source"):
            plain(name, getattr(self, name))


def _pick(measurements: Mapping[str, Measurement], name: str) -> Measurement:
    """The measurement called `name`."""
    if name not in measurements:
        have = ", ".join(map(repr, measurements)) or "none"
        raise ParameterError(f"measurement {name!r} is missing; the rule of this claim needs it (got: {have}).")
    return measurements[name]


def _given(m: Measurement, key: str) -> float:
    """The field `key` of a measurement, which must be a number."""
    value = getattr(m, key)
    if value is None:
        raise ParameterError(f"measurement {m.name!r} has {key}=None; the rule of this claim needs a number there.")
    return value


def agrees(
    name: str, max_z: float = 4.0, resolution: float = 0.05, *, slack: float = 0.0, scale: float | None = None
) -> Rule:
    """The value lies within `max_z` standard errors of its expected value, or as sure of Student's t for few repeats.

    Undecided where the error exceeds `resolution` times `scale` (default: |expected|; give it where zero is expected),
    unless the value is further away than such noise explains.
    slack: a known systematic part of the gap, as a fraction of `scale`, granted on top of the noise.
    """

    def rule(measurements: Mapping[str, Measurement]) -> tuple[Outcome, str]:
        m = _pick(measurements, name)
        _, expected = _given(m, "std_error"), _given(m, "expected")
        size = abs(expected) if scale is None else scale
        if size == 0:
            raise ParameterError(f"measurement {name!r} expects 0: give agrees() a scale=, the unit of resolution.")
        gap, noise, sharp = abs(m.value - expected), m.margin(max_z), resolution * size
        noisy = noise > max_z * sharp
        granted = f"{max_z:g} standard errors" + (f" of Student's t ({m.n} repeats)" if m.n else "")
        granted += f" + {slack:.2g} of {format_number(size)}" if slack else ""
        if gap > noise + slack * size + (sharp if noisy else 0.0):
            return Outcome.NOT_REPRODUCED, f"{m}: further away than {granted}"
        if noisy:
            need = f"too noisy to decide (needs a standard error below {sharp:.2g})"
            return Outcome.UNDECIDED, f"{m}: {need}; {decides_error(m, sharp, max_z)}"
        return Outcome.REPRODUCED, f"{name}: within {granted}"

    return Rule(rule, (name,))


def exact(name: str, rtol: float, *, atol: float = 0.0) -> Rule:
    """A deterministic value equals its expected one within `rtol` (relative) plus `atol`."""

    def rule(measurements: Mapping[str, Measurement]) -> tuple[Outcome, str]:
        m = _pick(measurements, name)
        expected = _given(m, "expected")
        gap = abs(m.value - expected)
        relative = f"relative gap {gap / abs(expected):.1e}" if expected else f"gap {gap:.1e}"
        allowed = f"{rtol:.0e}" + (f" + {atol:.0e} absolute" if atol else "")
        if gap <= rtol * abs(expected) + atol:
            return Outcome.REPRODUCED, f"{name}: {relative}, allowed {allowed}"
        return Outcome.NOT_REPRODUCED, f"{m}: {relative}, more than the allowed {allowed}"

    return Rule(rule, (name,))


def between(name: str, low: float, high: float, *, z: float = 2.0) -> Rule:
    """The interval value ± `z` standard errors lies in [low, high]; wholly outside fails, else undecided.

    low may be -inf and high inf.  A measurement without standard error is a point.  For few repeats the interval is
    the one of Student's t that is as sure.
    """
    if not low < high:
        raise ParameterError(f"low={low!r}, high={high!r}: need low < high.")

    def rule(measurements: Mapping[str, Measurement]) -> tuple[Outcome, str]:
        m = _pick(measurements, name)
        half = m.margin(z)
        span = f"between {format_number(low)} and {format_number(high)}"
        if math.isinf(low):
            span = f"at most {format_number(high)}"
        elif math.isinf(high):
            span = f"at least {format_number(low)}"
        if low <= m.value - half and m.value + half <= high:
            return Outcome.REPRODUCED, f"{name}: {span}"
        if m.value + half < low or m.value - half > high:
            return Outcome.NOT_REPRODUCED, f"{m}: not {span}"
        distance = min(abs(m.value - low), abs(m.value - high))
        hopeless = f"it is too near the bound for any feasible number of {REPEATS}"
        more = decides_distance(distance, z, m, hopeless=hopeless, against=not low <= m.value <= high)
        return Outcome.UNDECIDED, f"{m}: too noisy to say whether it is {span}; {more}"

    return Rule(rule, (name,))


def greater(name_a: str, name_b: str | float, z: float = 3.0) -> Rule:
    """Measurement `name_a` exceeds `name_b` (a measurement or a number) by more than `z` standard errors of the gap.

    Of few repeats by as much as is as sure, by Student's t.
    """

    def rule(measurements: Mapping[str, Measurement]) -> tuple[Outcome, str]:
        a = _pick(measurements, name_a)
        if isinstance(name_b, str):
            b = _pick(measurements, name_b)
        else:
            b = Measurement("the bound", name_b)
        error, allowed = math.hypot(a.std_error or 0.0, b.std_error or 0.0), margin(z, a, b)
        gap = a.value - b.value
        text = f"{a.name} − {b.name} = {format_number(gap, error)}"
        if gap > allowed:
            return Outcome.REPRODUCED, f"{text}: greater"
        seen = a.std_error is not None or b.std_error is not None  # else both are exact
        if gap < -allowed or (allowed == 0 and not (gap == 0 and seen)):
            return Outcome.NOT_REPRODUCED, f"{text}: not greater"
        more = decides_distance(gap, z, a, b, hopeless=HOPELESS, against=gap < 0)
        return Outcome.UNDECIDED, f"{text}: too noisy to decide (needs {z:g} standard errors); {more}"

    return Rule(rule, (name_a, *([name_b] if isinstance(name_b, str) else [])))


def all_of(*rules: Rule, also: Rule | Iterable[Rule] = ()) -> Rule:
    """Every rule holds.  also: rules whose failure turns "reproduced" into "reproduced with a caveat"."""
    if not rules:
        raise ParameterError("rules=(): all_of needs at least one rule.")
    secondary = (also,) if isinstance(also, Rule) else tuple(also)

    def rule(measurements: Mapping[str, Measurement]) -> tuple[Outcome, str]:
        found = [r(measurements) for r in rules]
        minor = [r(measurements) for r in secondary]
        for outcome in (Outcome.NOT_REPRODUCED, Outcome.UNDECIDED):
            if decisive := [reason for o, reason in found if o is outcome]:
                return outcome, "; ".join(decisive)
        failed = [reason for o, reason in minor if o in (Outcome.NOT_REPRODUCED, Outcome.CAVEAT)]
        caveats = [reason for o, reason in found if o is Outcome.CAVEAT] + [f"but {reason}" for reason in failed]
        good = [reason for o, reason in found + minor if o is Outcome.REPRODUCED]
        open_ = [reason for o, reason in minor if o is Outcome.UNDECIDED]
        return Outcome.CAVEAT if caveats else Outcome.REPRODUCED, "; ".join(good + caveats + open_)

    return Rule(rule, tuple(dict.fromkeys(name for r in (*rules, *secondary) for name in r.needs)))
