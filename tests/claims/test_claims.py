"""Rules on planted numbers whose right answer is known beforehand, and the guard over the committed register."""

import re

import pytest

from igbrepro.claims import (
    CLAIMS,
    Claim,
    Measurement,
    Outcome,
    agrees,
    all_of,
    between,
    check_register,
    exact,
    greater,
    judge,
    register,
)
from igbrepro.claims import judging as claims
from igbrepro.errors import ClaimFailed, ParameterError
from igbrepro.publishing import chapters as sources

YES, CAVEAT, NO, OPEN = Outcome.REPRODUCED, Outcome.CAVEAT, Outcome.NOT_REPRODUCED, Outcome.NOT_RUN


def verdict_of(rule, *measurements):
    return rule({m.name: m for m in measurements})[0]


@pytest.mark.parametrize(
    ("value", "error", "want"),
    [
        (1.03, 0.01, YES),  # 3 standard errors away, 4 allowed
        (1.05, 0.01, NO),
        (0.95, 0.01, NO),
        (1.00, 0.06, OPEN),  # error above 5 % of the expected value
        (9.00, 0.06, OPEN),  # too noisy counts before the distance does
        (1.00, 0.00, YES),
    ],
)
def test_agrees(value, error, want):
    assert verdict_of(agrees("a", max_z=4, resolution=0.05), Measurement("a", value, error, expected=1.0)) is want


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
    [(0.5, 0.1, YES), (0.5, 0.3, OPEN), (0.9, 0.1, OPEN), (1.3, 0.1, NO), (-0.3, 0.1, NO),
     (0.0, None, YES), (1.01, None, NO)],
)  # fmt: skip
def test_between(value, error, want):
    assert verdict_of(between("a", 0.0, 1.0), Measurement("a", value, error)) is want


def test_between_may_be_open_on_one_side_and_says_so():
    outcome, reason = between("a", 0.9, float("inf"))({"a": Measurement("a", 5.0, 0.1)})
    assert outcome is YES and "at least 0.9" in reason
    with pytest.raises(ParameterError, match="low < high"):
        between("a", 1.0, 0.0)


@pytest.mark.parametrize(
    ("a", "b", "want"),
    [((2.0, 0.3), (0.0, 0.4), YES), ((1.4, 0.3), (0.0, 0.4), OPEN), ((0.0, 0.3), (2.0, 0.4), NO),
     ((2.0, None), (1.0, None), YES), ((1.0, None), (1.0, None), NO)],
)  # fmt: skip
def test_greater_needs_three_joint_standard_errors(a, b, want):  # sqrt(0.3^2 + 0.4^2) = 0.5
    assert verdict_of(greater("a", "b"), Measurement("a", *a), Measurement("b", *b)) is want


def test_greater_takes_a_number():
    assert verdict_of(greater("a", 0.5), Measurement("a", 0.6, 0.01)) is YES


def fixed(outcome, word="why"):
    return lambda measurements: (outcome, word)


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


@pytest.fixture
def demo(monkeypatch):
    claim = Claim("demo", "A demonstration", "One is one.", "Section 1", "theory/01", agrees("one"), Outcome.REPRODUCED)
    monkeypatch.setitem(CLAIMS, "demo", claim)
    return claim


def test_judge_fills_the_verdict_from_claim_and_numbers(demo):
    data = {"name": "digits", "fallback": False}
    verdict = judge("demo", [Measurement("one", 1.01, 0.01, expected=1.0)], data=[data])
    assert (verdict.outcome, verdict.rule_outcome, verdict.caveats) == (YES, YES, ())
    assert verdict.statement == demo.statement and "within 4 standard errors" in verdict.reason


@pytest.mark.parametrize(
    "extra", [{"caveats": ["half the width"]}, {"data": [{"name": "fashion-mnist", "fallback": True}]}]
)
def test_caveats_change_the_outcome_but_not_what_the_register_sees(demo, extra):
    verdict = judge("demo", [Measurement("one", 1.01, 0.01, expected=1.0)], **extra)
    assert (verdict.outcome, verdict.rule_outcome) == (CAVEAT, YES) and len(verdict.caveats) == 1
    check_register([verdict])


def test_caveats_do_not_soften_a_failure(demo):
    assert judge("demo", [Measurement("one", 2.0, 0.01, expected=1.0)], caveats=["small"]).outcome is NO


@pytest.mark.parametrize(
    ("claim_id", "names", "message"),
    [
        ("dmeo", ["one"], "'dmeo': no such claim; did you mean demo"),
        ("demo", ["one", "one"], "two measurements are named 'one'"),
        ("demo", ["two"], "claim 'demo': measurement 'one' is missing.*got: 'two'"),
        ("demo", [], "got: none"),
    ],
)
def test_judge_names_the_slip(demo, claim_id, names, message):
    with pytest.raises(ParameterError, match=message):
        judge(claim_id, [Measurement(name, 1.0, 0.01, expected=1.0) for name in names])


def test_changed_verdict_names_claim_both_verdicts_and_the_remedy(demo):
    changed = judge("demo", [Measurement("one", 2.0, 0.01, expected=1.0)])
    with pytest.raises(ClaimFailed) as caught:
        check_register([changed])
    for part in ("'demo'", "theory/01", "was reproduced", "now not reproduced", "claims_register.py", "2.000 ± 0.010"):
        assert part in str(caught.value)


def test_undecided_passes_only_where_the_preset_is_too_small_to_decide(demo):
    noisy = judge("demo", [Measurement("one", 1.0, 0.2, expected=1.0)])
    assert noisy.outcome is OPEN
    check_register([noisy], undecided_ok=True)
    with pytest.raises(ClaimFailed, match="is now not run here"):
        check_register([noisy])


def test_an_unexpected_success_is_a_change_too(demo, monkeypatch):
    gloomy = Claim(**{**demo.__dict__, "expected": Outcome.NOT_REPRODUCED})
    monkeypatch.setitem(CLAIMS, "demo", gloomy)
    with pytest.raises(ClaimFailed, match="was not reproduced, is now reproduced"):
        check_register([judge("demo", [Measurement("one", 1.0, 0.01, expected=1.0)])], undecided_ok=True)


def test_an_id_is_registered_once(demo):
    with pytest.raises(ParameterError, match="'demo' is registered twice"):
        register([demo, demo])


def test_committed_register_is_in_order():
    assert list(claims.CLAIMS) == [claim.id for claim in claims.REGISTER]
    assert all(claim.notebook.count("/") == 1 and claim.id == claim.id.lower() for claim in claims.REGISTER)


def test_every_claim_names_its_notebook_literally():
    """register_digest reads the name from the source; a constant would make every notebook depend on that claim."""
    for path in sources.REGISTERS:
        assert not re.search(r"notebook=(?!\")", path.read_text()), f"{path.name}: write the notebook's name out"
