"""Random initialisation of any network: by (sigma_w2, sigma_b2), on the edge of chaos layer by layer, by old rules."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeVar

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _NormBase
from torchvision.models import vision_transformer

from igbrepro.errors import ParameterError, some
from igbrepro.initialization.layer_edge import edge_of_chaos, relative_gain, residual_factors
from igbrepro.initialization.spec import InitSpec
from igbrepro.initialization.vocabulary import SCHEMES, TRACED, Init, check_init
from igbrepro.modules import torch_activation
from igbrepro.probes import WEIGHTED, Feed, Node, Trace, batch_of, batch_statistics, evaluating, trace
from igbrepro.theory import Activation

Model = TypeVar("Model", bound=nn.Module)
Draw = Callable[[Tensor, float], None]  # fills a weight (fan_out, ...) in place, for a sigma_w2

RESET = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.PReLU)
STARTED = (*RESET, vision_transformer.VisionTransformer, vision_transformer.Encoder)


@contextlib.contextmanager
def seeded_by(generator: torch.Generator | None) -> Iterator[None]:
    """For layers that draw from torch's global state: seed it by `generator`, and give it back; None leaves it."""
    with torch.random.fork_rng(devices=[], enabled=generator is not None):
        if generator is not None:
            torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        yield


@torch.no_grad()
def initialize_(
    model: Model,
    scheme: Init = "edge-of-chaos",
    *,
    activation: str | Activation | Mapping[str, str | Activation] = "auto",
    sigma_b2: float | None = None,
    example_input: ArrayLike | Tensor | None = None,
    generator: torch.Generator | None = None,
    others: str = "raise",
) -> Model:
    """Draw every weight of a model in place, and return the model.

    scheme:
    "edge-of-chaos" runs the model once to see which activations, pools, gates and norms feed each linear,
        convolutional and attention layer, and draws W_ij ~ N(0, sigma_w2 / fan_in), b_i ~ N(0, sigma_b2) with the
        layer's own point of the edge (`edge_of_chaos`).  What pools let through is measured on example_input,
        layer after layer, since neighbouring positions of an image are correlated.  The last layer of every residual
        branch that no norm or constant keeps small gets 1/L of both, L being the number of residual sums.
    "orthogonal": the same gains, with orthogonal matrices; in convolutions in the middle of the kernel alone
        (delta-orthogonal; Xiao et al. 2018).  "lsuv": orthogonal in the whole kernel, then each layer scaled to unit
        variance of its outputs for example_input (Mishkin & Matas 2016).
    InitSpec, or what `theory.design` gives: one sigma_w2 times the layer's attribute `gain` (1 where it has none), and
        one sigma_b2, everywhere.  A layer with an attribute `unit`, an activation, gets its `gain` here: by that of the
        activation on the edge at this sigma_b2 (`relative_gain`).
    "he" (variance 2 / fan_in) and "xavier" (2 / (fan_in + fan_out)), biases 0, are PyTorch's; "default" calls the
        layers' own reset_parameters.

    fan_in counts the inputs of one output (of a convolution: channels times positions).
    Normalisation layers start as the identity, class tokens and positions of torchvision's transformers as it has them,
    or with the variance `token_variance` where the part has that attribute.
    activation: "auto", or what feeds the layers: one activation for all but the first, or a mapping from names of
        layers to activations for those, if the run cannot show it.
    sigma_b2: None, or the variance of all biases; sigma_w2 is then the critical value there.
    example_input: (n, ...), n >= 2 inputs; not needed if the model begins with a linear layer.
    generator: numbers are drawn on its device and copied to the parameter's, so a CPU generator gives the same
        network everywhere; None uses torch's global state.
    others: "raise" is an error if parameters would be left undrawn, in unknown layers or ones the run does not
        reach; "keep" leaves those as they are.
    Raises ParameterError also where a layer has no edge of chaos.
    """
    scheme = check_init(scheme, "scheme")
    if others not in ("raise", "keep"):
        raise ParameterError(f'others={others!r}: need "raise" or "keep".')
    unknown = _without_rule(model)
    if unknown and others == "raise":
        raise ParameterError(
            f"model: no rule to draw {some(unknown)}; linear, convolutional, attention and normalisation layers "
            'are known. others="keep" leaves these parameters as they are.'
        )
    traced = isinstance(scheme, str) and scheme in TRACED
    plan = _plan(model, activation, sigma_b2, example_input, others) if traced else None
    if isinstance(scheme, InitSpec):
        _set_gains(model, scheme.sigma_b2)
    with seeded_by(generator if scheme == "default" else None):
        for module in model.modules():
            if not isinstance(module, WEIGHTED):
                _start(module, generator)
            elif scheme == "default":
                reset = "_reset_parameters" if isinstance(module, nn.MultiheadAttention) else "reset_parameters"
                getattr(module, reset)()
            elif isinstance(scheme, InitSpec):
                w2 = getattr(module, "gain", 1.0) * scheme.sigma_w2
                _draw(module, partial(_by_fan_in_, generator), w2, scheme.sigma_b2, generator)
            elif scheme in SCHEMES:
                _draw(module, partial(_by_scheme_, scheme, generator), 1.0, 0.0, generator)
    if plan is not None and isinstance(scheme, str):
        _draw_traced(model, scheme, plan, sigma_b2, generator)
    return model


