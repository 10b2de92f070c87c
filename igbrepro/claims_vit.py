"""Claims on vision transformers (chapters 15 and 16); see claims_register.py."""

from __future__ import annotations

from igbrepro.rules import Claim

VIT: list[Claim] = []
