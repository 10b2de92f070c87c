"""Claims on the start of networks with many classes (chapter 17); see claims_register.py."""

from __future__ import annotations

from igbrepro.rules import Claim

START: list[Claim] = []
