"""`igbrepro diagnose`."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from igbrepro.cli.options import FILE, check_file
from igbrepro.errors import IgbreproError, ParameterError

if TYPE_CHECKING:
    import torch


@click.command()
@click.argument("factory", metavar="MODULE:FACTORY")
@click.option("--data", "name", required=True, help="cifar10, fashion-mnist, imagefolder:PATH ...: its test inputs.")
@click.option("-n", "--n", "n_inputs", default=100, show_default=True, help="Number of inputs, classes in equal parts.")
@click.option("--size", type=click.IntRange(min=1), help="Resize images to this side first.")
@click.option("--flat", is_flag=True, help="Hand each input over as one vector.")
@click.option("--unlabelled", is_flag=True, help="Leave the labels out, as for a model of other classes.")
@click.option("--seed", default=0, show_default=True, help="Of the choice of inputs and of the model's weights.")
@click.option("--json", "json_path", type=FILE, help="Write everything there.")
@click.option("--figure", "figure_path", type=FILE, help="Draw it there (png, svg).")
def diagnose(
    factory: str,
    name: str,
    n_inputs: int,
    size: int | None,
    flat: bool,
    unlabelled: bool,
    seed: int,
    json_path: Path | None,
    figure_path: Path | None,
) -> None:
    """Diagnose the model that FACTORY() of MODULE gives: a Python file or a module that can be imported.

    \b
    igbrepro diagnose mymodel.py:Net --data cifar10
    igbrepro diagnose torchvision.models:resnet18 --data imagefolder:photos --size 64
    """
    check_file("json", json_path)
    check_file("figure", figure_path)
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    if figure_path is not None and figure_path.suffix.removeprefix(".") not in FigureCanvasAgg.filetypes:
        raise ParameterError(f"figure={str(figure_path)!r}: need a name that ends in .png, .svg or .pdf.")
    check_syntax(factory)
    import torch

    from igbrepro.data import load
    from igbrepro.diagnosis import diagnose as diagnose_model

    torch.manual_seed(seed)
    model = made(factory)
    subset = load(name, fallback=True).subset(n_test=n_inputs, seed=seed)
    inputs = shaped(torch.from_numpy(subset.inputs("test", flat=False)), size=size, flat=flat)
    try:
        found = diagnose_model(model, inputs, None if unlabelled else subset.labels("test"), seed=seed)
    except IgbreproError:
        raise
    except (Exception, SystemExit) as error:  # whatever the model's own code raises
        shape, kind = tuple(inputs.shape[1:]), type(error).__name__
        raise ParameterError(
            f"data={name!r}: the model fails on inputs {shape} ({kind}: {error}); {remedy(model, shape)}."
        ) from error
    click.echo(found)
    if json_path is not None:
        json_path.write_text(found.to_json() + "\n", encoding="utf-8")
    if figure_path is not None:
        found.figure().savefig(figure_path)


def shaped(inputs: torch.Tensor, *, size: int | None, flat: bool) -> torch.Tensor:
    """Inputs (n, ...) resized to `size` pixels a side, then as one vector each where `flat`.

    Raises ParameterError for a size of what are no images.
    """
    if size is not None:
        if inputs.ndim != 4:
            raise ParameterError(f"size={size}: inputs of shape {tuple(inputs.shape[1:])} are no images to resize.")
        from torch.nn.functional import interpolate

        inputs = interpolate(inputs, (size, size), mode="bilinear", antialias=True)
    return inputs.flatten(1) if flat else inputs


def remedy(model: torch.nn.Module, shape: tuple[int, ...]) -> str:
    """What to try where a model fails on inputs of a shape: other channels, one vector each, or another size."""
    from torch import nn

    first = next((m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)), None)
    if isinstance(first, nn.Conv2d) and len(shape) == 3 and first.in_channels != shape[0]:
        return (
            f"its first convolution takes {first.in_channels} channels and these images have {shape[0]}: "
            "name data or a factory with the channels of the other"
        )
    if isinstance(first, nn.Conv2d) and len(shape) == 1:
        return "it begins with a convolution, which takes images: leave out --flat"
    if isinstance(first, nn.Linear) and len(shape) > 1:
        return "it begins with a linear layer, which takes vectors: try --flat, with --size if their lengths differ"
    return "try another --size"


def check_syntax(factory: str) -> None:
    """Compile the Python file of "file.py:factory", if it is one; raises ParameterError where it is not Python.

    It takes no time, unlike the import of torch.
    """
    path = Path(factory.rpartition(":")[0])
    if path.suffix == ".py" and path.is_file():
        try:
            compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
        except (SyntaxError, ValueError) as error:
            raise _misspelt(factory, error) from error


def _misspelt(factory: str, error: SyntaxError | ValueError) -> ParameterError:
    where = f"{error.filename}, line {error.lineno}: {error.msg}" if isinstance(error, SyntaxError) else str(error)
    return ParameterError(f"factory={factory!r}: {where}; mend the file.")


def made(factory: str) -> torch.nn.Module:
    """The model that "module:factory" or "file.py:factory" makes; raises ParameterError where there is none."""
    from torch import nn

    where, _, name = factory.rpartition(":")
    if not where or not name:
        raise ParameterError(f"factory={factory!r}: name what makes the model too, as in mymodel.py:Net.")
    try:
        model = getattr(imported(where), name)()
    except (ImportError, AttributeError, ValueError, FileNotFoundError, TypeError) as error:
        raise ParameterError(
            f"factory={factory!r}: need MODULE:FACTORY or FILE.py:FACTORY, a function or class that can be called "
            f"without arguments ({place(error)}{error})."
        ) from error
    except SyntaxError as error:
        raise _misspelt(factory, error) from error
    except SystemExit as error:
        raise ParameterError(
            f"factory={factory!r}: making the model ends the program ({place(error)}sys.exit, {error.code!r}); "
            'put what only a script does under `if __name__ == "__main__":`.'
        ) from error
    except Exception as error:  # whatever the file's own code raises
        raise ParameterError(
            f"factory={factory!r}: making the model raises {type(error).__name__} ({place(error)}{error}); "
            "mend it, or name a factory that needs nothing else."
        ) from error
    if not isinstance(model, nn.Module):
        raise ParameterError(f"factory={factory!r}: gives {type(model).__name__}, not a torch module.")
    return model


def imported(where: str) -> Any:
    """The module of a Python file or of a dotted name, the folder of the caller included."""
    if not where.endswith(".py"):
        sys.path.insert(0, "")
        return importlib.import_module(where)
    spec = importlib.util.spec_from_file_location(Path(where).stem, where)
    if spec is None or spec.loader is None:
        raise ImportError(f"{where} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def place(error: BaseException) -> str:
    """File and line in which an error was raised, where that is the user's, for a message."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename != __file__ and f.filename[:1] != "<"]
    return f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}: " if frames else ""
