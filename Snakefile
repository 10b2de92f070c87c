"""The book from its notebooks:  snakemake --cores all [--config preset=laptop] [TARGET]

Steps: notebook -> executed notebook and record -> verdicts compared with the committed ones, pages -> html.
Options after --config: preset (smoke, laptop, study, paper), out (default build/<preset>), notebooks (default notebooks),
evidence (on or off; default: on for study and paper): whether shipped runs are read, or all are computed anew,
least (default 30): a chapter whose runs take fewer seconds than this together computes them in its notebook.
Targets: html (default), executed, or one executed notebook.  On Slurm add --profile profiles/slurm.
A notebook runs again when it, a parameter, the code it imports or a measurement that its claims need has changed; words
run nothing, and changed rules, or code of `igbrepro/claims` that makes no numbers, are applied to the stored
measurements.  Reading this file writes nothing.
"""

import atexit
import os
import re
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from snakemake.logging import logger

sys.path.insert(0, workflow.basedir)
from igbrepro.data import remembering
from igbrepro.publishing.chapters import load_preset, notebook_path, parameters_key, record_path
from igbrepro.publishing.dependencies import code_digest, module_digest, needs_digest, notebook_inputs
from igbrepro.publishing.progress import planned
from igbrepro.publishing.resources import resources, resources_of
from igbrepro.publishing.stage import failure_report, records_to_remake, repository_url, set_aside, time_needed
from igbrepro.publishing.sweeps import chapter_jobs
from igbrepro.runs import RESULTS, default_store

PRESET = config.get("preset", "study")
OUT = Path(config.get("out", f"build/{PRESET}")).as_posix()
NOTEBOOKS = config.get("notebooks", "notebooks")
ENTRIES = load_preset(PRESET, NOTEBOOKS)
EXECUTED = f"{OUT}/executed"
RECORDS = [str(record_path(notebook_path(name, EXECUTED))) for name in ENTRIES]
STAGED = [str(notebook_path(name, f"{OUT}/src/notebooks")) for name in ENTRIES]
CLAIMS, EXPECTED = (sorted(map(str, Path(NOTEBOOKS).glob(f"ch*/{file}"))) for file in ("claims.py", "expected.yml"))
ABSTRACT = Path(NOTEBOOKS).parent / "book" / "abstract.yml"
AGAIN = set(records_to_remake(EXECUTED))
GENERATED = expand(f"{OUT}/src/book/generated/{{page}}.md", page=["abstract", "claims", "costs", "figures", "runs"])
EVIDENCE = str(config.get("evidence", "on" if PRESET in ("study", "paper") else "off")).lower()
EVIDENCE = {"true": "on", "false": "off"}.get(EVIDENCE, EVIDENCE)  # as YAML reads on and off
os.environ["IGBREPRO_EVIDENCE"] = EVIDENCE
with remembering():
    JOBS = {name: {job.key: job for job in chapter_jobs(name, PRESET, default_store(), NOTEBOOKS)} for name in ENTRIES}
LEAST = float(config.get("least", 30)) / 60
JOBS = {name: jobs if sum(job.minutes for job in jobs.values()) >= LEAST else {} for name, jobs in JOBS.items()}
SHIPPED = {
    name: [str(path) for path in [RESULTS / f"{name}.parquet"] if EVIDENCE == "on" and path.is_file()] for name in ENTRIES
}
IGBREPRO = f"IGBREPRO_EVIDENCE={EVIDENCE} PYTHONPATH={workflow.basedir!r} {sys.executable!r} -m igbrepro"
BOOK = sorted(str(path) for path in Path("book").rglob("*") if path.is_file() and path.suffix != ".pyc")
PACKAGE = sorted(map(str, Path(workflow.basedir, "igbrepro").rglob("*.py")))  # its docstrings are the API pages


def made(record):
    """How often this record was set aside, with the time that is due: stays the same once it is made again."""
    return f"set aside {len(list(Path(record).parent.glob(f'{Path(record).name}.*'))) + (Path(record) in AGAIN)} times"


def name(wildcards):
    return f"ch{wildcards.number}_{wildcards.stem}"


wildcard_constraints:
    number=r"\d+",
    stem="|".join(re.escape(chapter.partition("_")[2]) for chapter in ENTRIES),
    job=r"[0-9a-f]{12}",


onstart:
    for step in ("register", "pages", "html"):
        Path(OUT, "log", f"{step}.txt").unlink(missing_ok=True)
    for line in set_aside(AGAIN):
        print(line, file=sys.stderr, flush=True)
    training = sum(job.minutes for found in JOBS.values() for job in found.values())
    at_once = workflow.resource_settings.cores or workflow.resource_settings.nodes  # of a cluster: so many jobs
    print(time_needed(PRESET, ENTRIES, at_once, training), flush=True)
    logger.info(None, extra={"plan": planned(workflow.dag)})  # for the display of progress


