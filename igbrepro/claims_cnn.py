"""Claims on plain convolutional networks (chapter 11); see claims_register.py."""

from __future__ import annotations

from igbrepro.rules import Claim

CNN: list[Claim] = []
