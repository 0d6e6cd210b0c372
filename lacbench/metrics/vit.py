"""Features by vision transformers: DINOv2's class token, and CLIP's image embedding.

Fréchet distances on DINOv2 ViT-L/14 agree with people better than FID does (Stein et al., Exposing flaws of
generative model evaluation metrics, NeurIPS 2023); CMMD takes CLIP ViT-L/14 at 336 pixels (Jayasumana et al.,
2024). Both networks are one: patches, tokens, blocks of attention and a perceptron (Dosovitskiy et al., ICLR
2021). The differences — DINOv2's scale after each half of a block, CLIP's norm before the first and its quick
GELU, and the projection at its end — are read off the weights.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from lacbench.images import Array

if TYPE_CHECKING:
    from torch import Tensor, nn

HEAD = 64
"""Width of an attention head, in all of DINOv2's and CLIP's vision transformers."""
_DINOV2_MEAN, _DINOV2_SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CLIP_MEAN, _CLIP_SD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def dinov2_network(state: "Mapping[str, Tensor]") -> "nn.Module":
    """DINOv2 with these weights: prepared pictures (B, 3, H, W) → class tokens (B, D), float32."""
    return _network(dinov2, state)


def clip_network(state: "Mapping[str, Tensor]") -> "nn.Module":
    """CLIP's image half with these weights: prepared pictures (B, 3, S, S) → embeddings (B, E), float32."""
    return _network(clip, state)


def prepare_dinov2(picture: Array) -> "Tensor":
    """uint8 (H, W, 3) RGB → DINOv2's input, float32 (3, 224, 224), as dgm-eval prepares it: Pillow's bicubic
    resize, whatever the shape, ImageNet's mean and standard deviation."""
    return _normalised(Image.fromarray(picture), 224, _DINOV2_MEAN, _DINOV2_SD)


def prepare_clip(picture: Array) -> "Tensor":
    """uint8 (H, W, 3) RGB → CLIP's input, float32 (3, 336, 336), as CMMD's published code prepares it: the
    square in the middle, Pillow's bicubic resize, CLIP's mean and standard deviation."""
    image = Image.fromarray(picture)
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return _normalised(image.crop((left, top, left + side, top + side)), 336, _CLIP_MEAN, _CLIP_SD)


def dinov2(state: "Mapping[str, Tensor]", pictures: "Tensor") -> "Tensor":
    """The class token (B, D) of prepared pictures (B, 3, H, W), by weights of DINOv2's layout, without
    registers."""
    from torch.nn.functional import conv2d

    patch, bias = state["patch_embed.proj.weight"], state["patch_embed.proj.bias"]
    grid = conv2d(pictures, patch, bias, stride=patch.shape[-1])
    tokens = grid.flatten(2).transpose(1, 2)
    positions = _positions(state["pos_embed"], *grid.shape[2:])
    tokens = _with_class(state["cls_token"], tokens) + positions
    for i in range(_depth(state, "blocks.{}.norm1.weight")):
        tokens = _dinov2_block(state, f"blocks.{i}.", tokens)
    return _norm(state, "norm", tokens[:, 0], 1e-6)


def clip(state: "Mapping[str, Tensor]", pictures: "Tensor") -> "Tensor":
    """The embedding (B, E) of length 1 of prepared pictures (B, 3, S, S), by OpenAI's weights of the image
    half."""
    from torch.nn.functional import conv2d, normalize

    patch = state["visual.conv1.weight"]
    tokens = conv2d(pictures, patch, stride=patch.shape[-1]).flatten(2).transpose(1, 2)
    tokens = _with_class(state["visual.class_embedding"], tokens) + state["visual.positional_embedding"]
    tokens = _norm(state, "visual.ln_pre", tokens, 1e-5)
    for i in range(_depth(state, "visual.transformer.resblocks.{}.ln_1.weight")):
        tokens = _clip_block(state, f"visual.transformer.resblocks.{i}.", tokens)
    return normalize(_norm(state, "visual.ln_post", tokens[:, 0], 1e-5) @ state["visual.proj"], dim=-1)


def _network(
    forward: "Callable[[Mapping[str, Tensor], Tensor], Tensor]", state: "Mapping[str, Tensor]"
) -> "nn.Module":
    """The function with its weights as a module, in float32, for inference."""
    from torch import nn

    class Transformer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name, tensor in state.items():  # a buffer's name must have no dot
                self.register_buffer(name.replace(".", "/"), tensor.float())

        def forward(self, pictures: "Tensor") -> "Tensor":
            held = {name.replace("/", "."): buffer for name, buffer in self.named_buffers()}
            return forward(held, pictures)

    return Transformer().eval()