onerror:
    # At exit, so that these are the last words of the output.
    atexit.register(print, failure_report(OUT, ENTRIES) or "The messages above say what failed.", file=sys.stderr)


rule html:
    input:
        STAGED,
        GENERATED,
        BOOK,
        PACKAGE,
        [f"{OUT}/register.txt"] if PRESET == "study" else [],
    output:
        f"{OUT}/html/index.html",
    log:
        f"{OUT}/log/html.txt",
    message:
        "build the html of the book"
    params:
        code=module_digest("publishing.stage"),
        repository=repository_url(),
    threads: 1
    resources:
        **resources(minutes=5),
    shell:
        "{IGBREPRO} html --out {OUT} > {log} 2>&1"


rule executed:
    input:
        RECORDS,
    message:
        "all notebooks are executed"


rule notebook:
    input:
        lambda wildcards: [str(path) for path in notebook_inputs(name(wildcards), NOTEBOOKS)],
        lambda wildcards: SHIPPED[name(wildcards)],
        lambda wildcards: [f"{OUT}/trained/{name(wildcards)}/{job}" for job in JOBS[name(wildcards)]],
    output:
        notebook=f"{EXECUTED}/ch{{number}}_{{stem}}/{{stem}}.ipynb",
        record=f"{EXECUTED}/ch{{number}}_{{stem}}/{{stem}}.record.json",
    log:
        f"{OUT}/log/ch{{number}}_{{stem}}.ipynb",
    message:
        "run the notebook of ch{wildcards.number}_{wildcards.stem}"
    priority: lambda wildcards: ENTRIES[name(wildcards)].minutes  # the longest first, so that no core waits for it
    params:
        parameters=lambda wildcards: parameters_key(ENTRIES[name(wildcards)]),
        code=lambda wildcards: code_digest(name(wildcards), NOTEBOOKS),
        claims=lambda wildcards: needs_digest(name(wildcards), NOTEBOOKS),
        again=lambda wildcards: made(record_path(notebook_path(name(wildcards), EXECUTED))),
        versions=[version(package) for package in ("numpy", "scipy", "torch")],
    threads: 1
    resources:
        **resources_of(lambda wildcards: ENTRIES[name(wildcards)]),
    shell:
        "{IGBREPRO} run ch{wildcards.number}_{wildcards.stem} --preset {PRESET} --notebooks {NOTEBOOKS} --out {EXECUTED} --log {log}"


rule training:
    output:
        touch(f"{OUT}/trained/ch{{number}}_{{stem}}/{{job}}"),
    log:
        f"{OUT}/log/trained/ch{{number}}_{{stem}}-{{job}}.txt",
    message:
        "train runs of ch{wildcards.number}_{wildcards.stem}, job {wildcards.job}"
    priority: 10_000  # before all notebooks, which wait for runs
    params:
        minutes=lambda wildcards: JOBS[name(wildcards)][wildcards.job].minutes,
        runs=lambda wildcards: len(JOBS[name(wildcards)][wildcards.job].runs),
    threads: 1
    resources:
        **resources_of(
            lambda wildcards: replace(ENTRIES[name(wildcards)], minutes=JOBS[name(wildcards)][wildcards.job].minutes)
        ),
    shell:
        "OMP_NUM_THREADS={threads} {IGBREPRO} runs compute ch{wildcards.number}_{wildcards.stem} --preset {PRESET} "
        "--job {wildcards.job} --notebooks {NOTEBOOKS} > {log} 2>&1"


rule register:
    input:
        RECORDS,
        CLAIMS,
        EXPECTED,
    output:
        f"{OUT}/register.txt",
    log:
        f"{OUT}/log/register.txt",
    message:
        "compare the verdicts with the committed ones"
    params:
        code=module_digest("publishing.rejudged"),
    threads: 1
    resources:
        **resources(minutes=1),
    shell:
        "{IGBREPRO} claims --check --records {EXECUTED} --notebooks {NOTEBOOKS} > {output} 2> {log}"


rule pages:
    input:
        RECORDS,
        CLAIMS,
        str(ABSTRACT) if ABSTRACT.is_file() else [],
    output:
        GENERATED,
        STAGED,
    log:
        f"{OUT}/log/pages.txt",
    message:
        "make the pages from the records"
    params:
        code=module_digest("publishing.pages"),
        notebooks=list(ENTRIES),
    threads: 1
    resources:
        **resources(minutes=1),
    shell:
        "{IGBREPRO} pages --out {OUT} --notebooks {NOTEBOOKS} {params.notebooks} > {log} 2>&1"
