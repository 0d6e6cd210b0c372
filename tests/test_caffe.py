"""Caffe models: both layer versions, all encodings, every cut; of a bad one comes a sentence."""

import re
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given, settings
from hypothesis import strategies as st

from lacbench.caffe import LARGEST, read_caffemodel
from lacbench.errors import IntegrityError

from caffemodels import blob, bytes_field, caffemodel, varint

RANDOM = np.random.default_rng(0)
LAYERS = {
    "conv1": (RANDOM.normal(size=(4, 3, 3, 3)).astype(np.float32), RANDOM.normal(size=4).astype(np.float32)),
    "conv2": (RANDOM.normal(size=(200, 4, 1, 1)).astype(np.float32), np.zeros(200, np.float32)),
}


def read(tmp_path: Path, data: bytes, layers: tuple[str, ...] = ("conv1", "conv2")) -> dict:
    (tmp_path / "net.caffemodel").write_bytes(data)
    return read_caffemodel(tmp_path / "net.caffemodel", layers)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("style", ["packed", "one by one", "doubles"])
def test_blobs_come_back_as_they_were_written(tmp_path: Path, version: int, style: str) -> None:
    got = read(tmp_path, caffemodel(LAYERS, version=version, style=style))
    for name, blobs in LAYERS.items():
        for array, expected in zip(got[name], blobs, strict=True):
            assert array.dtype == np.float32
            assert np.array_equal(array.reshape(expected.shape), expected)
    assert got["conv1"][1].shape == ((1, 1, 1, 4) if version == 1 else (4,))


def messages() -> dict[str, type]:
    """Google's own protobuf, given the few fields of caffe.proto: an independent writer of the format."""
    file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
    sides = [(side, i, "INT32", "") for i, side in enumerate(("num", "channels", "height", "width"), 1)]
    fields = {
        "BlobShape": [("dim", 1, "INT64", "packed")],
        "BlobProto": [*sides, ("data", 5, "FLOAT", "packed"), ("shape", 7, "BlobShape", "")],
        "V1LayerParameter": [("name", 4, "STRING", ""), ("blobs", 6, "BlobProto", "repeated")],
        "LayerParameter": [("name", 1, "STRING", ""), ("blobs", 7, "BlobProto", "repeated")],
        "NetParameter": [
            ("name", 1, "STRING", ""),
            ("layers", 2, "V1LayerParameter", "repeated"),
            ("layer", 100, "LayerParameter", "repeated"),
        ],
    }
    for message, entries in fields.items():
        declared = file.message_type.add(name=message)
        for name, number, kind, how in entries:
            field = declared.field.add(name=name, number=number, label=3 if how else 1)
            if kind in fields:
                field.type, field.type_name = field.TYPE_MESSAGE, f".caffe.{kind}"
            else:
                field.type = getattr(field, f"TYPE_{kind}")
                field.options.packed = how == "packed"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"caffe.{name}")) for name in fields
    }


def test_what_protobuf_itself_writes(tmp_path: Path) -> None:
    made = messages()
    net = made["NetParameter"](name="oracle")
    for name, arrays in LAYERS.items():
        old, new = net.layers.add(name=name), net.layer.add(name=f"{name}_new")
        for array in arrays:
            num, channels, height, width = (1,) * (4 - array.ndim) + array.shape
            old.blobs.add(num=num, channels=channels, height=height, width=width, data=array.ravel())
            new.blobs.add(data=array.ravel()).shape.dim.extend(array.shape)
    got = read(tmp_path, net.SerializeToString(), ("conv1", "conv2_new"))
    for array, expected in zip(
        got["conv1"] + got["conv2_new"], LAYERS["conv1"] + LAYERS["conv2"], strict=True
    ):
        assert np.array_equal(array.reshape(expected.shape), expected)


def test_only_the_layers_asked_for_are_read(tmp_path: Path) -> None:
    assert list(read(tmp_path, caffemodel(LAYERS), ("conv2",))) == ["conv2"]


def test_every_cut_is_noticed(tmp_path: Path) -> None:
    whole = caffemodel({"conv1": [np.ones((2, 1, 3, 3), np.float32), np.ones(2, np.float32)]})
    for end in range(len(whole)):
        with pytest.raises(IntegrityError, match="is not the Caffe model it should be"):
            read(tmp_path, whole[:end], ("conv1",))


@settings(max_examples=300)
@given(st.data())
def test_bytes_of_any_kind_give_blobs_or_a_sentence(tmp_path_factory, data) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path_factory.getbasetemp()
    whole = bytearray(caffemodel(LAYERS, version=data.draw(st.sampled_from([1, 2]))))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, min(len(whole) - 1, 120)))] = data.draw(st.integers(0, 255))
    try:
        got = read(folder, bytes(whole), ("conv1",))
    except IntegrityError:
        return
    assert got["conv1"]


def layer(*blobs: bytes) -> bytes:
    return bytes_field(100, bytes_field(1, b"c") + b"".join(bytes_field(7, b) for b in blobs))


ONES = blob(np.ones(2), old=False)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it has no layer 'c' with blobs"),
        (b"<!DOCTYPE html>", "wire type 4"),
        (layer(), "it has no layer 'c' with blobs"),
        (layer(ONES) * 2, "two layers 'c'"),
        (layer(bytes_field(7, bytes_field(1, varint(3))) + ONES[5:]), "a blob of shape (3,) has 2 numbers"),
        (layer(bytes_field(7, bytes_field(1, varint(2**62) * 2))), "has 0 numbers"),
        (layer(bytes_field(7, bytes_field(1, varint(0) + varint(2**62)))), "has 0 numbers"),
        (layer(bytes_field(7, bytes_field(1, varint(1) * 40)) + bytes_field(5, bytes(4))), "has 1 numbers"),
        # Millions of axes: their product alone would take hours.
        (layer(bytes_field(7, bytes_field(1, b"\x7f" * 2**22)) + bytes_field(5, bytes(4))), "has 1 numbers"),
        (layer(bytes_field(5, bytes(7))), "last number is not whole"),
        (layer(bytes_field(5, bytes(8))), "a blob of shape (0, 0, 0, 0) has 2 numbers"),
        (b"\x08" + b"\xff" * 10 + b"\x01", "more than 64 bits"),
        (bytes_field(100, b"")[:-1] + varint(2**60), "bytes too early"),
    ],
)
def test_each_refusal_says_why(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(IntegrityError, match=re.escape(reason)):
        read(tmp_path, data, ("c",))


def test_a_file_beyond_protobufs_own_limit_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "big").open("wb") as file:
        file.truncate(LARGEST + 1)
    with pytest.raises(IntegrityError, match="more than 2147483648 bytes"):
        read_caffemodel(tmp_path / "big", ("c",))
