"""What numbers would have refuted: factors worked out by hand, rivals planted, and every rule of the register."""

import json
import math
from dataclasses import replace

import pytest

from igbrepro.claims import (
    Claim,
    Measurement,
    Outcome,
    Rival,
    Rule,
    Verdict,
    agrees,
    all_of,
    between,
    exact,
    farthest,
    greater,
    judge,
    rejudge,
    times,
)
from igbrepro.claims.refuting import smallest_factor
from igbrepro.errors import ParameterError
from igbrepro.publishing import load_register

YES, CAVEAT, NO, OPEN = Outcome.REPRODUCED, Outcome.CAVEAT, Outcome.NOT_REPRODUCED, Outcome.UNDECIDED


def told(rule, *measurements):
    return rule.refutes({m.name: m for m in measurements})


@pytest.mark.parametrize(
    ("rule", "m", "words"),
    [
        # 1 / 1.0417 = 0.96 is four errors below; upwards 1.04 would do
        (agrees("a"), Measurement("a", 1.0, 0.01, 1.0), "an expected value 4.2 % larger or smaller"),
        # (f - 1) > 4 x 0.01 + 0.1 f gives 1.1556, 1 - 1/f > 0.04 + 0.1/f gives 1.1458
        (agrees("a", slack=0.1), Measurement("a", 1.0, 0.01, 1.0), "16 % larger or smaller"),
        (agrees("a"), Measurement("a", 1.0, 0.2, 1.0), "times as large or as small"),  # 1 - 1/f > 0.8 + 0.05/f: 5.25
        (agrees("a"), Measurement("a", 1.0, 0.4, 1.0), "no other expected value"),
        (agrees("a", scale=2.0), Measurement("a", 0.01, 0.01, 0.0), "a: an expected value of ± 0.05 in place of 0"),
        (exact("a", 1e-3), Measurement("a", 2.0, expected=2.0), "an expected value 0.1 % larger or smaller"),
        (exact("a", 0.0), Measurement("a", 4.0, expected=4.0), "any other expected value"),
        (exact("a", 0.0, atol=1e-6), Measurement("a", 0.0, expected=0.0), "± 1 × 10⁻⁶ in place of 0"),
        (between("a", -1.0, 2.0), Measurement("a", 0.0, 0.1), "a above 2.2 or below −1.2"),
        (between("a", -math.inf, 2.0), Measurement("a", 0.0, 0.1), "a above 2.2"),
        (greater("a", 0.0), Measurement("a", 1.0, 0.1), "a of −0.3 or less"),
        (greater("a", "b"), Measurement("a", 1.0, 0.3), "a − b of −1.5 or less"),
    ],
)
def test_what_would_have_been_refuted_is_what_one_works_out_by_hand(rule, m, words):
    assert words in told(rule, m, Measurement("b", 0.0, 0.4))


def test_the_factor_is_the_one_at_which_the_rule_turns():
    rule, m = agrees("a", slack=0.1), Measurement("a", 1.03, 0.01, 1.0)
    factor = rule.would_refute({"a": m}).factor
    for other, both in ((factor * 1.0001, True), (1 + (factor - 1) * 0.999, False)):
        outcomes = [rule({"a": replace(m, expected=e)})[0] is NO for e in (other, 1 / other)]
        assert all(outcomes) is both


def test_of_many_parts_the_weakest_is_named_and_every_bound():
    rule = all_of(agrees("sharp"), agrees("vague"), greater("lead", 0.0), also=agrees("minor"))
    m = [Measurement("sharp", 1.0, 0.001, 1.0), Measurement("vague", 1.0, 0.02, 1.0), Measurement("lead", 1.0, 0.1)]
    found = told(rule, *m, Measurement("minor", 1.0, 0.04, 1.0))
    assert found == "an expected value 8.7 % larger or smaller (least of all in: vague); lead of −0.3 or less"


def test_a_search_that_finds_nothing_says_so():
    assert smallest_factor(lambda factor: False) == math.inf
    assert smallest_factor(lambda factor: factor > 3) == pytest.approx(3)


