"""Every number of a training of local features, checked; and the presets."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lacbench.errors import RecipeError

Positive = Annotated[int, Field(gt=0)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Objective = Literal["tags", "contrast"]
"""What is learned: tags (multi-label), or which drawing belongs to which picture."""


class FeaturesConfig(BaseModel):
    """One training of local features. The defaults are the preset `small`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    objective: Objective = "contrast"
    """What is learned."""
    size: Annotated[int, Field(ge=32, le=1024, multiple_of=16)] = 64
    """Side of the views that are trained on, in pixels. Pictures are held with a shortest side of 2 · size,
    and windows of size to 2 · size pixels of them become views."""
    batch: Annotated[int, Field(ge=2, le=4096)] = 32
    """Pictures a batch; each gives two views."""
    steps: Positive = 600
    """Iterations."""
    learning_rate: Rate = 3e-4
    """Adam's learning rate at the start; it falls to 0 as a cosine (Loshchilov and Hutter, 2017)."""
    temperature: Rate = 0.1
    """τ of the contrast: cosines are divided by it."""
    sigmas: tuple[Rate, Rate] = (0.3, 0.7)
    """Range of the drawings' thickness, in pixels of a view: σ of the XDoG, uniform."""
    unseen_sigma: Rate = 1.0
    """Thickness that held-out pictures are drawn with for the check; outside `sigmas`."""
    ink: tuple[Rate, Rate] = (0.7, 1.0)
    """Range of λ, the strength of a drawing's ink, uniform; 1 is black."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of every random number."""
    save_every: Positive = 50
    """Iterations between two saved states. Changes nothing of what is learned."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for name, (low, high) in (("sigmas", self.sigmas), ("ink", self.ink)):
            if low > high:
                raise ValueError(f"{name} is {low, high}; expected the lower end first")
        if self.sigmas[0] <= self.unseen_sigma <= self.sigmas[1]:
            raise ValueError(f"unseen_sigma is {self.unseen_sigma}; expected one outside {self.sigmas}")
        return self


FREE = frozenset({"save_every"})
"""Fields that change nothing of what is learned: a training may go on with other values of them."""

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "small": {},
    "full": {"size": 256, "batch": 128, "steps": 100_000, "save_every": 1000},
}
"""What each preset changes of the defaults: `small` is minutes of a CPU, `full` is work for a GPU."""


def make_config(preset: str, changes: Mapping[str, Any] | None = None) -> FeaturesConfig:
    """A preset with some fields changed. Raises RecipeError for an unknown preset, field or value."""
    if preset not in PRESETS:
        raise RecipeError(f"there is no preset {preset!r}; expected one of {', '.join(PRESETS)}")
    try:
        return FeaturesConfig.model_validate({**PRESETS[preset], **(changes or {})})
    except ValidationError as error:
        told = "; ".join(
            f"{'.'.join(map(str, e['loc']))}: {e['msg']}, got {e['input']!r}" for e in error.errors()
        )
        raise RecipeError(f"the local features cannot be trained so: {told}") from error
