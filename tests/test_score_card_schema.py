"""The published JSON Schema of a score card: cards that are made keep to it, what is refused does not."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from lacbench.errors import InputError
from lacbench.metrics.claims import Mean
from lacbench.metrics.fid import FidResult
from lacbench.metrics.figure import Figure, averaged
from lacbench.metrics.registry import fid_figure
from lacbench.records import Dataset
from lacbench.scorecard import ScoreCard, load_card, make_card, save_card
from lacbench.submission import About, open_submission

SCHEMA = json.loads((Path(__file__).parents[1] / "docs/score-card.schema.json").read_text("utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)
FID = FidResult(
    "fid", 50.0, 1.0, (48.0, 52.0), (3, 5), "pytorch-fid", "ab" * 32, ("cd" * 32, "ef" * 32), "few"
)
FIGURES = {
    "fid": fid_figure(FID),
    "line-f": averaged(Mean(0.5, 0.1, 9, 2), "higher"),
    "bleeding": averaged(Mean(None, None, 0, 9), "lower"),
    "colorfulness": averaged(Mean(30.0, 1.0, 9, 0), "", of_illustrations=None),
    "lpips-alex": averaged(Mean(0.3, None, 1, 0), "lower", weights_sha256={"alexnet": "ab" * 32}),
    "recall": Figure(0.5, "higher", None, None, (9, None), {"protocol": "k = 3"}),
}


@pytest.fixture
def card(tmp_path: Path) -> dict[str, Any]:
    """A card with something of everything, as it is written."""
    told = 'model = "Ours"\nauthors = ["A"]\nlink = "https://example.org"\nhints = true\nhardware = "CPU"\n'
    (tmp_path / "submission.toml").write_text(f'{told}training_data = "{"12" * 32}"\nseconds_per_image = 2\n')
    (tmp_path / "submission.json").write_text(json.dumps({"weights": {"vgg16": "cd" * 32}}))
    bare = Dataset(tmp_path, "12" * 32, (), (), ())
    made = make_card(
        open_submission(tmp_path, bare), bare, FIGURES,
        digests={"submission": "ab" * 32, "hints": "cd" * 32}, not_measured={"kid": "too few"},
    )  # fmt: skip
    save_card(tmp_path / "card.json", made)
    told = json.loads((tmp_path / "card.json").read_text("utf-8"))
    assert isinstance(told, dict)
    return told


def test_a_card_keeps_to_the_schema(card: dict[str, Any]) -> None:
    VALIDATOR.check_schema(SCHEMA)
    VALIDATOR.validate(card)
    VALIDATOR.validate(card | {"about": None})
    assert set(card) == set(SCHEMA["properties"]) == {"lacbench_card", *ScoreCard.__dataclass_fields__}
    assert set(card["about"]) == set(SCHEMA["$defs"]["about"]["properties"]) == set(About.model_fields)


def within(value: dict[str, Any], path: str, changed: object) -> dict[str, Any]:
    """The value with one key, some levels down, changed."""
    head, _, rest = path.partition("/")
    return {**value, head: within(value[head], rest, changed) if rest else changed}


@pytest.mark.parametrize(
    ("path", "changed"),
    [
        ("lacbench_card", 3),
        ("name", ""),
        ("name", 5),
        ("name", "x" * 256),
        ("hints", "yes"),
        ("metrics/fid/value", "50"),
        ("metrics/fid/value", True),
        ("metrics/fid/standard_error", -1),
        ("metrics/fid/interval", [1]),
        ("metrics/fid/n", [1, 2, 3]),
        ("metrics/fid/n", 1.5),
        ("metrics/fid/n", -1),
        ("metrics/fid/n", 2**53),
        ("metrics/fid/better", "warmer"),
        ("metrics/fid/protocol", 5),
        ("metrics/fid/digests", "ab"),
        ("metrics/fid", {}),
        ("metrics/line-f/left_out", -1),
        ("metrics/colorfulness/of_illustrations", "30"),
        ("weights", ["vgg16"]),
        ("about/model", ""),
        ("about/link", "javascript:alert(1)"),
        ("about/more", 1),
        ("about/seconds_per_image", 0),
        ("about/training_data", "mine"),
    ],
)
def test_what_the_schema_refuses_is_refused(
    path: str, changed: object, card: dict[str, Any], tmp_path: Path
) -> None:
    broken = within(card, path, changed)
    assert not VALIDATOR.is_valid(broken)
    (tmp_path / "card.json").write_text(json.dumps(broken))
    with pytest.raises(InputError, match="is no score card"):
        load_card(tmp_path / "card.json")
