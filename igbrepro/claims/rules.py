"""What a claim is, and the rules by which measured numbers decide it.

A rule takes the measurements of a claim by name and returns (Outcome, reason). The smaller rules below are enough to
build every rule of the book. Each knows a third answer besides yes and no: "undecided", where standard errors are too
large; the reason then ends in what would decide. Every rule raises ParameterError for a measurement it needs and does
not get.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from igbrepro.claims.measurement import Measurement, format_number, margin, plain
from igbrepro.claims.power import REPEATS, decides_distance, decides_error
from igbrepro.claims.refuting import Refuted, in_words, off_by, smallest_factor
from igbrepro.claims.verdict import Outcome
from igbrepro.errors import ParameterError

HOPELESS = f"the effect is too small for any feasible number of {REPEATS}; an equivalence margin would decide"
TIGHTENED = "a smaller error is asked for since its numbers were seen, as larger ones could not have refuted it"
BESIDE_TOLERANCE = "γ itself is tested too since its numbers were seen, as near a share of 1 the tolerance passes any"
NO_LEAD = "a lead too small to matter counts as none since its numbers were seen; before, it left the claim undecided"
WIDEST = 0.5  # how far off, as a fraction of what is expected, a value may be that agrees
Decision = Callable[[Mapping[str, Measurement]], tuple[Outcome, str]]


@dataclass(frozen=True)
class Rule:
    """How measurements decide a claim: `decide` maps them, by name, to (Outcome, reason).

    needs: names of the measurements without which it raises ParameterError.
    local: whether what it says is about the machine of the run, so that no verdict is committed to compare with.
    parts, also: the rules that it joins, those that decide and those that only add a caveat.
    would_refute: what it would have refuted, given measurements.  excess: how near one measurement is to being refuted.
    """

    decide: Decision
    needs: tuple[str, ...]
    local: bool = False
    parts: tuple[Rule, ...] = ()
    also: tuple[Rule, ...] = ()
    would_refute: Callable[[Mapping[str, Measurement]], Refuted] | None = None
    excess: Callable[[Measurement], float] | None = None

    def __call__(self, measurements: Mapping[str, Measurement]) -> tuple[Outcome, str]:
        return self.decide(measurements)

    @property
    def elements(self) -> list[Rule]:
        """The rules that decide, none of them joined of others."""
        return [element for part in self.parts for element in part.elements] or [self]

    def refutes(self, measurements: Mapping[str, Measurement]) -> str:
        """What the same numbers with the same errors would have refuted, in words.

        Of all expected values the one that could be furthest off unnoticed, and every bound; "" where nothing is known.
        """
        return in_words(rule.would_refute(measurements) for rule in self.elements if rule.would_refute)

    def severity(self, m: Measurement) -> tuple[int, float]:
        """How badly the parts that read this measurement alone think of it; the larger, the worse for the claim."""
        rules = [*self.elements, *(element for rule in self.also for element in rule.elements)]
        found = [(_RANK.get(r({m.name: m})[0], 0), r.excess(m)) for r in rules if r.excess and r.needs == (m.name,)]
        return max(found, default=(0, abs(m.z or 0.0)))


_RANK = {Outcome.UNDECIDED: 1, Outcome.NOT_REPRODUCED: 2}


@dataclass(frozen=True)
class Claim:
    """One statement of the paper that a chapter settles.

    statement: one sentence in our words.  source: where in the paper.  rule: decides it from measured numbers.
    revised: how the rule was changed after its numbers had been seen, "" where it was not.
    """

    id: str
    title: str
    statement: str
    source: str
    rule: Rule
    revised: str = ""

    def __post_init__(self) -> None:
        for name in ("id", "title", "statement", "source", *(["revised"] if self.revised else [])):
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
    Raises ParameterError where an expected value half as large again would pass at the largest error allowed.
    """
    if (passes := max_z * resolution + slack) > WIDEST:
        raise ParameterError(
            f"max_z={max_z}, resolution={resolution}, slack={slack} of {name!r}: a value off by {passes:.2g} of the "
            f"expected one would pass, and more than {WIDEST} must not; ask for a smaller resolution."
        )

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

    def would_refute(measurements: Mapping[str, Measurement]) -> Refuted:
        m = _pick(measurements, name)
        return _wrong_expectation(rule, m, scale or 1.0)

    def excess(m: Measurement) -> float:
        expected, noise = _given(m, "expected"), m.margin(max_z)
        over = abs(m.value - expected) - slack * (abs(expected) if scale is None else scale)
        return max_z * over / noise if noise else math.copysign(math.inf, over)

    return Rule(rule, (name,), would_refute=would_refute, excess=excess)


