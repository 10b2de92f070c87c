"""The book from its notebooks:  snakemake --cores all [--config preset=laptop] [TARGET]

Steps: notebook -> executed notebook and record -> register of claims, generated pages -> html.
Options after --config: preset (smoke, laptop, paper), out (default build/<preset>), notebooks (default notebooks).
Targets: html (default), executed, or one executed notebook.  On a cluster add --executor slurm or another plugin.
"""

import atexit
import re
import sys
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, workflow.basedir)
from igbrepro.sources import imported_files, load_preset, notebook_inputs, parameters_key, register_digest
from igbrepro.staging import failure_report, forget_fallbacks, repository_url, time_needed

PRESET = config.get("preset", "laptop")
OUT = Path(config.get("out", f"build/{PRESET}")).as_posix()
NOTEBOOKS = config.get("notebooks", "notebooks")
ENTRIES = load_preset(PRESET, NOTEBOOKS)
EXECUTED = f"{OUT}/src/notebooks"
GENERATED = f"{OUT}/src/book/generated"
IGBREPRO = f"PYTHONPATH={workflow.basedir!r} {sys.executable!r} -m igbrepro"
BOOK = sorted(str(path) for path in Path("book").rglob("*") if path.is_file() and path.suffix != ".pyc")

forget_fallbacks(EXECUTED)


def code(*modules):
    """Files of the package that these modules are made of, as inputs of a rule."""
    paths = [Path(workflow.basedir) / "igbrepro" / f"{module}.py" for module in modules]
    return sorted({str(file) for path in paths for file in [path, *imported_files(path)] if file.suffix == ".py"})


wildcard_constraints:
    name="|".join(map(re.escape, ENTRIES)) or "none",


onstart:
    for step in ("register", "pages", "html"):
        Path(OUT, "log", f"{step}.txt").unlink(missing_ok=True)
    print(time_needed(PRESET, ENTRIES, workflow.cores), flush=True)


onerror:
    # At exit, so that these are the last words of the output.
    atexit.register(print, failure_report(OUT, ENTRIES) or "The messages above say what failed.", file=sys.stderr)


rule html:
    input:
        expand(f"{EXECUTED}/{{name}}.ipynb", name=ENTRIES),
        expand(f"{GENERATED}/{{page}}.md", page=["claims", "claims_glance", "figures", "runs"]),
        BOOK,
        code("staging"),
        [f"{OUT}/register.txt"] if PRESET == "laptop" else [],
    output:
        f"{OUT}/html/index.html",
    log:
        f"{OUT}/log/html.txt",
    params:
        repository=repository_url(),
    shell:
        "{IGBREPRO} html --out {OUT} > {log} 2>&1"


rule executed:
    input:
        expand(f"{EXECUTED}/{{name}}.record.json", name=ENTRIES),


rule notebook:
    input:
        lambda wildcards: [str(path) for path in notebook_inputs(wildcards.name, NOTEBOOKS)],
    output:
        notebook=f"{EXECUTED}/{{name}}.ipynb",
        record=f"{EXECUTED}/{{name}}.record.json",
    log:
        f"{OUT}/log/{{name}}.ipynb",
    priority: lambda wildcards: ENTRIES[wildcards.name].minutes  # the longest first, so that no core waits for it
    params:
        parameters=lambda wildcards: parameters_key(ENTRIES[wildcards.name]),
        claims=lambda wildcards: register_digest(wildcards.name),
        versions=[version(package) for package in ("numpy", "scipy", "torch")],
    shell:
        "{IGBREPRO} run {wildcards.name} --preset {PRESET} --notebooks {NOTEBOOKS} --out {EXECUTED} --log {log}"


rule register:
    input:
        rules.executed.input,
        code("claims"),
    output:
        f"{OUT}/register.txt",
    log:
        f"{OUT}/log/register.txt",
    shell:
        "{IGBREPRO} claims --check --records {EXECUTED} > {output} 2> {log}"


rule pages:
    input:
        rules.executed.input,
        code("pages", "staging"),
    output:
        expand(f"{GENERATED}/{{page}}.md", page=["claims", "claims_glance", "figures", "runs"]),
    log:
        f"{OUT}/log/pages.txt",
    params:
        notebooks=list(ENTRIES),
    shell:
        "{IGBREPRO} pages --out {OUT} {params.notebooks} > {log} 2>&1"
