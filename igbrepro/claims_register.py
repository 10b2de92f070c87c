"""The committed register: every claim once, in the order of the book.

`expected` is what the claim's rule says at the laptop preset. A run that says otherwise stops the build
(`igbrepro.claims.check_register`); change the entry in a commit that says why.
"""

from __future__ import annotations

from igbrepro.rules import Claim

REGISTER: list[Claim] = []
