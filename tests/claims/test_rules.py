"""Rules on planted numbers whose right answer is known beforehand; a claim judged, and judged anew."""

import re
from dataclasses import replace

import pytest

from igbrepro.claims import (
    Claim,
    Measurement,
    Outcome,
    Rule,
    Verdict,
    agrees,
    all_of,
    between,
    exact,
    greater,
    judge,
    rejudge,
)
from igbrepro.errors import ParameterError

YES, CAVEAT, NO, OPEN = Outcome.REPRODUCED, Outcome.CAVEAT, Outcome.NOT_REPRODUCED, Outcome.UNDECIDED


def verdict_of(rule, *measurements):
    return rule({m.name: m for m in measurements})[0]


@pytest.mark.parametrize(
    ("value", "error", "want"),
    [
        (1.03, 0.01, YES),  # 3 standard errors away, 4 allowed
        (1.05, 0.01, NO),
        (0.95, 0.01, NO),
        (1.00, 0.06, OPEN),  # error above 5 % of the expected value
        (1.28, 0.06, OPEN),  # four errors and the 0.05 that it is too noisy for
        (1.30, 0.06, NO),
        (3.00, 0.06, NO),  # 33 standard errors away
        (3.00, 0.60, OPEN),
        (1.00, 0.00, YES),
    ],
)
def test_agrees(value, error, want):
    assert verdict_of(agrees("a", max_z=4, resolution=0.05), Measurement("a", value, error, expected=1.0)) is want


def test_agrees_allows_for_the_number_of_repeats():
    """Four standard errors of a normal law are 33 of Student's t for four repeats."""
    rule = agrees("a", max_z=4, resolution=0.12)
    far = Measurement("a", 1.1, 0.01, expected=1.0)
    assert verdict_of(rule, far) is NO and verdict_of(rule, replace(far, n=4)) is YES
    assert verdict_of(rule, replace(far, value=1.35, n=4)) is NO
    assert verdict_of(rule, replace(far, value=1.0, std_error=0.05, n=4)) is OPEN  # 33 x 0.05 > 4 x 0.12


@pytest.mark.parametrize(("value", "want"), [(-1.03, YES), (-1.05, NO)])
def test_agrees_with_a_negative_expected_value(value, want):
    assert verdict_of(agrees("a"), Measurement("a", value, 0.01, expected=-1.0)) is want


@pytest.mark.parametrize(("value", "want"), [(1.059, YES), (1.061, NO)])
def test_slack_is_granted_on_top_of_the_noise(value, want):
    rule = agrees("a", max_z=4, resolution=0.05, slack=0.02)  # 4 x 0.01 + 0.02
    assert verdict_of(rule, Measurement("a", value, 0.01, expected=1.0)) is want


def test_agrees_needs_a_unit_where_zero_is_expected():
    zero = Measurement("a", 0.01, 0.01, expected=0.0)
    with pytest.raises(ParameterError, match="scale="):
        verdict_of(agrees("a"), zero)
    assert verdict_of(agrees("a", scale=1.0), zero) is YES
    assert verdict_of(agrees("a", scale=0.1), zero) is OPEN


@pytest.mark.parametrize("missing", [{"std_error": 0.1}, {"expected": 1.0}])
def test_agrees_says_which_number_it_lacks(missing):
    with pytest.raises(ParameterError, match=r"'a' has (expected|std_error)=None"):
        verdict_of(agrees("a"), Measurement("a", 1.0, **missing))


@pytest.mark.parametrize(("value", "want"), [(2.0 + 1e-9, YES), (2.0 + 3e-9, NO), (2.0 - 3e-9, NO)])
def test_exact(value, want):
    assert verdict_of(exact("a", 1e-9), Measurement("a", value, expected=2.0)) is want


def test_exact_at_zero_uses_the_absolute_tolerance():
    m = Measurement("a", 1e-13, expected=0.0)
    assert verdict_of(exact("a", 1e-9), m) is NO
    assert verdict_of(exact("a", 1e-9, atol=1e-12), m) is YES


