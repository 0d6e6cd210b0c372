"""What statistics cannot tell, an ONNX model may: it is asked about what the other filters kept.

Needs `lacbench[classify]`. A model runs on the CPU, on one thread, one picture at a time: its scores do not
depend on how many cores or pictures there are.
"""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lacbench.errors import InputError, IntegrityError, MissingError
from lacbench.files import sha256_bytes
from lacbench.images import Array, read
from lacbench.recipe import ClassifierSpec, FilterSpec
from lacbench.records import LedgerEntry, Record, Verdict


class Classifier:
    """A loaded model; its file was checked against the recipe's SHA-256 first."""

    def __init__(self, spec: ClassifierSpec) -> None:
        """Load it. Raises MissingError, InputError (no model there), IntegrityError (another one)."""
        self.spec = spec
        self._session = _session(spec, _checked_bytes(spec))

    def score(self, image: Array) -> float:
        """The model's score of uint8 (H, W, 3) RGB. Raises InputError where model and recipe disagree."""
        name = self._session.get_inputs()[0].name
        try:
            (first, *_) = self._session.run(None, {name: as_input(image, self.spec)})
            return float(_activated(np.asarray(first, dtype=np.float64).ravel(), self.spec)[self.spec.index])
        except Exception as error:  # onnxruntime's own errors have no common root
            raise InputError(
                f"classifier {self.spec.name} does not fit its model: {error}; see size, layout and output"
            ) from error

    def verdict(self, image: Array) -> Verdict:
        """Keep a picture on the wanted side of the threshold; the others get reason `classifier`."""
        score, limit = self.score(image), self.spec.threshold
        above = self.spec.keep == "above"
        kept = score >= limit if above else score <= limit  # NaN is kept by neither
        if kept:
            return Verdict(True)
        side = "below" if above else "above"
        return Verdict(False, "classifier", f"{self.spec.name}: {score:.4f} {side} {limit:g}")


def classify(
    records: list[Record], limits: FilterSpec, folder: Path
) -> tuple[list[Record], list[LedgerEntry]]:
    """Ask the recipe's models, in order, about records whose files lie in a data set's `folder`.

    Returns those kept, and a ledger entry for each other. Without classifiers nothing is loaded or read.
    Raises MissingError, InputError, IntegrityError as `Classifier`; ImageError for a file that is gone.
    """
    models = [Classifier(spec) for spec in limits.classifiers]
    kept, dropped = [], []
    for record in records:
        asked = [model for model in models if model.spec.set == record.candidate.set]
        image = read(folder / record.path) if asked else None
        verdicts = (model.verdict(image) for model in asked if image is not None)
        no = next((verdict for verdict in verdicts if not verdict.kept), None)
        if no is None:
            kept.append(record)
        else:
            dropped.append(LedgerEntry(record.candidate, no, record.sha256, record.statistics))
    return kept, dropped


def as_input(image: Array, spec: ClassifierSpec) -> NDArray[np.float32]:
    """What the model is given of uint8 (H, W, 3) RGB: float32 (1, 3, S, S) or (1, S, S, 3)."""
    square = _padded(image) if spec.fit == "pad" else image
    method = cv2.INTER_AREA if min(square.shape[:2]) > spec.size else cv2.INTER_CUBIC
    values = np.asarray(cv2.resize(square, (spec.size, spec.size), interpolation=method), dtype=np.float64)
    if spec.color == "bgr":
        values = values[..., ::-1]
    values = (values * spec.scale - spec.mean) / spec.std
    if spec.layout == "nchw":
        values = values.transpose(2, 0, 1)
    return np.ascontiguousarray(values[None], dtype=np.float32)


def _padded(image: Array) -> Array:
    height, width = image.shape[:2]
    side = max(height, width)
    square = np.full((side, side, 3), 255, dtype=np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = image
    return square


def _activated(outputs: NDArray[np.float64], spec: ClassifierSpec) -> NDArray[np.float64]:
    if spec.activation == "sigmoid":
        return np.asarray(0.5 * (1 + np.tanh(outputs / 2)))  # does not overflow
    if spec.activation == "softmax":
        powers = np.exp(outputs - outputs.max())
        return np.asarray(powers / powers.sum())
    return outputs


def _checked_bytes(spec: ClassifierSpec) -> bytes:
    """The model's bytes, read once: those that are checked are those that run."""
    try:
        data = spec.model.read_bytes()
    except OSError as error:
        raise InputError(
            f"classifier {spec.name}: {spec.model} cannot be read: {error.strerror or error}"
        ) from error
    found = sha256_bytes(data)
    if found != spec.sha256:
        raise IntegrityError(
            f"classifier {spec.name}: {spec.model} has SHA-256 {found}, expected {spec.sha256}; "
            "get the model that the recipe names"
        )
    return data


def _session(spec: ClassifierSpec, data: bytes) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingError(
            f"classifier {spec.name} needs onnxruntime; run: pip install 'lacbench[classify]'"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 4  # what goes wrong is raised
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own errors have no common root
        raise InputError(f"classifier {spec.name}: {spec.model} is no ONNX model: {error}") from error
