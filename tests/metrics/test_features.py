"""Features: pytorch-fid's own, whatever the sizes, the batch and the order; decoding as Pillow does it."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from pytorch_fid.inception import InceptionV3
from torch.nn.functional import interpolate
from torchvision.models import inception_v3

from lacbench import images
from lacbench.errors import ImageError, InputError, MissingError
from lacbench.metrics.decoding import read_rgb
from lacbench.metrics.features import Extractor
from lacbench.metrics.protocols import prepare
from lacbench.metrics.sources import Pictures
from lacbench.originals import read_inception_checkpoint

CHECKPOINT = "hub/checkpoints/pt_inception-2015-12-05-6726825d.pth"


def random_inception(seed: int = 0) -> dict[str, torch.Tensor]:
    """A whole state for pytorch-fid's network, scaled so that a picture's signal reaches the last pool."""
    generator = torch.Generator().manual_seed(seed)
    state = inception_v3(weights=None, num_classes=1008, aux_logits=False, init_weights=False).state_dict()
    for name, value in state.items():
        if name.endswith("conv.weight"):
            value.normal_(0, (2 / value[0].numel()) ** 0.5, generator=generator)
        elif ".bn." in name and value.is_floating_point():
            middle = 0.0 if name.endswith(("bias", "mean")) else 1.0
            value.uniform_(middle - 0.1, middle + 0.1, generator=generator)
    return state


def draw(path: Path, size: tuple[int, int], seed: int = 0, mode: str = "RGB") -> Path:
    """A smooth random picture with some noise, in any of Pillow's modes."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC), dtype=int)
    picture = Image.fromarray((smooth + random.integers(-20, 20, smooth.shape)).clip(0, 255).astype(np.uint8))
    picture.convert(mode).save(path)
    return path


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A checkpoint with random weights where pytorch-fid's own loader looks for the real one."""
    home = tmp_path_factory.mktemp("torch")
    file = home / CHECKPOINT
    file.parent.mkdir(parents=True)
    torch.save(random_inception(), file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCH_HOME", str(home))
        yield file


@pytest.fixture(scope="module")
def extractor(checkpoint: Path) -> Extractor:
    return Extractor(read_inception_checkpoint(checkpoint))


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Pictures of mixed sizes: smaller and larger than the network's, upright, wide, one pixel."""
    folder = tmp_path_factory.mktemp("pictures")
    sizes = [(299, 299), (64, 48), (512, 512), (600, 200), (1, 1), (310, 500)]
    return [draw(folder / f"{i}.png", size, seed=i) for i, size in enumerate(sizes)]


@pytest.fixture(scope="module")
def features(extractor: Extractor, paths: list[Path]) -> np.ndarray:
    return extractor.features(paths)


def test_features_are_those_of_pytorch_fid(checkpoint: Path, paths: list[Path], features: np.ndarray) -> None:
    network = InceptionV3().eval()
    assert features.shape == (len(paths), 2048) and features.dtype == np.float32
    for path, got in zip(paths, features, strict=True):
        with torch.inference_mode():
            tensor = torch.tensor(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1).float() / 255
            expected = network(tensor[None])[0][0, :, 0, 0].numpy()
        assert expected.std() > 1e-3
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5 * abs(expected).max())


def test_neither_batch_nor_order_matters(
    extractor: Extractor, paths: list[Path], features: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_by_one = [extractor.features([path]) for path in paths[:3]]
    np.testing.assert_array_equal(np.concatenate(one_by_one), features[:3])
    monkeypatch.setattr("lacbench.metrics.features.BATCH", 4)
    np.testing.assert_array_equal(extractor.features(paths[::-1])[::-1], features)


def test_no_pictures_no_features(extractor: Extractor) -> None:
    assert extractor.features([]).shape == (0, 2048)


def test_preparing_is_resizing_without_antialiasing_to_minus_1_to_1() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (40, 700, 3), dtype=np.uint8)
    scaled = torch.tensor(picture).permute(2, 0, 1)[None].double() / 255
    expected = interpolate(scaled, (299, 299), mode="bilinear", align_corners=False, antialias=False)
    prepared = prepare(picture)
    assert prepared.dtype == torch.float32 and prepared.shape == (3, 299, 299)
    torch.testing.assert_close(prepared.double(), expected[0] * 2 - 1, atol=2e-4, rtol=0)
    for level, mapped in ((0, -1), (255, 1)):
        assert (prepare(np.full((2, 2, 3), level, np.uint8)) == mapped).all()


def palette_with_alpha(path: Path) -> Path:
    picture = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).convert("P")
    picture.save(path, transparency=bytes(range(0, 256)))
    return path


def sixteen_bits(path: Path) -> Path:
    Image.fromarray((np.arange(64, dtype=np.uint16) * 900).reshape(8, 8)).save(path)
    return path


def turned(path: Path) -> Path:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(draw(path.with_suffix(".bmp"), (9, 5))).save(path, exif=exif)
    return path


