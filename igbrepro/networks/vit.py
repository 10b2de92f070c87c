"""Small vision transformers, torchvision's: description and torch module."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from igbrepro.errors import ParameterError
from igbrepro.networks.spec import check_spec
from igbrepro.theory import Activation, get_activation

if TYPE_CHECKING:
    from torchvision.models.vision_transformer import VisionTransformer


@dataclass(frozen=True)
class ViTSpec:
    """torchvision's vision transformer at a small size.

    depth: encoder blocks.  width: features of a token.  heads: of attention.  patch: side of a patch.
    mlp_ratio: width of the hidden layer of an MLP over `width`.  activation: in that hidden layer.
    norm: layer normalisation in front of attention, of the MLP and of the head; or none at all.
    residual: skip connections around attention and MLP; or none at all.
    patch_norm: batch normalisation of the patches, each feature over all patches of a batch, before tokens are added.
    unit_tokens: class token N(0, 1) and positions N(0, 1/width), in place of torchvision's 0 and N(0, 0.02^2).
    Raises ParameterError for sizes out of range, a width that the heads do not divide, or an image that is no square
    of whole patches.
    """

    activation: Activation | str = "relu"
    depth: int = 6
    width: int = 64
    heads: int = 4
    patch: int = 4
    mlp_ratio: int = 2
    n_classes: int = 10
    input_shape: tuple[int, int, int] = (3, 32, 32)
    norm: bool = True
    residual: bool = True
    patch_norm: bool = False
    unit_tokens: bool = False

    def __post_init__(self) -> None:
        check_spec(self, depth=1, width=1, heads=1, patch=1, mlp_ratio=1)
        if self.width % self.heads:
            raise ParameterError(f"width={self.width}: need a multiple of heads={self.heads}.")
        _, height, width = self.input_shape
        if height != width or height % self.patch:
            raise ParameterError(f"input_shape={self.input_shape}: need a square that patch={self.patch} divides.")

    def module(self) -> VisionTransformer:
        """torchvision's VisionTransformer with the parts described here.

        Layers fed by no activation get gain = (critical sigma_w2 of the linear activation, 1) / (that of the
        activation), so that one sigma_w2_ratio means one ratio in every layer: here at sigma_b2 = 0, and at the
        sigma_b2 of an InitSpec when `initialize_` draws them by it.  That of the patches is one of these where it is
        normalised; elsewhere inputs come with a variance of their own, and it gets sigma_w2 itself.
        """
        from torch import nn
        from torchvision.models.vision_transformer import VisionTransformer

        from igbrepro.initialization import relative_gain
        from igbrepro.modules import ActivationLayer, NoSkipBlock

        channels, side, _ = self.input_shape
        model = VisionTransformer(
            side,
            self.patch,
            self.depth,
            self.heads,
            self.width,
            self.mlp_ratio * self.width,
            num_classes=self.n_classes,
            norm_layer=nn.LayerNorm if self.norm else lambda width: nn.Identity(),
        )
        if channels != 3:
            model.conv_proj = nn.Conv2d(channels, self.width, self.patch, self.patch)
        unit = get_activation(self.activation)
        gain = relative_gain(unit)
        without_activation: list[Any] = [model.heads.head]
        if self.patch_norm:
            without_activation.append(model.conv_proj)
            model.conv_proj = nn.Sequential(model.conv_proj, nn.BatchNorm2d(self.width))
        if self.unit_tokens:
            own: list[Any] = [
                (model, model.class_token, 1.0),
                (model.encoder, model.encoder.pos_embedding, 1 / self.width),
            ]
            for part, parameter, variance in own:
                part.token_variance = variance  # by which `initialize_` draws
                nn.init.normal_(parameter, std=variance**0.5)
        blocks: list[Any] = list(model.encoder.layers)
        for block in blocks:
            if not self.residual:
                block.__class__ = NoSkipBlock
            block.mlp[1] = ActivationLayer(self.activation)
            without_activation += [block.self_attention, block.self_attention.out_proj, block.mlp[0]]
        for module in without_activation:
            vars(module).update(unit=unit, gain=gain)
        return model
