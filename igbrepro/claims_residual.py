"""Claims on residual networks that are trained (chapters 13 and 14); see claims_register.py."""

from __future__ import annotations

from igbrepro.rules import Claim

RESIDUAL: list[Claim] = []
