"""Small Caffe models, written field by field from caffe.proto: V1 and V2 layers, numbers in every way."""

import struct
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

Style = Literal["packed", "one by one", "doubles"]


def varint(value: int) -> bytes:
    groups = []
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def bytes_field(number: int, value: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(value)) + value


def blob(values: np.ndarray, *, old: bool, style: Style = "packed") -> bytes:
    """BlobProto: with num, channels, height and width (old), or with a shape."""
    if old:
        dimensions = (1,) * (4 - values.ndim) + values.shape
        shape = b"".join(varint(i << 3) + varint(n) for i, n in enumerate(dimensions, 1))
    else:
        shape = bytes_field(7, bytes_field(1, b"".join(varint(n) for n in values.shape)))
    match style:
        case "packed":
            numbers = bytes_field(5, values.astype("<f4").tobytes())
        case "one by one":
            numbers = b"".join(varint(5 << 3 | 5) + struct.pack("<f", value) for value in values.flat)
        case "doubles":
            numbers = bytes_field(8, values.astype("<f8").tobytes())
    return shape + numbers


def caffemodel(
    layers: Mapping[str, Sequence[np.ndarray]], *, version: Literal[1, 2] = 1, style: Style = "packed"
) -> bytes:
    """NetParameter with one convolution a name, and activations, which have no blobs, between them."""
    net = bytes_field(1, b"made-up") + varint(5 << 3) + varint(1)
    for name, blobs in layers.items():
        net += _layer(version, f"relu_{name}", [], b"ReLU", 18)
        net += _layer(
            version, name, [blob(b, old=version == 1, style=style) for b in blobs], b"Convolution", 4
        )
    return net


def _layer(version: int, name: str, blobs: Sequence[bytes], kind: bytes, kind_number: int) -> bytes:
    called = name.encode()
    if version == 1:
        body = bytes_field(2, b"bottom") + bytes_field(3, called) + bytes_field(4, called)
        body += varint(5 << 3) + varint(kind_number) + b"".join(bytes_field(6, b) for b in blobs)
        body += b"".join(varint(7 << 3 | 5) + struct.pack("<f", 1.0) for _ in blobs)  # blobs_lr
        return bytes_field(2, body)
    body = bytes_field(1, called) + bytes_field(2, kind) + bytes_field(3, b"bottom")
    body += b"".join(bytes_field(7, b) for b in blobs)
    return bytes_field(100, body)
