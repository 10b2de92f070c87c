"""Random initialisation of any network, and the head that goes with it."""

from igbrepro.initialization.gains import as_activation, edge_of_chaos, residual_factors, unit_moments
from igbrepro.initialization.head_bias import center_head_, start_at_prior_
from igbrepro.initialization.initialize import TRACED, check_init, initialize_, seeded_by
from igbrepro.initialization.spec import InitSpec

__all__ = [
    "InitSpec",
    "TRACED",
    "as_activation",
    "center_head_",
    "check_init",
    "edge_of_chaos",
    "initialize_",
    "residual_factors",
    "seeded_by",
    "start_at_prior_",
    "unit_moments",
]