def _weighted(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    return ((name, module) for name, module in model.named_modules() if isinstance(module, WEIGHTED))


def _set_gains(model: nn.Module, sigma_b2: float) -> None:
    """Give every layer with a `unit` the gain that it has at this sigma_b2."""
    own = [vars(module) for _, module in _weighted(model) if "unit" in vars(module)]
    gains = {unit: relative_gain(unit, sigma_b2) for unit in {one["unit"] for one in own}}
    for one in own:
        one["gain"] = gains[one["unit"]]


def _start(module: nn.Module, generator: torch.Generator | None) -> None:
    """Start the parameters that a module with a rule, but without weights, has of its own."""
    if isinstance(module, vision_transformer.VisionTransformer):
        if variance := vars(module).get("token_variance"):
            _normal_(module.class_token, variance, generator)
        else:
            module.class_token.zero_()
    elif isinstance(module, vision_transformer.Encoder):
        _normal_(module.pos_embedding, vars(module).get("token_variance", 0.02**2), generator)
    elif isinstance(module, RESET):
        module.reset_parameters()


def _without_rule(model: nn.Module) -> list[str]:
    """Names of the parameters that `initialize_` does not know how to draw."""
    known = (*WEIGHTED, *STARTED)
    return [
        f"{name}.{key} ({type(module).__name__})".removeprefix(".")
        for name, module in model.named_modules()
        if not isinstance(module, known)
        for key, _ in module.named_parameters(recurse=False)
    ]


def _draw(module: Any, draw: Draw, sigma_w2: float, sigma_b2: float, generator: torch.Generator | None) -> None:
    """Draw the weights and biases of one layer; of attention, those in front of it."""
    if isinstance(module, nn.MultiheadAttention):
        joint, apart = module.in_proj_weight, (module.q_proj_weight, module.k_proj_weight, module.v_proj_weight)
        weights = apart if joint is None else joint.chunk(3)
        biases = [module.in_proj_bias, module.bias_k, module.bias_v]
    else:
        weights, biases = [module.weight], [module.bias]
    for weight in weights:
        draw(weight, sigma_w2)
    for bias in biases:
        if bias is not None:
            _normal_(bias, sigma_b2, generator)


class _Plan(NamedTuple):
    """What a run of the model shows before anything is drawn.

    by_hand: the feeds that the caller names.  residual: what to multiply the variances of a layer by.  modes: those
    in which to run the model (False: eval) so that every layer is reached.
    """

    inputs: Tensor
    by_hand: dict[str, tuple[Feed, ...]]
    residual: dict[str, float]
    modes: tuple[bool, ...]


def _plan(
    model: nn.Module,
    activation: str | Activation | Mapping[str, str | Activation],
    sigma_b2: float | None,
    example_input: ArrayLike | Tensor | None,
    others: str,
) -> _Plan:
    """Raises ParameterError if a layer is not reached, or has no edge of chaos."""
    inputs, by_hand = _inputs(model, example_input), _by_hand(model, activation)
    names = [name for name, _ in _weighted(model)]
    with torch.random.fork_rng(devices=[]), evaluating(model), batch_statistics(model):
        found, _ = trace(model, inputs, measure=True)
        residual, feeds, failed = residual_factors(found), _feeds(found) | by_hand, ""
        modes: tuple[bool, ...] = (False,)
        if set(names) - feeds.keys():  # some branches run in training only
            model.train()
            try:
                with batch_statistics(model):
                    feeds = _feeds(trace(model, inputs)[0]) | feeds
                modes = (False, True)
            except RuntimeError as error:
                failed = f" (it fails in training mode: {error})"
    left = [name for name in names if name not in feeds]
    if left and others == "raise":
        raise ParameterError(
            f"model: a run on example_input{failed} does not show what feeds {some(left)}; say so, as in "
            f'activation={{{left[0]!r}: "relu"}}, or leave them as they are with others="keep".'
        )
    for name, given in feeds.items():
        try:
            edge_of_chaos(given, sigma_b2)
        except ParameterError as error:
            what = ", ".join(" ".join(feed.activation) for feed in given)
            raise ParameterError(
                f"model: the layer {name!r}, fed by {what}, {error}; "
                f"give {'a' if sigma_b2 is None else 'another'} sigma_b2, or activation={{{name!r}: 'relu'}} or the "
                "like to treat it as one."
            ) from None
    return _Plan(inputs, by_hand, residual, modes)


def _feeds(found: Trace) -> dict[str, tuple[Feed, ...]]:
    """What feeds the layers that a run reaches; the output layer of attention reads averages, no activation."""
    layers = {name: node for name, node in found.layers().items() if node.given}
    attention = [name for name, node in layers.items() if node.op == F.multi_head_attention_forward.__name__]
    feeds = {name: node.given for name, node in layers.items()}
    outputs = {f"{name}.out_proj": (Feed(layers[name]),) for name in attention}
    return feeds | outputs


def _draw_traced(
    model: nn.Module, scheme: str, plan: _Plan, sigma_b2: float | None, generator: torch.Generator | None
) -> None:
    """Draw layer after layer while the model runs, each before it is applied."""
    draw = partial(_by_fan_in_, generator)
    if scheme != "edge-of-chaos":
        draw = partial(_orthogonal_, generator, whole=scheme == "lsuv")
    drawn: set[str] = set()
    scaled: set[str] = set()

    def on_layer(node: Node, module: nn.Module) -> None:
        feeds = plan.by_hand.get(node.name, node.given)
        if node.name in drawn or not feeds:
            return
        drawn.add(node.name)
        w2, b2 = (1.0, 0.0) if scheme == "lsuv" else edge_of_chaos(feeds, sigma_b2)
        factor = 1.0 if scheme == "lsuv" else plan.residual.get(node.name, 1.0)
        if isinstance(module, nn.MultiheadAttention):
            _draw(module, draw, w2, b2, generator)
            _draw(module.out_proj, draw, factor, b2 * factor, generator)
        else:
            _draw(module, draw, factor * w2, factor * b2, generator)

    def rescale(node: Node, tensor: Tensor) -> Tensor:
        if node.kind != "layer" or node.name in scaled:
            return tensor
        scaled.add(node.name)
        deviation = float(tensor.std())
        if not 0 < deviation < math.inf:
            raise ParameterError(f"model: outputs of {node.name!r} have deviation {deviation}; lsuv needs one > 0.")
        module: Any = model.get_submodule(node.name)
        (module.out_proj if isinstance(module, nn.MultiheadAttention) else module).weight.div_(deviation)
        return tensor / deviation

    forked = torch.random.fork_rng(devices=[], enabled=generator is not None)
    with forked, evaluating(model):
        for training in plan.modes:
            model.train(training)
            with batch_statistics(model):
                on_tensor = rescale if scheme == "lsuv" else None
                trace(model, plan.inputs, measure=True, on_layer=on_layer, on_tensor=on_tensor)
    for name in sorted(plan.by_hand.keys() - drawn):
        on_layer(Node("layer", 0, name, ""), model.get_submodule(name))


def _inputs(model: nn.Module, example_input: ArrayLike | Tensor | None) -> Tensor:
    first = next((module for _, module in _weighted(model)), None)
    if first is None:
        raise ParameterError("model: has no linear, convolutional or attention layer to draw.")
    if example_input is None:
        if not isinstance(first, nn.Linear):
            raise ParameterError(
                f"example_input=None: the first layer is a {type(first).__name__}, so give a batch of inputs, such as "
                "torch.randn(8, 3, 32, 32)."
            )
        example_input = torch.randn(64, first.in_features, generator=torch.Generator().manual_seed(0))
    return batch_of(example_input, model, "example_input")


def _by_hand(
    model: nn.Module, activation: str | Activation | Mapping[str, str | Activation]
) -> dict[str, tuple[Feed, ...]]:
    """The feeds that the caller names, by layer."""
    if activation == "auto":
        return {}
    names = [name for name, _ in _weighted(model)]
    if not isinstance(activation, Mapping):
        activation = dict.fromkeys(names[1:], activation)
    strangers = activation.keys() - set(names)
    if strangers:
        raise ParameterError(f"activation: the model has no layers {', '.join(sorted(strangers))} with weights.")
    origin = Node("input", 0, "", "")
    return {
        name: (Feed(origin, (str(getattr(one, "name", one)),), torch_activation(one)),)
        for name, one in activation.items()
    }


def _by_fan_in_(generator: torch.Generator | None, weight: Tensor, sigma_w2: float) -> None:
    _normal_(weight, sigma_w2 / weight[0].numel(), generator)


def _by_scheme_(scheme: str, generator: torch.Generator | None, weight: Tensor, sigma_w2: float) -> None:
    drawn = _empty(weight, generator)
    if scheme == "he":
        nn.init.kaiming_normal_(drawn, nonlinearity="relu", generator=generator)
    else:
        nn.init.xavier_normal_(drawn, generator=generator)
    weight.copy_(drawn)


def _orthogonal_(generator: torch.Generator | None, weight: Tensor, sigma_w2: float, whole: bool = False) -> None:
    """Orthogonal rows or columns, whichever are fewer, with rows of mean square length sigma_w2.

    A convolution whose windows overlap (an odd kernel wider than 1) gets them in the middle of the kernel, zeros
    elsewhere; one of separate patches in the whole of it, and with `whole` any.
    """
    delta = not whole and weight.ndim > 2 and all(side % 2 for side in weight.shape[2:]) and weight[0, 0].numel() > 1
    drawn = _empty(weight[(..., *(0,) * (weight.ndim - 2))] if delta else weight.flatten(1), generator)
    nn.init.orthogonal_(drawn, generator=generator)
    drawn.mul_(math.sqrt(sigma_w2 * max(1.0, len(drawn) / drawn.shape[1])))
    if delta:
        weight.zero_()
        weight[(..., *(side // 2 for side in weight.shape[2:]))] = drawn.to(weight)
    else:
        weight.copy_(drawn.view_as(weight))


def _empty(like: Tensor, generator: torch.Generator | None) -> Tensor:
    return torch.empty(like.shape, dtype=like.dtype, device=like.device if generator is None else generator.device)


def _normal_(parameter: Tensor, variance: float, generator: torch.Generator | None) -> None:
    """Fill with N(0, variance); a variance of zero gives exact zeros."""
    draw = _empty(parameter, generator).normal_(generator=generator)
    parameter.copy_(draw.mul_(math.sqrt(variance)))
