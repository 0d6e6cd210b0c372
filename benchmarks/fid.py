"""FID end to end against pytorch-fid, clean-fid and torch-fidelity, and how its memory grows.

    python benchmarks/fid.py ../shared/data/art
    python benchmarks/fid.py ../shared/data/art --pictures 60 --repeats 1 --no-memory    a quick look

Pictures of 512 × 512 are cut from the art, deterministically, half of them for each set. Every run is a
process of its own that starts from nothing: decoding, network, statistics and distance are all in its time,
and so is the start of Python. The contestants take turns. `cached` is lacbench with another submission
against a reference that it has seen before. All use the same weights, from lacbench's cache; the peers live
in an environment of their own, made on first use below build/.

The floor is the network's 11.42 GFLOP a picture at the best rate that this machine sustains for one
convolution, measured between the runs. Seconds are the middle one of the runs (least–most), ratios those of
the least.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import click
import numpy as np
from PIL import Image

from lacbench import weights

from collect import BIN, ROOT, middle, resident, show

BUILD = ROOT / "build/bench-fid"
PEERS = ("clean-fid==0.1.35", "torch-fidelity==0.4.0", "pytorch-fid==0.3.0", "scipy<1.18")
GFLOP = 11.42
"""Of the network, a picture: twice its 5.711 G multiply-adds."""
CHECKPOINT = "pt_inception-2015-12-05-6726825d.pth"
SIDE = 512

CLEAN = """
import sys, torch, numpy as np
from cleanfid import fid
from cleanfid.inception_pytorch import InceptionV3
network = InceptionV3(output_blocks=[3], resize_input=False).eval()
# Its TorchScript is not to be had everywhere; this is the same network, fed what clean-fid feeds that one.
model = lambda x: network((x - 128) / 256 + 0.5)[0].flatten(1)
cpu = torch.device("cpu")
a, b = (fid.get_folder_features(f, model, num_workers=0, device=cpu, verbose=False) for f in sys.argv[1:3])
print("FID", fid.fid_from_feats(a, b))
"""
MEMORY = """
import sys
import numpy as np
from lacbench.metrics.features import FeatureWriter
from lacbench.metrics.frechet import frechet_distance, standard_error
from lacbench.metrics.statistics import FeatureStatistics
path, n = sys.argv[1], int(sys.argv[2])
random = np.random.default_rng(0)
with open(path, "wb") as file:
    writer = FeatureWriter(file, n)
    for top in range(0, n, 16):
        writer.write(random.random((min(16, n - top), 2048), np.float32).tobytes())