LAW = Claim("law", "A law", "Theory holds.", "Section 1", all_of(agrees(farthest(), resolution=0.12), agrees("b")))
ROWS = [Measurement(farthest(), 1.0, 0.1, 1.0), Measurement("b", 1.0, 0.01, 1.0)]


def test_a_rival_that_the_numbers_cannot_refute_is_a_caveat():
    weak, strong = Rival("γ 1.3 times as large", times(1.3, ROWS[:1])), Rival("γ twice as large", times(2, ROWS))
    verdict = judge(LAW, ROWS, rivals=[weak, strong])
    assert (verdict.rule_outcome, verdict.outcome) == (CAVEAT, CAVEAT)
    assert [rival.refuted for rival in verdict.rivals] == [False, True]
    assert "do not refute γ 1.3 times as large" in verdict.reason
    assert verdict.refuted.startswith("Refuted: γ twice as large. Would have been refuted: an expected value")
    assert judge(LAW, ROWS, rivals=[strong]).outcome is YES


def test_rivals_change_nothing_about_a_claim_that_fails():
    wrong = [replace(ROWS[0], value=3.0), ROWS[1]]
    verdict = judge(LAW, wrong, rivals=[Rival("three times", times(3, wrong[:1]))])
    assert verdict.outcome is NO and verdict.refuted == "" and verdict.rivals[0].refuted is False


def test_a_rival_about_what_no_rule_reads_is_a_slip():
    with pytest.raises(ParameterError, match=r"rival 'other' changes c, none of which"):
        judge(LAW, ROWS, rivals=[Rival("other", [Measurement("c", 1.0, 0.1, 2.0)])])
    with pytest.raises(ParameterError, match="words"):
        Rival("", ROWS)


def test_rivals_are_kept_shown_and_judged_anew():
    revised = replace(LAW, revised="sharper now")
    verdict = judge(revised, ROWS, rivals=[Rival("γ twice as large", times(2, ROWS))])
    again = Verdict.from_dict(json.loads(json.dumps(verdict.to_dict())))
    assert again == verdict and rejudge(again, revised) == verdict
    assert "Refuted: γ twice as large." in verdict.to_html() and "Exploratory: sharper now." in verdict.to_html()
    assert "Would have been refuted" in str(verdict)
    loose = replace(LAW, rule=all_of(agrees(farthest(), resolution=0.12), between("b", 0, 3)))
    assert rejudge(replace(verdict, rivals=[Rival("n", times(1.2, ROWS))]), loose).outcome is CAVEAT


def test_a_rule_that_half_as_much_again_would_pass_is_refused():
    with pytest.raises(ParameterError, match=r"resolution=0\.25.*a value off by 1\.1 of the expected one would pass"):
        agrees("a", 4.2, 0.25, slack=0.05)


def planted(rule: Rule, name: str, value: float, error: float | None) -> Outcome:
    """What a rule says where one of its measurements is this and all others are 0 and exact."""
    others = {need: Measurement(need, 0.0, 0.0, 1.0) for need in rule.needs}
    return rule({**others, name: Measurement(name, value, error, 1.0)})[0]


ELEMENTS = [
    pytest.param(element, id=f"{claim.id}: {element.needs[0]}")
    for claims in load_register().values()
    for claim in claims.values()
    if not claim.rule.local
    for element in claim.rule.elements
]


@pytest.mark.parametrize("rule", ELEMENTS)
def test_every_rule_can_be_refuted_with_the_errors_that_it_allows(rule):
    """Of the errors with which some value passes the largest is tried: another value must then fail."""
    name = rule.needs[0]
    values = [
        *(sign * 10.0**k for k in (-9, -3, 0, 3) for sign in (-1, 1)),
        *(k / 20 for k in range(-30, 81)),
        8,
        16,
        32,
        64,
        128,
    ]
    for error in (*(4.0**k for k in range(3, -7, -1)), 0.0, None):
        if any(planted(rule, name, value, error) is YES for value in values):
            assert any(planted(rule, name, value, error) is NO for value in values), error
            break
    else:
        pytest.fail("nothing passes")
