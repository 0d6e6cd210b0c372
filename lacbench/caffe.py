"""Caffe models, read without Caffe and without protobuf: the layers' blobs, by name.

A `.caffemodel` is one protobuf message, NetParameter. Only the fields below are looked at; their numbers are
those of Caffe's caffe.proto. Files of before 2015 hold V1 layers (`layers`), later ones V2 (`layer`).
"""

import math
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lacbench.errors import IntegrityError

LARGEST: Final = 2**31
"""Bytes of the largest file that is read: protobuf's own limit."""
MOST_AXES: Final = 32
"""Axes of a blob, at most: Caffe's own limit."""
VARINT, EIGHT_BYTES, BYTES, FOUR_BYTES = 0, 1, 2, 5
"""Wire types."""


class LayerFields(NamedTuple):
    """Where a version's layer message keeps its name and blobs."""

    name: int
    blobs: int


LAYERS: Final = {2: LayerFields(name=4, blobs=6), 100: LayerFields(name=1, blobs=7)}
"""The network's fields that hold layers: V1LayerParameter, LayerParameter."""
FLOATS, SHAPE, DOUBLES = 5, 7, 8
"""A blob's fields; 1 to 4 hold num, channels, height and width, where it is of the old kind."""

Blob = NDArray[np.float32]


class _MalformedError(Exception):
    """Bytes that are no such message; the public functions make a sentence of it."""


def read_caffemodel(path: Path, layers: Collection[str]) -> dict[str, tuple[Blob, ...]]:
    """The blobs of the named layers: for a convolution its weights (out, in, kH, kW), then its biases.

    Blobs have the shape that the file gives them: old ones have four dimensions, a bias (1, 1, 1, out).
    Channels stay in the order that they have in the file, BGR for most.

    Raises IntegrityError where the file is cut short, is no Caffe model, or lacks one of the layers.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise _MalformedError(f"it has more than {LARGEST} bytes")
        found = dict(_layers(memoryview(path.read_bytes()), frozenset(layers)))
        missing = [name for name in layers if name not in found]
        if missing:
            raise _MalformedError(f"it has no layer {missing[0]!r} with blobs")
    except _MalformedError as error:
        raise IntegrityError(
            f"{path} is not the Caffe model it should be: {error}; expected the blobs of "
            f"{', '.join(layers)}; download it again"
        ) from error
    return found


def _layers(net: memoryview, wanted: Collection[str]) -> Iterator[tuple[str, tuple[Blob, ...]]]:
    seen = set[str]()
    for number, layer in _fields(net):
        if number not in LAYERS or not isinstance(layer, memoryview):
            continue
        fields, name, blobs = LAYERS[number], "", list[memoryview]()
        for inner, value in _fields(layer):
            if isinstance(value, memoryview):
                if inner == fields.name:
                    name = bytes(value).decode("utf-8", "replace")
                elif inner == fields.blobs:
                    blobs.append(value)
        if blobs and name in wanted:
            if name in seen:
                raise _MalformedError(f"it has two layers {name!r} with blobs")
            seen.add(name)
            yield name, tuple(_blob(blob) for blob in blobs)


def _blob(message: memoryview) -> Blob:
    """BlobProto: a shape, old or new, and as many numbers."""
    old = dict.fromkeys((1, 2, 3, 4), 0)
    new: tuple[int, ...] | None = None
    numbers = {FLOATS: bytearray(), DOUBLES: bytearray()}  # packed or one by one, their bytes are the same
    for number, value in _fields(message):
        if number in numbers and isinstance(value, memoryview):
            numbers[number] += value
        elif number == SHAPE and isinstance(value, memoryview):
            new = tuple(islice(_dimensions(value), MOST_AXES + 1))
        elif number in old and isinstance(value, int):
            old[number] = value
    shape = tuple(old.values()) if new is None else new
    if len(numbers[FLOATS]) % 4 or len(numbers[DOUBLES]) % 8:
        raise _MalformedError("a blob's last number is not whole")
    values = np.concatenate(
        [np.frombuffer(numbers[FLOATS], "<f4"), np.frombuffer(numbers[DOUBLES], "<f8")], dtype=np.float32
    )
    if not values.size or len(shape) > MOST_AXES or math.prod(shape) != values.size:
        raise _MalformedError(f"a blob of shape {shape[:8]} has {values.size} numbers")
    return values.reshape(shape)


def _dimensions(shape: memoryview) -> Iterator[int]:
    """BlobShape: its dimensions, packed or one by one."""
    for number, value in _fields(shape):
        if number == 1 and isinstance(value, memoryview):
            position = 0
            while position < len(value):
                dimension, position = _varint(value, position)
                yield dimension
        elif number == 1 and isinstance(value, int):
            yield value


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """A message's fields in order: number, and an integer or the bytes."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        kind = key & 7
        if kind == VARINT:
            value, position = _varint(message, position)
            yield key >> 3, value
            continue
        if kind == BYTES:
            length, position = _varint(message, position)
        elif kind in (EIGHT_BYTES, FOUR_BYTES):
            length = 8 if kind == EIGHT_BYTES else 4
        else:
            raise _MalformedError(f"a field is of wire type {kind}")
        if length > len(message) - position:
            raise _MalformedError(f"it ends {length - (len(message) - position)} bytes too early")
        yield key >> 3, message[position : position + length]
        position += length


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """An integer of at most 64 bits in groups of seven, lowest first, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            raise _MalformedError("it ends within a number")
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise _MalformedError("a number has more than 64 bits")