def _three_digits(value: float) -> str:
    return format_number(float(f"{value:.3g}"))


def _wrong_expectation(rule: Decision, m: Measurement, unit: float) -> Refuted:
    """How wrong the expected value could have been before the rule had noticed; of 0 in units of `unit`."""
    expected = _given(m, "expected")

    def refuted(factor: float) -> bool:
        others = (expected * factor, expected / factor) if expected else ((factor - 1) * unit, (1 - factor) * unit)
        return all(rule({m.name: replace(m, expected=other)})[0] is Outcome.NOT_REPRODUCED for other in others)

    factor = smallest_factor(refuted)
    if expected:
        return Refuted(m.name, off_by(factor), factor)
    return Refuted(m.name, f"{m.name}: an expected value of ± {_three_digits((factor - 1) * unit)} in place of 0")


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

    def would_refute(measurements: Mapping[str, Measurement]) -> Refuted:
        return _wrong_expectation(rule, _pick(measurements, name), atol or 1.0)

    return Rule(rule, (name,), would_refute=would_refute)


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

    def would_refute(measurements: Mapping[str, Measurement]) -> Refuted:
        half = _pick(measurements, name).margin(z)
        beyond = [f"above {_three_digits(high + half)}"] if high < math.inf else []
        beyond += [f"below {_three_digits(low - half)}"] if low > -math.inf else []
        return Refuted(name, f"{name} {' or '.join(beyond)}")

    def excess(m: Measurement) -> float:
        return max(m.value - high, low - m.value) + m.margin(z)

    return Rule(rule, (name,), would_refute=would_refute, excess=excess)


def greater(name_a: str, name_b: str | float, z: float = 3.0, *, matters: float = 0.0) -> Rule:
    """Measurement `name_a` exceeds `name_b` (a measurement or a number) by more than `z` standard errors of the gap.

    Of few repeats by as much as is as sure, by Student's t.
    matters: the least gap that would mean anything, in the unit of the measurement: the rule fails as well where the
    gap is surely smaller, so that "no difference" can be decided, and with a feasible number of repeats (but not by a
    measurement that is only a lower bound).
    """
    if not 0 <= matters < math.inf:
        raise ParameterError(f"matters={matters!r} of {name_a!r}: need the least gap that means anything, 0 or more.")

    def pair(measurements: Mapping[str, Measurement]) -> tuple[Measurement, Measurement]:
        b = _pick(measurements, name_b) if isinstance(name_b, str) else Measurement("the bound", name_b)
        return _pick(measurements, name_a), b

    def rule(measurements: Mapping[str, Measurement]) -> tuple[Outcome, str]:
        a, b = pair(measurements)
        error, allowed = math.hypot(a.std_error or 0.0, b.std_error or 0.0), margin(z, a, b)
        gap = a.value - b.value
        text = f"{a.name} − {b.name} = {format_number(gap, error)}"
        if gap > allowed:
            return Outcome.REPRODUCED, f"{text}: greater"
        seen = a.std_error is not None or b.std_error is not None  # else both are exact
        if gap < -allowed or (allowed == 0 and not (gap == 0 and seen)):
            return Outcome.NOT_REPRODUCED, f"{text}: not greater"
        known = allowed > 0 and not a.at_least
        if known and allowed < matters - gap:
            return Outcome.NOT_REPRODUCED, f"{text}: surely below {_three_digits(matters)}, the least that would matter"
        against = gap < 0 or (known and 2 * gap < matters)  # of the two bounds the one that fewer repeats leave behind
        nearest = matters - gap if known and against else gap
        more = decides_distance(nearest, z, a, b, hopeless=HOPELESS, against=against)
        return Outcome.UNDECIDED, f"{text}: too noisy to decide (needs {z:g} standard errors); {more}"

    def would_refute(measurements: Mapping[str, Measurement]) -> Refuted:
        a, b = pair(measurements)
        allowed, text = margin(z, a, b), f"{a.name} − {b.name}" if b.value or b.name == name_b else a.name
        return Refuted(a.name, f"{text} of {_three_digits(min(matters - allowed, allowed))} or less")

    def excess(m: Measurement) -> float:  # read where name_b is a number
        return pair({m.name: m})[1].value - m.value + m.margin(z)

    needs = (name_a, *([name_b] if isinstance(name_b, str) else []))
    return Rule(rule, needs, would_refute=would_refute, excess=excess)


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

    needs = tuple(dict.fromkeys(name for r in (*rules, *secondary) for name in r.needs))
    return Rule(rule, needs, parts=rules, also=secondary)
