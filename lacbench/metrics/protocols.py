"""How a picture becomes features, by name. Numbers of different protocols are never compared.

`pytorch-fid`, the default and the field's reference: divided by 255, resized to 299 × 299 (bilinear, corners
not aligned, no antialiasing, no rounding), mapped to [−1, 1]; the Inception of 2015 with pytorch-fid's
pooling (Seitzer, pytorch-fid, 2020; Heusel et al., NeurIPS 2017).

`clean`: clean-fid 0.1.35 in its mode of that name (Parmar et al., On Aliased Resizing and Surprising
Subtleties in GAN Evaluation, CVPR 2022): each channel resized as float by Pillow's bicubic filter, which is
antialiased, cut to 0–255 and not rounded, mapped by (x − 128) / 128; the same network and weights.

`alacgan2018`: what AlacGAN's published code computes (utils/fid.py, data/eval.py): shortest side to 512,
bicubic; mirrored half of the time, a random square of 512; [0, 1] averaged down to 299 (adaptive average
pool), mapped as torchvision maps its input; torchvision's ImageNet Inception; two passes over the pictures,
whose features are taken together, and three repeats, of which it reports mean and variance. There the line
art was cropped and the output scored before it was rounded; here outputs are files, and are cropped.

`pytorch-fid+tf32` and `pytorch-fid+bf16`: the same in less precision, for GPUs. Their features differ by far
more than an engine's, and so they are other protocols.

`dinov2`: no FID, but the Fréchet distance of DINOv2 ViT-L/14's class tokens, as Stein et al. take it
(Exposing flaws of generative model evaluation metrics, NeurIPS 2023); see vit.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from lacbench.errors import ImageError, InputError
from lacbench.files import sha256_bytes
from lacbench.images import MAX_PIXELS, Array
from lacbench.metrics.networks import SIDE, Build, Precision, fid_inception, imagenet_inception
from lacbench.metrics.vit import clip_network, dinov2_network, prepare_clip, prepare_dinov2

if TYPE_CHECKING:
    from torch import Tensor

CROP = 512
"""Pixels of the squares of `alacgan2018`."""

Prepare = Callable[[Array, np.random.Generator], "Tensor"]
"""uint8 (H, W, 3) RGB → a network's input, float32 (3, S, S); what is random comes from the generator."""


@dataclass(frozen=True)
class FeatureProtocol:
    """One way from pictures to features."""

    name: str
    """What it is called, in results too."""
    version: int
    """Counted up when the same pictures would give other features than before."""
    weights: str
    """Name of the network's weights; see `lacbench.pretrained`."""
    build: Build
    """The network of these weights."""
    prepare: Prepare
    """Makes the network's input."""
    passes: int = 1
    """How often each picture is taken, drawn anew each time."""
    repeats: int = 1
    """How often the distance is computed, drawn anew each time; the mean is reported."""
    dimensions: int = 2048
    """Features of a picture."""
    precision: Precision = "float32"
    """In which its network multiplies."""
    metric: str = "fid"
    """What the Fréchet distance of its features is called."""

    @property
    def label(self) -> str:
        """Name as results record it, with the version from the second on."""
        return self.name if self.version == 1 else f"{self.name}@{self.version}"

    def generator(self, sha256: str, repeat: int, at: int) -> np.random.Generator:
        """The random numbers of a picture (by its SHA-256) in one pass of one repeat."""
        seed = sha256_bytes(f"{self.name} {repeat} {at} {sha256}".encode())
        return np.random.Generator(np.random.Philox(int(seed[:32], 16)))


def find_protocol(name: str) -> FeatureProtocol:
    """The protocol of that name in PROTOCOLS. Raises InputError for an unknown one."""
    if name not in PROTOCOLS:
        raise InputError(f"there is no protocol {name!r}; expected one of {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def prepare(picture: Array) -> "Tensor":
    """uint8 (H, W, 3) RGB → the input of `pytorch-fid`, float32 (3, 299, 299) in [−1, 1]."""
    import torch
    from torch.nn.functional import interpolate

    scaled = torch.tensor(picture).permute(2, 0, 1)[None].float().div(255)
    return 2 * interpolate(scaled, size=(SIDE, SIDE), mode="bilinear", align_corners=False)[0] - 1


def prepare_clean(picture: Array) -> "Tensor":
    """uint8 (H, W, 3) RGB → the input of `clean`, float32 (3, 299, 299) in [−1, 0.9922]."""
    import torch

    channels = [Image.fromarray(channel) for channel in np.moveaxis(picture, 2, 0).astype(np.float32)]
    resized = [np.asarray(channel.resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for channel in channels]
    return torch.from_numpy((np.stack(resized).clip(0, 255) - 128) / 128)


def prepare_alacgan(picture: Array, random: np.random.Generator) -> "Tensor":
    """uint8 (H, W, 3) RGB → the input of `alacgan2018`, float32 (3, 299, 299)."""
    import torch
    from torch.nn.functional import adaptive_avg_pool2d

    image = Image.fromarray(picture)
    shortest = min(image.size)
    width, height = (int(side / shortest * CROP) for side in image.size)
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{image.width} × {image.height} pixels are too narrow for squares of {CROP}; leave it out"
        )
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    if random.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    left, top = int(random.integers(width - CROP + 1)), int(random.integers(height - CROP + 1))
    square = np.array(image.crop((left, top, left + CROP, top + CROP)))
    scaled = adaptive_avg_pool2d(torch.tensor(square).permute(2, 0, 1).float().div(255), SIDE)
    mean, sd = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    return scaled * (sd / 0.5) + (mean - 0.5) / 0.5


DINOV2 = FeatureProtocol(
    "dinov2",
    1,
    "dinov2-vitl14",
    dinov2_network,
    lambda picture, _: prepare_dinov2(picture),
    dimensions=1024,
    metric="fd-dinov2",
)
"""Features of `fd-dinov2`."""
CLIP = FeatureProtocol(
    "clip", 1, "clip-vitl14-336", clip_network, lambda picture, _: prepare_clip(picture), dimensions=768
)
"""Features of CMMD: CLIP ViT-L/14@336's embeddings, of length 1. No Fréchet distance is taken of them."""


def _rounded(precision: Precision) -> FeatureProtocol:
    return FeatureProtocol(
        f"pytorch-fid+{precision}",
        1,
        "inception",
        fid_inception,
        lambda picture, _: prepare(picture),
        precision=precision,
    )


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        FeatureProtocol("pytorch-fid", 1, "inception", fid_inception, lambda picture, _: prepare(picture)),
        FeatureProtocol("clean", 1, "inception", fid_inception, lambda picture, _: prepare_clean(picture)),
        FeatureProtocol(
            "alacgan2018", 1, "inception-imagenet", imagenet_inception, prepare_alacgan, passes=2, repeats=3
        ),
        _rounded("tf32"),
        _rounded("bf16"),
        DINOV2,
    )
}
"""The protocols of Fréchet distances by name."""