features = np.load(path, mmap_mode="r")
statistics = FeatureStatistics.from_features(features)
reference = FeatureStatistics(None, statistics.mean + 1, statistics.covariance * 2)
print("FID", frechet_distance(statistics, reference), standard_error(features, statistics, reference))
"""

Command = Callable[[Path, Path], list[str]]
"""From two folders to what is to be run."""


def cut(art: Path, count: int) -> tuple[Path, Path]:
    """Two folders of `count` pictures each, cut from the illustrations; their number decides where."""
    folders = BUILD / f"pictures-{count}/a", BUILD / f"pictures-{count}/b"
    labels = json.loads((art / "manifest.json").read_text())
    files = [art / entry["file"] for entry in labels if entry["set"] == "illustrations"]
    for at, folder in enumerate(folders):
        if (folder.parent / f"{folder.name}.ready").is_file():
            continue
        folder.mkdir(parents=True, exist_ok=True)
        for i in range(count):
            number = 2 * i + at
            with Image.open(files[number % len(files)]) as opened:
                window(opened.convert("RGB"), number).save(folder / f"{number:05}.png")
        (folder.parent / f"{folder.name}.ready").touch()
    return folders


def window(image: Image.Image, number: int) -> Image.Image:
    """A random square of the picture, brought to 512 pixels."""
    random = np.random.default_rng(number)
    side = int(min(image.size) * random.uniform(0.5, 1))
    left, top = (int(random.integers(whole - side + 1)) for whole in image.size)
    return image.crop((left, top, left + side, top + side)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def checkpoint() -> Path:
    """TORCH_HOME with the weights where pytorch-fid's and clean-fid's loaders look for them."""
    home = BUILD / "torch"
    file = home / "hub/checkpoints" / CHECKPOINT
    if not file.is_file():
        import torch
        from torchvision.models import inception_v3

        network = inception_v3(weights=None, num_classes=1008, aux_logits=False, init_weights=False)
        network.load_state_dict(weights.load("inception"), strict=False)
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.save(network.state_dict(), file)
    return home


def install_peers() -> Path:
    """The folder of commands of an environment that has the peers."""
    home = ROOT / "build/bench-fid-peers"
    if not (home / "ready").is_file():
        uv = str(BIN / "uv")
        subprocess.run([uv, "venv", "--quiet", "--clear", str(home)], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", str(home), *PEERS], check=True)
        (home / "ready").touch()
    return home / "bin"


def contestants(peers: bool) -> dict[str, Command]:
    """Who takes part."""
    own = [sys.executable, "-m", "lacbench.cli.main", "fid"]
    found: dict[str, Command] = {
        "pytorch-fid": lambda a, b: [sys.executable, "-m", "pytorch_fid", str(a), str(b), "--device", "cpu"],
        "lacbench": lambda a, b: [*own, str(a), str(b)],
        "lacbench, onnxruntime": lambda a, b: [*own, str(a), str(b), "--engine", "onnxruntime"],
    }
    if peers:
        bins, file = install_peers(), checkpoint() / "hub/checkpoints" / CHECKPOINT
        found["clean-fid"] = lambda a, b: [str(bins / "python"), "-c", CLEAN, str(a), str(b)]
        found["torch-fidelity"] = lambda a, b: [
            *(str(bins / "fidelity"), "--cpu", "--fid", "--input1", str(a), "--input2", str(b), "--silent"),
            *("--feature-extractor-weights-path", str(file), "--no-datasets-download"),
        ]  # fmt: skip
    return found


class Run(NamedTuple):
    """What one process took and said."""

    seconds: float
    cpu: float
    """Processor seconds of all its threads: on a shared machine they say more than the wall's."""
    value: float
    peak: int
    """The most bytes resident."""


def run(command: list[str], cache: Path | None = None) -> Run:
    """Run it to its end."""
    environment = {**os.environ, "TORCH_HOME": str(checkpoint()), "OMP_WAIT_POLICY": "passive"}
    environment |= {"LACBENCH_CACHE": str(cache)} if cache else {}
    printed, peak, begin = BUILD / "printed.txt", 0, time.perf_counter()
    before = processor_seconds()
    with printed.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=environment)
        while process.poll() is None:
            peak = max(peak, resident(process.pid))
            time.sleep(0.05)
    seconds, said = time.perf_counter() - begin, printed.read_text()
    if process.returncode:
        raise click.ClickException(f"{' '.join(command)[:200]} failed:\n{said[-2000:]}")
    words = said.replace(":", " ").split()
    at = max(i for i, word in enumerate(words) if word in ("FID", "frechet_inception_distance"))
    return Run(seconds, processor_seconds() - before, float(words[at + 1]), peak)


