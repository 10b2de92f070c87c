"""What every chapter's claims.py, expected.yml and notebook owe each other."""

import ast
import importlib
import json
from types import ModuleType

import pytest

from igbrepro.claims import Claim, rules
from igbrepro.publishing import chapter_names, load_claims, load_expected, load_register, notebook_path


def code_of(name: str) -> list[ast.Module]:
    """The code cells of a chapter's notebook, without magics."""
    cells = json.loads(notebook_path(name).read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    kept = ("\n".join(line for line in s.splitlines() if not line.lstrip().startswith(("%", "!"))) for s in sources)
    return [ast.parse(source) for source in kept]


def names_used(name: str) -> set[str]:
    """X of every claims.X in the notebook."""
    nodes = (node for cell in code_of(name) for node in ast.walk(cell))
    return {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "claims"
    }


def test_claims_have_ids_of_their_own():
    register = load_register()
    assert sum(map(len, register.values())) > 100
    assert all(claim_id == claim_id.lower() for claims in register.values() for claim_id in claims)


@pytest.mark.parametrize("name", chapter_names())
def test_each_claim_has_its_committed_verdict_in_the_order_of_the_claims(name):
    assert list(load_expected(name)) == [one for one, claim in load_claims(name).items() if not claim.rule.local]


def names_of_measurements(module: ModuleType) -> set[str]:
    """The constants and functions of a claims.py that name measurements."""
    public = {key: value for key, value in vars(module).items() if not key.startswith("_")}
    own = {key for key, value in public.items() if getattr(value, "__module__", None) == module.__name__}
    return own | {key for key, value in public.items() if isinstance(value, str) and not hasattr(rules, key)}


@pytest.mark.parametrize("name", chapter_names())
def test_the_notebook_judges_every_claim_and_takes_all_names_from_claims(name):
    """A name that changes in claims.py then changes in the notebook too, or fails at once."""
    module, used = importlib.import_module(f"notebooks.{name}.claims"), names_used(name)
    assert not [attribute for attribute in used if not hasattr(module, attribute)]
    families = {key: value.values() for key, value in vars(module).items() if isinstance(value, dict)}
    claims = {key for key, value in vars(module).items() if isinstance(value, Claim)}
    claims |= {key for key, values in families.items() if all(isinstance(value, Claim) for value in values)}
    assert claims | names_of_measurements(module) <= used


def plain_strings(name: str) -> set[str]:
    """Strings in the code of a notebook that are no labels of axes."""
    nodes = [node for cell in code_of(name) for node in ast.walk(cell)]
    labels = {id(node.value) for node in nodes if isinstance(node, ast.keyword) and node.arg in ("xlabel", "ylabel")}
    constants = (node for node in nodes if isinstance(node, ast.Constant) and id(node) not in labels)
    return {node.value for node in constants if isinstance(node.value, str)}


@pytest.mark.parametrize("name", chapter_names())
def test_no_cell_spells_the_name_of_a_measurement_that_a_rule_needs(name):
    needs = {need for claim in load_claims(name).values() for need in claim.rule.needs}
    assert not needs & plain_strings(name)
