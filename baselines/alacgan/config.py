"""Every number of a training run, checked; and the presets."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lacbench.devices import choose_device
from lacbench.errors import MissingError, RecipeError

Positive = Annotated[int, Field(gt=0)]
Number = Annotated[int, Field(ge=0)]
Width = Annotated[int, Field(gt=0, le=512)]
Size = Annotated[int, Field(gt=0, le=4096)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Dilations = Annotated[tuple[Annotated[int, Field(gt=0, le=64)], ...], Field(max_length=64)]
Features = Annotated[str, Field(pattern=r"^(illustration2vec|vgg16|none|.+\.safetensors)$")]

LONG: Dilations = (1,) * 20
MIDDLE: Dilations = (1, 1, 2, 2, 4, 4, 2, 1)
PAPER_MIDDLE: Dilations = (1, 1, 2, 2, 4, 4, 2, 2, 1, 1)
SHORT: Dilations = (1, 2, 4, 2, 1)


class Config(BaseModel):
    """One training run. The defaults are the published code's (arXiv:1808.03240): preset `official`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)

    model: Literal["alacgan", "pix2pix"] = "alacgan"
    """What is trained: the reference model, or the baseline `lacbench.baselines.pix2pix`."""
    size: Size = 512
    """Shortest side of the pictures, in pixels; a data set's pairs must have been drawn at this size."""
    crop: Positive = 512
    """Side of the square that is trained on, in pixels: 64 times a power of two."""
    generator_width: Width = 32
    """Channels of the generator at full resolution, which double at each of the four halvings; of pix2pix
    after its first halving, which double three times."""
    critic_width: Width = 64
    """Channels of the critic at full resolution, of pix2pix after its first halving."""
    dilations: tuple[Dilations, Dilations, Dilations, Dilations] = (LONG, MIDDLE, MIDDLE, SHORT)
    """Dilation of each block of the generator's stages, coarsest (1/16 in, 1/8 out) first, in pixels."""
    groups: tuple[Positive, Positive, Positive, Positive] = (32, 32, 32, 16)
    """Groups of the blocks' 3×3 convolutions in the generator's stages, coarsest first."""
    critic_groups: Positive = 8
    """Groups of the blocks' spatial convolutions in the critic."""
    local_features: Features = "illustration2vec"
    """Frozen network whose features of the line art condition generator and critic: `illustration2vec`,
    `vgg16`, `none`, or a file of one's own, FILE.safetensors (see `lacbench.baselines.alacgan.frozen`)."""
    hint_image: Literal["independent", "aligned"] = "independent"
    """Where a hint's colour is read: in a random-sized crop of its own (code), or in place (paper)."""
    hinted: Share = 0.5
    """Share of each batch that has hints."""
    hint_spread: Rate = 0.005
    """Standard deviation of the hint threshold t ~ N(1, ·) truncated to [0, 1]."""
    ink: tuple[Share, Share] = (0.7, 1.0)
    """Range of λ, the strength of the line art's ink; 1 is black."""
    batch: Positive = 4
    """Pictures a batch, of all processes together."""
    separate_batches: bool = True
    """Whether the generator's step takes a second batch (code) or the critic's (paper)."""
    steps: Positive = 250_000
    """Iterations, each one critic step and one generator step."""
    learning_rate: Rate = 1e-4
    """Adam's learning rate at the start."""
    decay_at: Positive = 125_000
    """Iteration from which on `late_learning_rate` holds."""
    late_learning_rate: Rate = 1e-5
    """Adam's learning rate at the end."""
    betas: tuple[Share, Share] = (0.5, 0.9)
    """Adam's decay rates of the first and second moment."""
    adversarial_weight: Weight = 1e-4
    """Weight of the critic's say in the generator's loss: of −E[D(ŷ)], where the content loss has 1; of
    pix2pix's cross-entropy."""
    pixel_weight: Weight = 0.0
    """Weight of mean |ŷ − y| in the generator's loss; not in the paper, so 0 there."""
    penalty_weight: Weight = 10.0
    """Weight of the gradient penalty in the critic's loss."""
    penalty_norm: Literal["pixel", "image"] = "pixel"
    """What the penalised gradient's norm is taken over: each pixel's channels (code), or an image (paper)."""
    drift_weight: Weight = 1e-3
    """Weight of the drift term in the critic's loss."""
    drift: Literal["batch", "image"] = "batch"
    """The drift term: (batch mean of D(y))² (code), or E[D(y)²] (paper)."""
    adversarial: bool = True
    """Whether there is a critic; without one the generator learns from the content loss alone, one batch an
    iteration (the paper's ablation "w/o adversarial loss")."""
    initialization: Literal["pytorch-0.4", "pytorch"] = "pytorch-0.4"
    """First weights: PyTorch 0.4's rule, which ignores groups (code), or today's, √groups times larger."""
    penalty: Literal["explicit", "autograd"] = "explicit"
    """How the penalised gradient is had: written out (fast), or by differentiating twice; they are equal."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """What the networks compute in; losses, norms, weights and Adam are float32 in either."""
    tf32: bool = False
    """Whether a GPU rounds float32 factors to TF32's 10 bits."""
    fused_adam: bool = False
    """Whether Adam is one kernel."""
    compile: bool = False
    """Whether the networks are compiled by torch.compile."""
    cuda_graphs: bool = False
    """Whether an iteration is recorded as a CUDA graph and played again."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of every random number of the run."""
    threads: Annotated[int, Field(ge=0)] = 0
    """Threads on a CPU, 0 for PyTorch's own number; another number gives other last bits."""
    log_every: Positive = 100
    """Iterations between two lines of the log."""
    save_every: Positive = 1000
    """Iterations between two checkpoints."""
    loaders: Annotated[int, Field(ge=0, le=64)] = 0
    """Threads that make batches ahead; 0 makes them where they are used. Changes no result."""
    resident: bool = False
    """Whether all pictures are held on the device, and crops taken there. Changes no result."""
    keep: Number = 3
    """Checkpoints that are kept beside the last and the best one: the newest of all."""
    sample_every: Number = 5000
    """Iterations between two sheets of samples; 0 for none."""
    validate_every: Number = 10_000
    """Iterations between two validations by FID; 0 for none."""
    validate_on: Literal["linearts", "validation"] = "linearts"
    """What a validation colours: the line arts that are scored at last too, or the drawings of the split
    `validation`, so that a model chosen by it was chosen on nothing that it is scored on."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Decay a step of the moving average of the generator's weights, which then colours; 0 for none."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        depth = self.crop // 64
        if self.crop % 64 or depth & (depth - 1):
            raise ValueError(f"crop is {self.crop}; expected 64, 128, 256, 512 or another doubling")
        if self.crop > self.size:
            raise ValueError(f"crop is {self.crop}; expected at most size, which is {self.size}")
        if self.batch % 2:
            raise ValueError(f"batch is {self.batch}; expected an even number: half of a batch has no hints")
        if self.ink[0] > self.ink[1]:
            raise ValueError(f"ink is {self.ink}; expected the lower end first")
        self._fits_pix2pix() if self.model == "pix2pix" else self._fits_groups()
        return self

    def _fits_groups(self) -> None:
        for scale, groups in zip((8, 4, 2, 1), self.groups, strict=True):
            if self.generator_width * scale % groups:
                raise ValueError(f"groups {groups} does not divide {self.generator_width * scale} channels")
        if self.critic_width % (2 * self.critic_groups):
            raise ValueError(f"critic_groups {self.critic_groups} does not divide {self.critic_width // 2}")

    def _fits_pix2pix(self) -> None:
        if self.local_features != "none":
            raise ValueError(f"local_features is {self.local_features}; pix2pix has none, expected none")
        fields = type(self).model_fields
        if changed := [name for name in REFERENCE if getattr(self, name) != fields[name].default]:
            raise ValueError(f"pix2pix has no {', '.join(changed)}; leave that as it is")


REFERENCE = (
    "dilations", "groups", "critic_groups", "penalty_weight", "penalty_norm", "penalty", "drift_weight",
    "drift", "initialization",
)  # fmt: skip
"""Fields of the reference model alone, beside `local_features`."""

FREE = frozenset(
    {"keep", "loaders", "resident", "sample_every", "save_every", "validate_every", "validate_on"}
)
"""Fields that change nothing of what is learned: a run may go on with other values of them."""

PIX2PIX: Mapping[str, Any] = {
    "model": "pix2pix",
    "generator_width": 64,
    "local_features": "none",
    "hint_image": "aligned",
    "separate_batches": False,
    "learning_rate": 2e-4,
    "late_learning_rate": 2e-4,
    "betas": (0.5, 0.999),
    "adversarial_weight": 1.0,
    "pixel_weight": 100.0,
}
"""pix2pix as published (arXiv:1611.07004, sections 3.3 and 6), on the reference model's batches."""

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "official": {},
    "paper": {
        "dilations": (LONG, PAPER_MIDDLE, PAPER_MIDDLE, SHORT),
        "penalty_norm": "image",
        "drift": "image",
        "hint_image": "aligned",
        "separate_batches": False,
    },
    "tiny": {
        "size": 128,
        "crop": 64,
        "generator_width": 16,
        "critic_width": 8,
        "dilations": ((1, 1, 1, 1), (1, 2, 4, 1), (1, 2, 4, 1), (1, 2, 1)),
        "groups": (8, 8, 8, 8),
        "critic_groups": 4,
        "local_features": "vgg16",
        "hint_image": "aligned",
        # So few iterations must meet every hint often: 40 or so in a hinted crop.
        "hint_spread": 0.3,
        "separate_batches": False,
        "steps": 1000,
        # At 1e-3 tanh saturates on some data in the first iterations, for good.
        "learning_rate": 5e-4,
        "decay_at": 700,
        "late_learning_rate": 1e-4,
        # The content loss alone leaves colours washed after so few iterations.
        "pixel_weight": 20.0,
        "penalty_norm": "image",
        "drift": "image",
        # Layers so small lose more by waiting for each other's threads than they gain.
        "threads": 1,
        "log_every": 50,
        "save_every": 200,
        "sample_every": 200,
        "validate_every": 0,
    },
    "pix2pix": PIX2PIX,
    "pix2pix-tiny": {
        **PIX2PIX,
        "size": 128,
        "crop": 64,
        "generator_width": 16,
        "critic_width": 16,
        "hint_spread": 0.3,
        "steps": 1000,
        # The paper's rate is for many more iterations.
        "learning_rate": 1e-3,
        "late_learning_rate": 1e-3,
        "decay_at": 1000,
        "threads": 1,
        "log_every": 50,
        "save_every": 200,
        "sample_every": 200,
        "validate_every": 0,
    },
}
"""What each preset changes of the defaults. The paper does not split its dilations: ours is a guess."""