def processor_seconds() -> float:
    """Of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def fresh(*kept: str) -> Path:
    """A cache folder with the weights and the exported network, and of the rest only what is told."""
    folder, home = BUILD / "cache", weights.cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("features", "statistics"):
        if name not in kept:
            shutil.rmtree(folder / name, ignore_errors=True)
    if not (folder / "weights").exists():
        (folder / "weights").symlink_to(home / "weights")
    return folder


def race(a: Path, b: Path, count: int, repeats: int, peers: bool) -> None:
    """Print what each takes, in turns."""
    ways, runs, rate = contestants(peers), dict[str, list[Run]](), 0.0
    run(
        ways["lacbench, onnxruntime"](a, b), fresh()
    )  # exports the network, which is kept, and warms the disk
    for _ in range(repeats):
        rate = max(rate, convolution_rate())
        for name, way in ways.items():
            runs.setdefault(name, []).append(run(way(a, b), fresh()))
            if name.startswith("lacbench"):  # the first run has left the reference's features; a is new again
                forget(a, way(a, b))
                runs.setdefault(f"{name}, cached", []).append(run(way(a, b), fresh("features", "statistics")))
    pictures = 2 * count
    click.echo(f"the best convolution: {rate:.0f} GFLOP/s, so that {pictures} pictures take "
               f"{GFLOP * pictures / rate:.1f} s at least\n")  # fmt: skip
    table = [
        [
            "",
            "FID",
            "seconds",
            "CPU s",
            "pytorch-fid takes so many times",
            "of its CPU s",
            "share of the floor",
        ]
    ]
    first = runs["pytorch-fid"]
    for name, done in runs.items():
        work = GFLOP * (pictures / 2 if name.endswith("cached") else pictures)
        wall, cpu = best(done, "seconds"), best(done, "cpu")
        table.append([
            name, f"{done[0].value:.4f}", middle([one.seconds for one in done], 1),
            middle([one.cpu for one in done], 1), f"{best(first, 'seconds') / wall:.2f}",
            f"{best(first, 'cpu') / cpu:.2f}", f"{work / rate / wall:.0%}",
        ])  # fmt: skip
    show(table)


def best(runs: Sequence[Run], what: Literal["seconds", "cpu"]) -> float:
    """The least of all runs: whatever else the machine does makes a run longer, never shorter."""
    return float(min(getattr(one, what) for one in runs))


def forget(folder: Path, command: list[str]) -> None:
    """Take one folder's features out of the cache, as though its pictures were new."""
    from lacbench.metrics.features import DEFAULT, features_key
    from lacbench.metrics.sources import Pictures, find

    pictures, engine = find(folder), "onnxruntime" if "onnxruntime" in command else "torch"
    if isinstance(pictures, Pictures):
        key = features_key(pictures, DEFAULT, 0, engine, "cpu")
        (BUILD / "cache/features" / f"{key}.npy").unlink()


def convolution_rate() -> float:
    """GFLOP a second of the best of a few convolutions, channels last, sustained over a second each."""
    import torch

    best = 0.0
    for channels, side in ((64, 73), (192, 35), (256, 32), (512, 17)):
        layer = torch.nn.Conv2d(channels, channels, 3, padding=1).to(memory_format=torch.channels_last)
        batch = torch.rand(16, channels, side, side).contiguous(memory_format=torch.channels_last)
        work = 2 * 9 * channels**2 * batch[:, 0].numel() / 1e9
        with torch.inference_mode():
            layer(batch)
            begin, done = time.perf_counter(), 0
            while time.perf_counter() - begin < 1:
                layer(batch)
                done += 1
            best = max(best, work * done / (time.perf_counter() - begin))
    return best


def memory(sizes: list[int]) -> None:
    """Print the peak memory of statistics, distance and standard error of made features in a file."""
    table = [["features", "seconds", "MB at most"]]
    for size in sizes:
        path = BUILD / "features.npy"
        done = run([sys.executable, "-c", MEMORY, str(path), str(size)])
        table.append([f"{size:,}", f"{done.seconds:.1f}", f"{done.peak / 1e6:,.0f}"])
        path.unlink()
    show(table)


@click.command()
@click.argument("art", type=click.Path(path_type=Path, exists=True))
@click.option("--pictures", default=300, help="In each of the two sets.", show_default=True)
@click.option("--repeats", default=3, show_default=True)
@click.option("--peers/--no-peers", default=True, help="Also clean-fid and torch-fidelity.")
@click.option(
    "--sizes", multiple=True, type=int, default=(1000, 5000, 50_000), help="Features, for the memory."
)
@click.option("--memory/--no-memory", "with_memory", default=True)
def main(
    art: Path, pictures: int, repeats: int, peers: bool, sizes: tuple[int, ...], with_memory: bool
) -> None:
    """Print the tables."""
    BUILD.mkdir(parents=True, exist_ok=True)
    weights.fetch("inception")
    race(*cut(art, pictures), pictures, repeats, peers)
    if with_memory:
        memory(list(sizes))


if __name__ == "__main__":
    main()
