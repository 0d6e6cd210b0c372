"""ONNX classifiers, with a real model: it says how red a picture is."""

import builtins
import hashlib
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from lacbench.errors import InputError, IntegrityError, MissingError
from lacbench.filters import classify
from lacbench.filters.classifier import Classifier, as_input
from lacbench.images import write_png
from lacbench.recipe import ClassifierSpec, FilterSpec, parse_recipe
from lacbench.records import Candidate, Record, Set

from made import statistics

RED, BLUE = (np.full((240, 300, 3), color, np.uint8) for color in ((250, 0, 0), (0, 0, 250)))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ONNX model: the mean of each channel of (1, 3, 8, 8)."""
    import onnx
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", ["picture"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["means"]),
        ],
        "redness",
        [value("picture", TensorProto.FLOAT, [1, 3, 8, 8])],
        [value("means", TensorProto.FLOAT, [1, 3])],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path = tmp_path_factory.mktemp("model") / "redness.onnx"
    onnx.save(made, str(path))
    return path


def spec(model: Path, **told: object) -> ClassifierSpec:
    usual = {
        "name": "redness", "model": model, "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
        "set": "illustrations", "size": 8, "labels": ("red", "green", "blue"), "output": "red",
        "threshold": 0.5,
    }  # fmt: skip
    return ClassifierSpec.model_validate({**usual, **told})


def stored(folder: Path, image: np.ndarray, name: str, set: Set = "illustrations") -> Record:
    write_png(folder / f"{name}.png", image)
    return Record(name, f"{name}.png", Candidate("s", name, set, "made", "CC0-1.0"), statistics())


def test_it_judges_its_own_set_of_what_is_left(model: Path, tmp_path: Path) -> None:
    records = [
        stored(tmp_path, RED, "red"),
        stored(tmp_path, BLUE, "blue"),
        stored(tmp_path, BLUE, "lines", "linearts"),
    ]
    kept, dropped = classify(records, FilterSpec(classifiers=(spec(model),)), tmp_path)
    assert [record.sha256 for record in kept] == ["red", "lines"]
    (entry,) = dropped
    assert entry.sha256 == "blue"
    assert entry.verdict.reason == "classifier"
    assert entry.verdict.detail == "redness: 0.0000 below 0.5"


@pytest.mark.parametrize(
    ("told", "red"),
    [
        ({}, 250 / 255),
        ({"output": 2}, 0.0),
        ({"color": "bgr"}, 0.0),
        ({"scale": 1.0, "mean": (50, 0, 0), "std": (2, 1, 1)}, 100.0),
        ({"activation": "sigmoid"}, 1 / (1 + np.exp(-250 / 255))),
        ({"activation": "softmax"}, np.exp(250 / 255) / (np.exp(250 / 255) + 2)),
        ({"fit": "pad"}, (60 * 255 + 240 * 250) / 300 / 255),
    ],
    ids=str,
)
def test_every_setting_counts(model: Path, told: dict[str, object], red: float) -> None:
    assert Classifier(spec(model, **told)).score(RED) == pytest.approx(red, abs=2e-3)


def test_scores_are_the_same_again(model: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (77, 91, 3)).astype(np.uint8)
    assert Classifier(spec(model)).score(image) == Classifier(spec(model)).score(image)


def test_below_keeps_the_other_side(model: Path) -> None:
    classifier = Classifier(spec(model, keep="below"))
    assert classifier.verdict(BLUE).kept
    assert "above 0.5" in classifier.verdict(RED).detail


def test_layouts(model: Path) -> None:
    assert as_input(RED, spec(model)).shape == (1, 3, 8, 8)
    assert as_input(RED, spec(model, layout="nhwc")).shape == (1, 8, 8, 3)
    with pytest.raises(InputError, match="redness does not fit"):
        Classifier(spec(model, layout="nhwc")).score(RED)
    with pytest.raises(InputError, match="redness does not fit"):
        Classifier(spec(model, output=3)).score(RED)


def test_another_model_is_refused(model: Path) -> None:
    with pytest.raises(IntegrityError, match="expected 00"):
        Classifier(spec(model, sha256="0" * 64))


def test_no_model_and_no_onnx(tmp_path: Path) -> None:
    path = tmp_path / "empty.onnx"
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match="no ONNX model"):
        Classifier(spec(path))
    made = spec(path)
    path.unlink()
    with pytest.raises(InputError, match="cannot be read"):
        Classifier(made)


def test_the_extra_is_named_where_it_is_missing(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = builtins.__import__

    def without(name: str, *rest: object, **more: object) -> object:
        if name == "onnxruntime":
            raise ImportError(name)
        return found(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingError, match=r"pip install 'lacbench\[classify\]'"):
        Classifier(spec(model))


def test_without_classifiers_nothing_is_read(tmp_path: Path) -> None:
    record = Record("x", "gone.png", Candidate("s", "x", "illustrations", "made", "CC0"), statistics())
    assert classify([record], FilterSpec(), tmp_path) == ([record], [])


def test_a_recipe_names_its_classifiers(model: Path) -> None:
    text = f"""
name = "judged"
[[filters.classifiers]]
name = "redness"
model = "redness.onnx"
sha256 = "{hashlib.sha256(model.read_bytes()).hexdigest()}"
set = "illustrations"
size = 8
mean = [0.5, 0.5, 0.5]
threshold = 0.2
[[sources]]
name = "art"
kind = "folder"
folder = "."
illustrations = ["*"]
"""
    limits = parse_recipe(text, model.parent).filters.relative_to(model.parent)
    assert Classifier(limits.classifiers[0]).score(RED) == pytest.approx(250 / 255 - 0.5)


def test_specs_that_do_not_hold(model: Path) -> None:
    for wrong in ({"output": "pink"}, {"output": -1}, {"std": (1, 0, 1)}, {"sha256": "abc"}, {"size": 0}):
        with pytest.raises(ValidationError):
            spec(model, **wrong)
    with pytest.raises(ValidationError, match="names must differ"):
        FilterSpec(classifiers=(spec(model), spec(model)))


def test_models_are_looked_for_beside_the_recipe(model: Path) -> None:
    relative = spec(model).model_copy(update={"model": Path(model.name)})
    (found,) = FilterSpec(classifiers=(relative,)).relative_to(model.parent).classifiers
    assert found.model == model.resolve()
