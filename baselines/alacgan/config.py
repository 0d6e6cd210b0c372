"""Every number of a training run, checked; and the presets."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lacbench.errors import RecipeError

Positive = Annotated[int, Field(gt=0)]
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

    size: Size = 512
    """Shortest side of the pictures, in pixels; a data set's pairs must have been drawn at this size."""
    crop: Positive = 512
    """Side of the square that is trained on, in pixels: 64 times a power of two."""
    generator_width: Width = 32
    """Channels of the generator at full resolution; they double at each of the four halvings."""
    critic_width: Width = 64
    """Channels of the critic at full resolution."""
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
    """Pictures a batch."""
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
    """Weight of −E[D(ŷ)] in the generator's loss; the content loss has 1."""
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
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of every random number of the run."""
    threads: Annotated[int, Field(ge=0)] = 0
    """Threads on a CPU, 0 for PyTorch's own number; another number gives other last bits."""
    log_every: Positive = 100
    """Iterations between two lines of the log."""
    save_every: Positive = 1000
    """Iterations between two checkpoints."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        depth = self.crop // 64
        if self.crop % 64 or depth & (depth - 1):
            raise ValueError(f"crop is {self.crop}; expected 64, 128, 256, 512 or another doubling")
        if self.crop > self.size:
            raise ValueError(f"crop is {self.crop}; expected at most size, which is {self.size}")
        if self.batch % 2:
            raise ValueError(f"batch is {self.batch}; expected an even number: half of a batch has no hints")
        if self.save_every % self.log_every:
            raise ValueError(
                f"save_every is {self.save_every}; expected a multiple of log_every, {self.log_every}"
            )
        if self.ink[0] > self.ink[1]:
            raise ValueError(f"ink is {self.ink}; expected the lower end first")
        for scale, groups in zip((8, 4, 2, 1), self.groups, strict=True):
            if self.generator_width * scale % groups:
                raise ValueError(f"groups {groups} does not divide {self.generator_width * scale} channels")
        if self.critic_width % (2 * self.critic_groups):
            raise ValueError(f"critic_groups {self.critic_groups} does not divide {self.critic_width // 2}")
        return self


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
    },
}
"""What each preset changes of the defaults. The paper does not split its dilations: ours is a guess."""


def make_config(preset: str = "official", changes: Mapping[str, Any] | None = None) -> Config:
    """A preset with some fields changed. Raises RecipeError for an unknown preset, field or value."""
    if preset not in PRESETS:
        raise RecipeError(f"there is no preset {preset!r}; expected one of {', '.join(PRESETS)}")
    return parse_config({**PRESETS[preset], **(changes or {})})


def parse_config(fields: Mapping[str, Any]) -> Config:
    """A Config from its fields; those not given have the default. Raises RecipeError of one sentence."""
    try:
        return Config.model_validate(fields)
    except ValidationError as error:
        reasons = "; ".join(_reason(e) for e in error.errors())
        raise RecipeError(f"the training configuration cannot be used: {reasons}") from error


def parse_assignment(text: str) -> tuple[str, Any]:
    """Split `key=value`; the value is read as JSON (`[1, 2]`, `true`, `3e-4`), else taken as a word."""
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise RecipeError(f"{text!r} sets nothing; expected key=value, as in steps=1000")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def _reason(error: Any) -> str:
    place = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"there is no field {place!r}; expected one of {', '.join(Config.model_fields)}"
    message = error["msg"].removeprefix("Value error, ")
    return f"{place}: {message}, got {error['input']!r}" if place else message