def make_config(preset: str = "official", changes: Mapping[str, Any] | None = None) -> Config:
    """A preset with some fields changed. Raises RecipeError for an unknown preset, field or value."""
    if preset not in PRESETS:
        raise RecipeError(f"there is no preset {preset!r}; expected one of {', '.join(PRESETS)}")
    return parse_config({**PRESETS[preset], **(changes or {})})


def choose_preset(name: str, device: str) -> str:
    """The preset of that name; for an empty one `official` where the device is a GPU, else `tiny`.

    Raises MissingError for one that takes months on a CPU, where the device is `auto` and there is no GPU,
    and what `choose_device` raises.
    """
    gpu = choose_device(device).type == "cuda"
    small = "pix2pix-tiny" if name.startswith("pix2pix") else "tiny"
    if name and name != small and name in PRESETS and device == "auto" and not gpu:
        raise MissingError(
            f"the preset {name} wants a GPU, and there is none here; take --device cpu --preset {small}, or "
            f"insist with --device cpu --preset {name}"
        )
    return name or ("official" if gpu else "tiny")


def parse_config(fields: Mapping[str, Any]) -> Config:
    """A Config from its fields; those not given have the default. Raises RecipeError of one sentence."""
    try:
        return Config.model_validate(fields)
    except ValidationError as error:
        reasons = "; ".join(_reason(e) for e in error.errors())
        raise RecipeError(f"the training configuration cannot be used: {reasons}") from error


def parse_assignment(text: str) -> tuple[str, Any]:
    """Split `key=value`; the value is read as JSON (`[1, 2]`, `true`, `3e-4`), else taken as a word.

    Raises RecipeError for anything else.
    """
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise RecipeError(f"{text!r} sets nothing; expected key=value, as in steps=1000")
    if "." in key:
        raise RecipeError(f"{text!r} has a dotted key, and no field has fields of its own; leave out the dot")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Names of the fields in which two runs differ so that one cannot go on where the other is."""
    return sorted(k for k in (one.keys() | other.keys()) - FREE if one.get(k) != other.get(k))


def _reason(error: Any) -> str:
    place = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"there is no field {place!r}; expected one of {', '.join(Config.model_fields)}"
    message = error["msg"].removeprefix("Value error, ")
    return f"{place}: {message}, got {error['input']!r}" if place else message
