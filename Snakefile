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
from igbrepro.publishing.chapters import imported_files, load_preset, needs_digest, notebook_inputs, notebook_path, parameters_key, record_path
from igbrepro.publishing.stage import failure_report, forget_fallbacks, repository_url, time_needed

PRESET = config.get("preset", "laptop")
OUT = Path(config.get("out", f"build/{PRESET}")).as_posix()
NOTEBOOKS = config.get("notebooks", "notebooks")
ENTRIES = load_preset(PRESET, NOTEBOOKS)
EXECUTED = f"{OUT}/src/notebooks"
RAN = [str(notebook_path(name, EXECUTED)) for name in ENTRIES]
RECORDS = [str(record_path(path)) for path in RAN]
CLAIMS = sorted(str(path) for path in Path(NOTEBOOKS).glob("ch*/*") if path.name in ("claims.py", "expected.yml"))
GENERATED = f"{OUT}/src/book/generated"
IGBREPRO = f"PYTHONPATH={workflow.basedir!r} {sys.executable!r} -m igbrepro"
BOOK = sorted(str(path) for path in Path("book").rglob("*") if path.is_file() and path.suffix != ".pyc")

forget_fallbacks(EXECUTED)


def code(*modules):
    """Files of the package that these modules are made of, as inputs of a rule."""
    paths = [Path(workflow.basedir) / "igbrepro" / f"{module}.py" for module in modules]
    return sorted({str(file) for path in paths for file in [path, *imported_files(path)] if file.suffix == ".py"})


def name(wildcards):
    return f"ch{wildcards.number}_{wildcards.stem}"


wildcard_constraints:
    number=r"\d+",
    stem="|".join(re.escape(chapter.partition("_")[2]) for chapter in ENTRIES),


onstart:
    for step in ("register", "pages", "html"):
        Path(OUT, "log", f"{step}.txt").unlink(missing_ok=True)
    print(time_needed(PRESET, ENTRIES, workflow.cores), flush=True)


onerror:
    # At exit, so that these are the last words of the output.
    atexit.register(print, failure_report(OUT, ENTRIES) or "The messages above say what failed.", file=sys.stderr)


rule html:
    input:
        RAN,
        expand(f"{GENERATED}/{{page}}.md", page=["claims", "claims_glance", "figures", "runs"]),
        BOOK,
        code("publishing/stage"),
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
        RECORDS,


rule notebook:
    input:
        lambda wildcards: [str(path) for path in notebook_inputs(name(wildcards), NOTEBOOKS)],
    output:
        notebook=f"{EXECUTED}/ch{{number}}_{{stem}}/{{stem}}.ipynb",
        record=f"{EXECUTED}/ch{{number}}_{{stem}}/{{stem}}.record.json",
    log:
        f"{OUT}/log/ch{{number}}_{{stem}}.ipynb",
    priority: lambda wildcards: ENTRIES[name(wildcards)].minutes  # the longest first, so that no core waits for it
    params:
        parameters=lambda wildcards: parameters_key(ENTRIES[name(wildcards)]),
        claims=lambda wildcards: needs_digest(name(wildcards), NOTEBOOKS),
        versions=[version(package) for package in ("numpy", "scipy", "torch")],
    shell:
        "{IGBREPRO} run ch{wildcards.number}_{wildcards.stem} --preset {PRESET} --notebooks {NOTEBOOKS} --out {EXECUTED} --log {log}"


rule register:
    input:
        rules.executed.input,
        code("publishing/stage"),
        CLAIMS,
    output:
        f"{OUT}/register.txt",
    log:
        f"{OUT}/log/register.txt",
    shell:
        "{IGBREPRO} claims --check --records {EXECUTED} > {output} 2> {log}"


rule pages:
    input:
        rules.executed.input,
        code("publishing/pages"),
        CLAIMS,
    output:
        expand(f"{GENERATED}/{{page}}.md", page=["claims", "claims_glance", "figures", "runs"]),
    log:
        f"{OUT}/log/pages.txt",
    params:
        notebooks=list(ENTRIES),
    shell:
        "{IGBREPRO} pages --out {OUT} {params.notebooks} > {log} 2>&1"