@pytest.mark.parametrize(
    ("value", "error", "want"),
    [
        (0.5, 0.1, YES),
        (0.5, 0.3, OPEN),
        (0.9, 0.1, OPEN),
        (1.3, 0.1, NO),
        (-0.3, 0.1, NO),
        (0.0, None, YES),
        (1.01, None, NO),
    ],
)
def test_between(value, error, want):
    assert verdict_of(between("a", 0.0, 1.0), Measurement("a", value, error)) is want


def test_between_may_be_open_on_one_side_and_says_so():
    outcome, reason = between("a", 0.9, float("inf"))({"a": Measurement("a", 5.0, 0.1)})
    assert outcome is YES and "at least 0.9" in reason
    with pytest.raises(ParameterError, match="low < high"):
        between("a", 1.0, 0.0)


@pytest.mark.parametrize(
    ("a", "b", "want"),
    [
        ((2.0, 0.3), (0.0, 0.4), YES),
        ((1.4, 0.3), (0.0, 0.4), OPEN),
        ((0.0, 0.3), (2.0, 0.4), NO),
        ((2.0, None), (1.0, None), YES),
        ((1.0, None), (1.0, None), NO),
    ],
)
def test_greater_needs_three_joint_standard_errors(a, b, want):  # sqrt(0.3^2 + 0.4^2) = 0.5
    assert verdict_of(greater("a", "b"), Measurement("a", *a), Measurement("b", *b)) is want


def test_greater_takes_a_number():
    assert verdict_of(greater("a", 0.5), Measurement("a", 0.6, 0.01)) is YES


@pytest.mark.parametrize(
    ("value", "error", "want"),
    [(0.005, 0.004, NO), (0.008, 0.006, OPEN), (0.015, 0.004, YES), (-0.001, 0.009, NO), (-0.001, 0.012, OPEN)],
)
def test_a_lead_that_is_surely_too_small_to_matter_is_none(value, error, want):
    """Paired t intervals of 20 seeds, by hand: the limit at two sided 4.55 % is 2.14."""
    m = Measurement("a", value, error, n=20)
    assert verdict_of(greater("a", 0.0, z=2, matters=0.02), m) is want
    without = verdict_of(greater("a", 0.0, z=2), m)
    assert without is (YES if want is YES else OPEN)


def test_what_would_decide_and_refute_knows_the_lead_that_matters():
    rule = greater("a", 0.0, z=2, matters=0.02)
    m = Measurement("a", 0.002, 0.01, n=20)
    assert "decide against" in rule({"a": m})[1] and "feasible" not in rule({"a": m})[1]
    assert "feasible" in greater("a", 0.0, z=2)({"a": replace(m, value=1e-5)})[1]
    decided = {"a": replace(m, std_error=0.001)}
    limit = float(re.search(r"of ([\d.]+) or less", rule.refutes(decided))[1])
    at = {way: rule({"a": replace(decided["a"], value=limit + way)})[0] for way in (-1e-4, 1e-4)}
    assert at == {-1e-4: NO, 1e-4: YES}
    with pytest.raises(ParameterError, match="matters=-1"):
        greater("a", 0.0, matters=-1)


def test_runs_that_do_not_differ_are_no_evidence_that_nothing_matters():
    assert verdict_of(greater("a", 0.0, matters=0.1), Measurement("a", 0.0, 0.0)) is OPEN


def test_a_lower_bound_can_show_a_lead_but_not_that_there_is_none():
    m = Measurement("a", 0.005, 0.004, n=20)
    assert verdict_of(greater("a", 0.0, z=2, matters=0.02), m) is NO
    assert verdict_of(greater("a", 0.0, z=2, matters=0.02), replace(m, at_least=True)) is OPEN
    assert verdict_of(greater("a", 0.0, z=2, matters=0.02), replace(m, value=0.015, at_least=True)) is YES


def fixed(outcome, word="why"):
    return Rule(lambda measurements: (outcome, word), needs=())


@pytest.mark.parametrize(
    ("main", "also", "want"),
    [
        ([YES, YES], [], YES),
        ([YES, OPEN], [], OPEN),
        ([OPEN, NO], [], NO),
        ([YES], [NO], CAVEAT),
        ([YES], [OPEN], YES),
        ([NO], [NO], NO),
        ([OPEN], [NO], OPEN),
        ([YES, CAVEAT], [], CAVEAT),
    ],
)
def test_all_of(main, also, want):
    assert verdict_of(all_of(*map(fixed, main), also=map(fixed, also))) is want