def profiled(path: Path) -> Path:
    """A picture with an ICC profile that would change every value if it were applied."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    Image.open(draw(path.with_suffix(".bmp"), (9, 5))).save(path, icc_profile=profile)
    return path


def sixteen_bit_rgb(path: Path) -> Path:
    random = np.random.default_rng(0)
    assert cv2.imwrite(str(path), random.integers(0, 65536, (5, 9, 3), dtype=np.uint16))
    return path


def float_tiff(path: Path) -> Path:
    Image.fromarray(np.linspace(0, 300, 64, dtype=np.float32).reshape(8, 8)).save(path)
    return path


MAKERS = {
    "rgb.png": lambda p: draw(p, (9, 5)),
    "grey.png": lambda p: draw(p, (9, 5), mode="L"),
    "bilevel.png": lambda p: draw(p, (9, 5), mode="1"),
    "alpha.png": lambda p: draw(p, (9, 5), mode="RGBA"),
    "grey-alpha.png": lambda p: draw(p, (9, 5), mode="LA"),
    "palette.png": lambda p: draw(p, (9, 5), mode="P"),
    "palette-alpha.png": palette_with_alpha,
    "16-bit.png": sixteen_bits,
    "photo.jpg": lambda p: draw(p, (40, 24)),
    "turned.jpg": turned,
    "profiled.jpg": profiled,
    "profiled.png": profiled,
    "16-bit-rgb.png": sixteen_bit_rgb,
    "16-bit-rgb.tif": sixteen_bit_rgb,
    "float.tif": float_tiff,
    "alpha.webp": lambda p: draw(p, (9, 5), mode="RGBA"),
    "cmyk.jpg": lambda p: draw(p, (40, 24), mode="CMYK"),
    "photo.webp": lambda p: draw(p, (40, 24)),
    "old.tif": lambda p: draw(p, (9, 5), mode="CMYK"),
    "plain.bmp": lambda p: draw(p, (9, 5)),
    "plain.ppm": lambda p: draw(p, (9, 5)),
    "plain.pgm": lambda p: draw(p, (9, 5), mode="L"),
}


@pytest.mark.filterwarnings("ignore:Palette images with Transparency")
@pytest.mark.parametrize("name", MAKERS)
def test_decoding_is_pillows(tmp_path: Path, name: str) -> None:
    path = MAKERS[name](tmp_path / name)
    with Image.open(path) as image:
        expected = np.array(image.convert("RGB"))
    np.testing.assert_array_equal(read_rgb(path), expected)


def test_bombs_and_broken_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = draw(tmp_path / "whole.png", (20, 20)).read_bytes()
    for name, data in {"cut.png": whole[: len(whole) // 2], "empty.png": b"", "text.png": b"hello"}.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ImageError, match=f"{name} cannot be decoded"):
            read_rgb(tmp_path / name)
    monkeypatch.setattr(images, "MAX_PIXELS", 399)
    with pytest.raises(ImageError, match="more than 399 pixels"):
        read_rgb(tmp_path / "whole.png")


def test_every_unreadable_file_is_named(tmp_path: Path, extractor: Extractor) -> None:
    good = draw(tmp_path / "good.png", (20, 20))
    bad = [tmp_path / f"bad{i}.png" for i in range(7)]
    for path in bad:
        path.write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"2 of the pictures cannot be read: .*bad0\.png, .*bad1\.png; "):
        extractor.features([good, *bad[:2]])
    with pytest.raises(InputError, match=r"bad4\.png and 2 more; expected") as caught:
        extractor.features([*bad, good])
    assert "bad5" not in str(caught.value)


def test_the_reader_decides_what_transparency_is(tmp_path: Path) -> None:
    path = tmp_path / "clear.png"
    Image.new("RGBA", (4, 4), (200, 0, 0, 0)).save(path)
    assert read_rgb(path)[0, 0].tolist() == [200, 0, 0]
    assert images.read(path)[0, 0].tolist() == [255, 255, 255]


def test_names_do_not_change_what_pictures_are(tmp_path: Path) -> None:
    files = [draw(tmp_path / name, (5, 5), seed=i) for i, name in enumerate(["b.png", "a.png", "c.png"])]
    before = Pictures.of(files)
    assert before.sha256s == tuple(sorted(before.sha256s))
    renamed = [path.rename(tmp_path / f"x{i}.png") for i, path in enumerate(files)]
    after = Pictures.of(reversed(renamed))
    assert (after.digest, after.sha256s) == (before.digest, before.sha256s)
    draw(tmp_path / "x1.png", (5, 5), seed=9)
    assert Pictures.of(renamed).digest != before.digest
    (tmp_path / "x1.png").unlink()
    with pytest.raises(InputError, match=r"x1\.png cannot be opened \(No such file or directory\)"):
        Pictures.of(renamed)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_missing_device_is_one_sentence(checkpoint: Path) -> None:
    with pytest.raises(MissingError, match="there is no CUDA device 'cuda:1' here; use --device cpu"):
        Extractor(read_inception_checkpoint(checkpoint), device="cuda:1")