def _dinov2_block(state: "Mapping[str, Tensor]", at: str, tokens: "Tensor") -> "Tensor":
    from torch.nn.functional import gelu, linear

    inner = _norm(state, f"{at}norm1", tokens, 1e-6)
    inner = _attention(inner, state[f"{at}attn.qkv.weight"], state[f"{at}attn.qkv.bias"])
    inner = linear(inner, state[f"{at}attn.proj.weight"], state[f"{at}attn.proj.bias"])
    tokens = tokens + state[f"{at}ls1.gamma"] * inner
    inner = _norm(state, f"{at}norm2", tokens, 1e-6)
    inner = gelu(linear(inner, state[f"{at}mlp.fc1.weight"], state[f"{at}mlp.fc1.bias"]))
    inner = linear(inner, state[f"{at}mlp.fc2.weight"], state[f"{at}mlp.fc2.bias"])
    return tokens + state[f"{at}ls2.gamma"] * inner


def _clip_block(state: "Mapping[str, Tensor]", at: str, tokens: "Tensor") -> "Tensor":
    from torch.nn.functional import linear

    inner = _norm(state, f"{at}ln_1", tokens, 1e-5)
    inner = _attention(inner, state[f"{at}attn.in_proj_weight"], state[f"{at}attn.in_proj_bias"])
    tokens = tokens + linear(inner, state[f"{at}attn.out_proj.weight"], state[f"{at}attn.out_proj.bias"])
    inner = _norm(state, f"{at}ln_2", tokens, 1e-5)
    inner = linear(inner, state[f"{at}mlp.c_fc.weight"], state[f"{at}mlp.c_fc.bias"])
    inner = inner * (1.702 * inner).sigmoid()  # the quick GELU
    return tokens + linear(inner, state[f"{at}mlp.c_proj.weight"], state[f"{at}mlp.c_proj.bias"])


def _attention(tokens: "Tensor", weight: "Tensor", bias: "Tensor") -> "Tensor":
    """Heads of attention (B, T, D), before their projection; queries, keys and values lie below one
    another."""
    from torch.nn.functional import linear, scaled_dot_product_attention

    batch, count, width = tokens.shape
    heads = linear(tokens, weight, bias).reshape(batch, count, 3, width // HEAD, HEAD)
    query, key, value = heads.permute(2, 0, 3, 1, 4)
    return scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(batch, count, width)


def _positions(embedding: "Tensor", rows: int, columns: int) -> "Tensor":
    """Embeddings of positions (1, 1 + R C, D) for another grid than the square one of the weights.

    DINOv2's own way: bicubic, by a factor of (R + 0.1) / the weights' side, which its published features are
    of.
    """
    from torch.nn.functional import interpolate

    first, grid = embedding[:, :1], embedding[:, 1:]
    side = int(grid.shape[1] ** 0.5)
    if (rows, columns) == (side, side):
        return embedding
    square = grid.reshape(1, side, side, -1).permute(0, 3, 1, 2)
    factors = ((rows + 0.1) / side, (columns + 0.1) / side)
    scaled = interpolate(square, scale_factor=factors, mode="bicubic")
    return _with_class(first[0, 0], scaled.flatten(2).transpose(1, 2))


def _with_class(token: "Tensor", tokens: "Tensor") -> "Tensor":
    import torch

    return torch.cat([token.reshape(1, 1, -1).expand(len(tokens), -1, -1), tokens], dim=1)


def _norm(state: "Mapping[str, Tensor]", name: str, tokens: "Tensor", epsilon: float) -> "Tensor":
    from torch.nn.functional import layer_norm

    weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
    return layer_norm(tokens, weight.shape, weight, bias, epsilon)


def _depth(state: "Mapping[str, Tensor]", pattern: str) -> int:
    depth = 0
    while pattern.format(depth) in state:
        depth += 1
    return depth


def _normalised(image: Image.Image, side: int, mean: tuple[float, ...], sd: tuple[float, ...]) -> "Tensor":
    import torch

    resized = np.asarray(image.resize((side, side), Image.Resampling.BICUBIC), dtype=np.float32) / 255
    values = (resized - np.asarray(mean, dtype=np.float32)) / np.asarray(sd, dtype=np.float32)
    return torch.from_numpy(values).permute(2, 0, 1)