def test_all_of_reports_the_rules_that_decided():
    outcome, reason = all_of(fixed(YES, "fine"), fixed(NO, "broken"))({})
    assert (outcome, reason) == (NO, "broken")
    assert all_of(fixed(YES, "fine"), also=fixed(NO, "slow"))({}) == (CAVEAT, "fine; but slow")
    with pytest.raises(ParameterError, match="at least one"):
        all_of()


def test_rules_name_the_measurements_they_need():
    rule = all_of(greater("a", "b"), exact("c", 1e-9), also=[greater("a", 0.0), agrees("d"), between("e", 0, 1)])
    assert rule.needs == ("a", "b", "c", "d", "e")


DEMO = Claim("demo", "A demonstration", "One is one.", "Section 1", agrees("one"))


def one(value, error=0.01):
    return Measurement("one", value, error, expected=1.0)


def test_judge_fills_the_verdict_from_claim_and_numbers():
    data = {"name": "digits", "fallback": False}
    verdict = judge(DEMO, [one(1.01)], data=[data])
    assert (verdict.outcome, verdict.rule_outcome, verdict.caveats) == (YES, YES, ())
    assert verdict.statement == DEMO.statement and "within 4 standard errors" in verdict.reason


@pytest.mark.parametrize(
    "extra", [{"caveats": ["half the width"]}, {"data": [{"name": "fashion-mnist", "fallback": True}]}]
)
def test_caveats_change_the_outcome_but_not_what_the_rule_says(extra):
    verdict = judge(DEMO, [one(1.01)], **extra)
    assert (verdict.outcome, verdict.rule_outcome) == (CAVEAT, YES) and len(verdict.caveats) == 1


def test_caveats_do_not_soften_a_failure():
    assert judge(DEMO, [one(2.0)], caveats=["small"]).outcome is NO


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["one", "one"], "two measurements are named 'one'"),
        (["two"], "claim 'demo': measurement 'one' is missing.*got: 'two'"),
        ([], "got: none"),
    ],
)
def test_judge_names_the_slip(names, message):
    with pytest.raises(ParameterError, match=message):
        judge(DEMO, [Measurement(name, 1.0, 0.01, expected=1.0) for name in names])


@pytest.mark.parametrize("claim", ["demo", None, agrees("one")])
def test_judge_takes_the_claim_itself(claim):
    with pytest.raises(ParameterError, match=r"need a Claim, such as claims\."):
        judge(claim, [one(1.0)])


@pytest.mark.parametrize("claimed", ["not run here", "undecided"])
def test_a_record_made_before_undecided_had_a_name_is_judged_anew(claimed):
    raw = judge(DEMO, [one(1.0, 0.2)]).to_dict() | {"outcome": claimed, "rule_outcome": claimed}
    for m in raw["measurements"]:  # fields that came later
        del m["n"], m["floor"]
    new = rejudge(Verdict.from_dict(raw), DEMO)
    assert (new.outcome, new.rule_outcome) == (OPEN, OPEN)
    assert "about 16 times as many seeds or networks as now would decide" in new.reason  # (0.2 / 0.05)^2


def test_rejudging_applies_the_rule_and_the_words_of_today_to_the_numbers_of_then():
    old = replace(judge(DEMO, [one(1.03)], caveats=["small"]), chapter="ch01_one")
    stricter = replace(DEMO, title="Another title", rule=agrees("one", max_z=2))
    new = rejudge(old, stricter)
    assert (new.outcome, new.title, new.chapter) == (NO, "Another title", "ch01_one")
    assert (new.measurements, new.caveats) == (old.measurements, old.caveats)
    with pytest.raises(ParameterError, match="measurement 'two' is missing"):
        rejudge(old, replace(DEMO, rule=agrees("two")))


@pytest.mark.parametrize("field", ["id", "title", "statement", "source"])
def test_a_claim_has_words_and_no_tex(field):
    for text in ("", "$\\chi$"):
        with pytest.raises(ParameterError, match=field):
            replace(DEMO, **{field: text})
