"""The Inceptions of the FID protocols, and the engines that run them.

An engine changes features by rounding only, 1e-5 of the largest at most: `torch` folds every batch norm into
its convolution and orders channels last; `onnxruntime` runs the same graph by ONNX Runtime, on the CPU;
`reference` is the network as published.
"""

import hashlib
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np

from lacbench import weights
from lacbench.devices import choose_device
from lacbench.errors import InputError, MissingError
from lacbench.files import sha256_bytes, sha256_json, write_bytes
from lacbench.metrics.statistics import Features

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Precision = Literal["float32", "tf32", "bf16"]
"""How products are taken: in full, or rounded to 10 or 7 bits first, which is faster on GPUs."""
ENGINES = ("torch", "onnxruntime", "reference")
"""Names of the engines, the default first."""
SIDE = 299
"""Pixels of the networks' input, width and height."""

Build = Callable[["Mapping[str, Tensor]"], "nn.Module"]
"""From weights to a network: a protocol's prepared pictures, float (B, 3, S, S) → features (B, D)."""
Forward = Callable[["Tensor"], Features]
"""A network on its engine: float32 (B, 3, S, S) on the CPU → features float32 (B, D)."""


def fid_inception(state: "Mapping[str, Tensor]") -> "nn.Module":
    """pytorch-fid's Inception with these weights, ending in its 2,048 features, for inference.

    It is built from pytorch-fid's own blocks as its `fid_inception_v3` does, which cannot be called because
    it downloads. The weights are `weights.load("inception")`.
    """
    from pytorch_fid import inception as reference

    network = _inception(num_classes=1008)
    for name, channels, pooled in (("5b", 192, 32), ("5c", 256, 64), ("5d", 288, 64)):
        setattr(network, f"Mixed_{name}", reference.FIDInceptionA(channels, pool_features=pooled))
    for name, inner in (("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)):
        setattr(network, f"Mixed_{name}", reference.FIDInceptionC(768, channels_7x7=inner))
    network.Mixed_7b, network.Mixed_7c = reference.FIDInceptionE_1(1280), reference.FIDInceptionE_2(2048)
    return _loaded(network, state)


def imagenet_inception(state: "Mapping[str, Tensor]") -> "nn.Module":
    """torchvision's Inception with these weights, ending in its 2,048 features, for inference.

    The weights are `weights.load("inception-imagenet")`.
    """
    return _loaded(_inception(num_classes=1000), state)


def fold(network: "nn.Module") -> "nn.Module":
    """Fold every batch norm of an Inception into its convolution, in place."""
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval
    from torchvision.models.inception import BasicConv2d

    for module in [module for module in network.modules() if isinstance(module, BasicConv2d)]:
        module.conv, module.bn = fuse_conv_bn_eval(module.conv, module.bn), nn.Identity()
    return network


def start(
    build: Build,
    state: "Mapping[str, Tensor]",
    *,
    engine: str = ENGINES[0],
    device: str = "cpu",
    precision: Precision = "float32",
) -> Forward:
    """A network with these weights on an engine, and on torch's `device`.

    Raises InputError for an unknown engine, ONNX Runtime for another network than an Inception in float32 or
    on another device than the CPU, and TF32 elsewhere than on CUDA; MissingError without the extra that the
    engine needs, or where there is no such device.
    """
    if engine not in ENGINES:
        raise InputError(f"there is no engine {engine!r}; expected one of {', '.join(ENGINES)}")
    place = choose_device(device)
    if engine == "onnxruntime":
        if build not in (fid_inception, imagenet_inception) or precision != "float32":
            raise InputError("the engine onnxruntime runs the Inceptions in float32 only; use --engine torch")
        if place.type != "cpu":
            raise InputError(
                f"the engine onnxruntime runs on the CPU, not on {device}; leave out one of the two"
            )
        return _by_onnxruntime(build, state)
    if precision == "tf32" and place.type != "cuda":
        raise InputError(
            f"TF32 is for CUDA devices, not for {device}; use --device cuda, or another protocol"
        )
    network = build(state) if engine == "reference" else fold(build(state))
    return _by_torch(network, place, precision)


def _by_torch(network: "nn.Module", place: "torch.device", precision: Precision) -> Forward:
    import torch

    network = network.to(memory_format=torch.channels_last).to(place)

    def forward(batch: "Tensor") -> Features:
        batch = batch.to(place).contiguous(memory_format=torch.channels_last)
        # TF32, cuDNN's default, would cost three decimal digits.
        tf32 = torch.backends.cudnn.flags(enabled=True, allow_tf32=precision == "tf32")
        bf16 = torch.autocast(place.type, torch.bfloat16, enabled=precision == "bf16")
        with torch.inference_mode(), tf32, bf16:
            return np.asarray(network(batch).float().cpu().numpy(), dtype=np.float32)

    return forward


def _by_onnxruntime(build: Build, state: "Mapping[str, Tensor]") -> Forward:
    try:
        import onnxruntime
    except ImportError as error:
        raise _without_fast("onnxruntime") from error
    import torch

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry(
        "session.intra_op.allow_spinning", "0"
    )  # else it takes cores from decoding
    session = onnxruntime.InferenceSession(_graph(build, state), options, providers=["CPUExecutionProvider"])

    def forward(batch: "Tensor") -> Features:
        return np.asarray(session.run(None, {"pictures": batch.numpy()})[0], dtype=np.float32)

    return forward


def _graph(build: Build, state: "Mapping[str, Tensor]") -> bytes:
    """The folded network as ONNX, kept in the cache folder with its SHA-256: making it takes seconds."""
    import torch

    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode() + np.ascontiguousarray(state[name].numpy()).tobytes())
    key = sha256_json([build.__name__, digest.hexdigest(), torch.__version__])
    path = weights.cache_folder() / "networks" / f"{key}.onnx"
    try:
        kept, told = path.read_bytes(), path.with_suffix(".sha256").read_text("ascii")
    except (OSError, ValueError):
        kept, told = b"", ""
    if kept and sha256_bytes(kept) == told:
        return kept
    made = _export(fold(build(state)))
    write_bytes(path, made)
    write_bytes(path.with_suffix(".sha256"), sha256_bytes(made).encode())
    return made


def _export(network: "nn.Module") -> bytes:
    import torch

    inputs = (torch.zeros(2, 3, SIDE, SIDE),)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter's remarks on itself
            program = torch.onnx.export(
                network, inputs, input_names=["pictures"], output_names=["features"], dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("batch")},), verbose=False,
            )  # fmt: skip
    except ImportError as error:
        raise _without_fast("onnx and onnxscript") from error
    if program is None:
        raise InputError("the network could not be exported to ONNX; use --engine torch")
    return bytes(program.model_proto.SerializeToString())


def _without_fast(what: str) -> MissingError:
    return MissingError(
        f"the engine onnxruntime needs the extra [fast], of which {what} is not installed; "
        "run `pip install 'lacbench[fast]'`"
    )


def _inception(num_classes: int) -> "nn.Module":
    from torchvision.models.inception import inception_v3

    network: nn.Module = inception_v3(
        weights=None, num_classes=num_classes, aux_logits=False, transform_input=False, init_weights=False
    )
    return network


def _loaded(network: "nn.Module", state: "Mapping[str, Tensor]") -> "nn.Module":
    from torch import nn

    network.dropout, network.fc = nn.Identity(), nn.Identity()
    network.load_state_dict(state)
    return network.eval().requires_grad_(False)
