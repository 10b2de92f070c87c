"""Claims, the measured numbers that judge them, verdicts and records (no torch here)."""

from igbrepro.claims.compared import Comparison, Pair, compare_runs, records_at
from igbrepro.claims.comparisons import (
    closest_rival,
    compare,
    extremes,
    farthest,
    least_precise,
    normal_error,
    over_seeds,
    times,
    worst,
)
from igbrepro.claims.judging import judge, rejudge
from igbrepro.claims.measurement import Measurement, describe_data, format_number, margin
from igbrepro.claims.provenance import provenance
from igbrepro.claims.record import RECORD_SUFFIX, Record, read_records
from igbrepro.claims.refuting import Refuted, Rival
from igbrepro.claims.rules import (
    BESIDE_TOLERANCE,
    NO_LEAD,
    TIGHTENED,
    Claim,
    Decision,
    Rule,
    agrees,
    all_of,
    between,
    exact,
    greater,
)
from igbrepro.claims.shares import common_factor, share_gaps, share_rivals
from igbrepro.claims.verdict import VERDICT_MIME, Outcome, Verdict, notebook_verdicts

__all__ = [
    "BESIDE_TOLERANCE",
    "NO_LEAD",
    "RECORD_SUFFIX",
    "TIGHTENED",
    "VERDICT_MIME",
    "Claim",
    "Comparison",
    "Decision",
    "Measurement",
    "Outcome",
    "Pair",
    "Record",
    "Refuted",
    "Rival",
    "Rule",
    "Verdict",
    "agrees",
    "all_of",
    "between",
    "closest_rival",
    "common_factor",
    "compare",
    "compare_runs",
    "describe_data",
    "exact",
    "extremes",
    "farthest",
    "format_number",
    "greater",
    "judge",
    "least_precise",
    "margin",
    "normal_error",
    "notebook_verdicts",
    "over_seeds",
    "provenance",
    "read_records",
    "records_at",
    "rejudge",
    "share_gaps",
    "share_rivals",
    "times",
    "worst",
]
