"""Claims on pooling in convolutional networks (chapter 12); see claims_register.py."""

from __future__ import annotations

from igbrepro.rules import Claim

CNN_POOLING: list[Claim] = []
