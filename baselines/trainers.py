"""The models that `lacbench train` trains: the one place that knows them by name."""

from lacbench.baselines.alacgan.config import Config
from lacbench.baselines.alacgan.step import Trainer
from lacbench.baselines.pix2pix import Pix2Pix


def trainer_of(config: Config) -> type[Trainer]:
    """The class that trains the configuration's model, and makes its networks."""
    return {"alacgan": Trainer, "pix2pix": Pix2Pix}[config.model]
