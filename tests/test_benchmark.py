"""The benchmark in a program: what items hold, what is written, what is refused, what notebooks show."""

import ast
import base64
import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import lacbench
from lacbench.baselines.colorize import colorize, find_linearts
from lacbench.benchmark import Benchmark, Item
from lacbench.cli.main import main
from lacbench.curate import build_dataset
from lacbench.errors import InputError, OutputError
from lacbench.hints import Hint, choose_hints, load_hints
from lacbench.images import decode, read, resize_shortest, write_png
from lacbench.leaderboard import Leaderboard
from lacbench.lineart import clean
from lacbench.metrics.paired import matched, psnr
from lacbench.notebook import dabbed, item_html
from lacbench.outputs import _toml
from lacbench.pixels import levels, picture_of
from lacbench.recipe import parse_recipe
from lacbench.records import Dataset
from lacbench.scorecard import ScoreCard, load_card, save_card, score
from lacbench.submission import About, cleaned, open_submission

from made import draw_figure

LIGHT = ("lines", "paired")
"""Metrics that need no weights."""
DIRTY = '<script>alert("1")</script> | `x` & $y$ <img src=x onerror=alert(1)>'


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Two drawn true pairs, a line art without, and four illustrations of other figures."""
    folder = tmp_path_factory.mktemp("paired")
    for seed in range(6):
        write_png(folder / f"color/{seed}.png", draw_figure(seed)[0])
    for name, seed in (("lines", 0), ("lines", 1), ("others", 9)):
        write_png(folder / f"{name}/{seed}.png", draw_figure(seed)[1])
    sources = {
        "pairs": "illustrations = ['color/[0-1].png']\nlinearts = ['lines/*']\npairs = true",
        "rest": "illustrations = ['color/[2-5].png']\nlinearts = ['others/*']",
    }
    head = "[[sources]]\nkind = 'folder'\nlicense = 'CC0-1.0'"
    parts = (f"{head}\nname = '{name}'\nfolder = '{folder}'\n{told}" for name, told in sources.items())
    return build_dataset(
        parse_recipe("\n".join(["name = 'drawn'", *parts])), tmp_path_factory.mktemp("made") / "data"
    )


@pytest.fixture(scope="module")
def paired(dataset: Dataset) -> Benchmark:
    return Benchmark(dataset, "paired", size=120)


@pytest.fixture(scope="module")
def hinted(dataset: Dataset) -> Benchmark:
    return Benchmark(dataset.folder, track="hints", size=120)


def painted(item: Item) -> np.ndarray:
    """Something of a colouring, uint8 (H, W, 3)."""
    color = np.array(item.hints[0].color if item.hints else (200, 120, 90), np.uint16)
    return (item.line_art[..., None] * color // 255).astype(np.uint8)


@pytest.fixture(scope="module")
def card(hinted: Benchmark, tmp_path_factory: pytest.TempPathFactory) -> ScoreCard:
    folder = tmp_path_factory.mktemp("card") / "ours"
    with hinted.submission(folder, model=DIRTY[:90]) as outputs:
        for item in hinted:
            outputs[item.id] = painted(item)
    return hinted.score(folder, metrics=["lines", "hints"])


def test_items_are_what_every_method_is_given(dataset: Dataset, hinted: Benchmark, tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["hints", str(dataset.folder), "-o", str(tmp_path / "hints.json")])
    assert done.exit_code == 0
    published = load_hints(tmp_path / "hints.json")
    assert len(hinted) == 3 and [item.id for item in hinted] == [m.record.sha256 for m in dataset.linearts]
    for item, member in zip(hinted, dataset.linearts, strict=True):
        expected = resize_shortest(clean(read(dataset.file(member))), 120)
        assert item.line_art.dtype == np.uint8 and (item.line_art == expected).all()
        assert item.hints == published[item.id] and len(item.hints) == 12
        assert hinted[item.id].id == item.id
    own = Benchmark(dataset, "paired", size="original", hints=tmp_path / "hints.json")
    assert [item.line_art.shape for item in own] == [(240, 240)] * 3
    assert own.hints == published
    assert all(item.hints == () for item in Benchmark(dataset))
    with pytest.raises(KeyError):
        hinted["nothing"]


def test_true_pictures_are_of_the_line_arts_size(dataset: Dataset, paired: Benchmark) -> None:
    truths = {item.id: item.truth for item in paired}
    assert sum(truth is None for truth in truths.values()) == 1
    for member in dataset.linearts:
        truth, true = truths[member.record.sha256], dataset.truth(member)
        assert (truth is None) == (true is None)
        if truth is not None and true is not None:
            assert truth.shape == (120, 120, 3)
            assert psnr(*matched(truth, read(dataset.file(true)), 120)) > 40


def test_outputs_become_a_submission_with_the_commands_score(
    hinted: Benchmark, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bench = Benchmark(dataset, "hints", size=120)
    for item in bench:
        bench.submit(item.id, torch.tensor(painted(item)).permute(2, 0, 1) / 255)
    card = bench.score(metrics=["lines", "hints"], save="cards/ours.json")
    folder = tmp_path / "outputs/ours"
    for item in bench:
        assert (read(folder / f"{item.id}.png") == painted(item)).all()
    expected = score(folder, dataset, metrics=["lines", "hints"], hints=choose_hints(dataset, 12, 1))
    assert card.metrics == expected.metrics and card.digests == expected.digests
    assert (
        card.hints and card.name == "ours" and load_card(tmp_path / "cards/ours.json").digests == card.digests
    )
    again = Benchmark(dataset, "hints", size=120)
    again.submit(next(iter(again)).id, painted(next(iter(again))))
    assert len(list(folder.glob("*.png"))) == 1  # an earlier model's are gone
    with pytest.raises(InputError, match="2 of 3 line arts have no output"):
        again.score(metrics=["lines"])


def test_a_submission_is_whole_when_its_block_ends(paired: Benchmark, tmp_path: Path) -> None:
    first, second, third = paired
    with (
        pytest.raises(InputError, match=f"1 of 3 line arts have no output in .*: {third.id}; expected"),
        paired.submission(tmp_path / "ours", model="Ours", authors=["A", "B"]) as outputs,
    ):
        outputs[first.id] = painted(first)
        outputs[second.id] = painted(second)
    with pytest.raises(ZeroDivisionError), paired.submission(tmp_path / "ours", resume=True) as outputs:
        assert sorted(outputs) == [first.id, second.id] and len(outputs) == 2
        assert first.id in outputs and third.id not in outputs and "other" not in outputs
        raise ZeroDivisionError
    with paired.submission(tmp_path / "ours", resume=True) as outputs:
        outputs[third.id] = painted(third)
    opened = open_submission(tmp_path / "ours", paired.dataset).complete()
    assert opened.about == About(model="Ours", authors=("A", "B")) and not opened.hinted
    assert outputs.missing == ()
    assert paired.submission(tmp_path / "ours").missing == (first.id, second.id, third.id)


def test_a_folder_of_something_else_is_left_alone(
    paired: Benchmark, hinted: Benchmark, dataset: Dataset, tmp_path: Path
) -> None:
    colorize(Path("grey"), find_linearts(dataset.folder), tmp_path / "grey", size=60)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/notes.txt").write_text("mine")
    for name in ("grey", "notes"):
        before = sorted((tmp_path / name).iterdir())
        with pytest.raises(
            OutputError, match=r"holds what lacbench\.Benchmark did not write; choose another"
        ):
            paired.submission(tmp_path / name)
        assert sorted((tmp_path / name).iterdir()) == before
    hinted.submission(tmp_path / "hinted")
    with pytest.raises(OutputError, match="outputs of another data set or of other hints"):
        paired.submission(tmp_path / "hinted")
    (tmp_path / "told").mkdir()
    (tmp_path / "told/submission.toml").write_text("model = 'Told by hand'")
    paired.submission(tmp_path / "told")
    assert open_submission(tmp_path / "told", dataset).name == "Told by hand"


LEVELS = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
UNIT = torch.tensor(LEVELS).permute(2, 0, 1) / 255


@pytest.mark.parametrize(
    "given",
    [
        LEVELS,
        LEVELS[:, ::-1][:, ::-1],
        LEVELS.astype(np.float32) / 255,
        LEVELS / 255,
        LEVELS / 255 + 0.4 / 255,
        (LEVELS / 255).astype(np.float16),
        torch.tensor(LEVELS).permute(2, 0, 1),
        UNIT.clone().requires_grad_(),
        Image.fromarray(LEVELS),
    ],
)
def test_a_picture_may_be_an_array_a_tensor_or_an_image(given: object) -> None:
    got = picture_of(given)
    assert got.dtype == np.uint8 and got.flags.c_contiguous and (got == LEVELS).all()


def test_half_precision_and_overshoots_are_rounded() -> None:
    assert np.abs(picture_of(UNIT.bfloat16()).astype(int) - LEVELS).max() <= 1
    assert levels(np.array([-0.001, 0, 0.5 / 255 + 1e-6, 1.001])).tolist() == [0, 0, 1, 255]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (LEVELS[..., 0], r"an array \(H, W, 3\), RGB, got uint8 \(8, 8\)"),
        (torch.tensor(LEVELS), r"a tensor \(3, H, W\), RGB, got uint8 \(8, 3, 8\)|got uint8 \(8, 8, 3\)"),
        (UNIT[None], r"a tensor \(3, H, W\), RGB, got float32 \(1, 3, 8, 8\)"),
        (LEVELS.astype(np.int64), "got int64; convert it"),
        (UNIT * 2 - 1, r"floats in 0–1, got -1 to .*; map what lies in −1…1"),
        (UNIT * torch.nan, "got nan to nan"),
        (LEVELS[:0], r"got uint8 \(0, 8, 3\)"),
        (Image.new("RGBA", (8, 8)), "has transparency"),
        ("picture.png", "got str"),
    ],
)
def test_other_things_are_no_pictures(paired: Benchmark, tmp_path: Path, given: object, told: str) -> None:
    key = next(iter(paired)).id
    outputs = paired.submission(tmp_path / "ours")
    with pytest.raises(InputError, match=f"the output of {key}: .*(?:{told})"):
        outputs[key] = given
    assert outputs.missing and not list((tmp_path / "ours").glob("*.png"))


def test_outputs_of_no_line_art_or_another_aspect_are_refused(paired: Benchmark, tmp_path: Path) -> None:
    outputs = paired.submission(tmp_path / "ours")
    with pytest.raises(InputError, match="no line art 'else'; expected the id of one"):
        outputs["else"] = LEVELS
    with pytest.raises(
        InputError, match="has 8 × 6 pixels, its line art 240 × 240: expected the same aspect"
    ):
        outputs[next(iter(paired)).id] = LEVELS[:6]


@settings(max_examples=100)
@given(
    model=st.text(st.characters(codec="utf-8"), min_size=1, max_size=40).filter(cleaned),
    hints=st.booleans(),
)
def test_what_is_told_of_a_model_is_read_back(model: str, hints: bool) -> None:
    told = About.model_validate(tomllib.loads(_toml({"model": model, "authors": [model]}, hints)))
    assert told == About(model=model, authors=(model,), hints=hints)


def test_what_may_not_be_told_is_refused(paired: Benchmark, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"link: .*, got 'ftp://x'"):
        paired.submission(tmp_path / "ours", model="Ours", link="ftp://x")
    with pytest.raises(InputError, match="model: Field required"):
        paired.submission(tmp_path / "ours", authors=["A"])
    assert not (tmp_path / "ours").exists()


def test_hints_must_belong_to_the_track_and_the_line_arts(dataset: Dataset) -> None:
    with pytest.raises(InputError, match="there is no track 'fast'"):
        Benchmark(dataset, "fast")
    with pytest.raises(InputError, match="the track auto gives no hints"):
        Benchmark(dataset, hints={dataset.linearts[0].record.sha256: (Hint(0.5, 0.5, (1, 2, 3)),)})
    with pytest.raises(InputError, match="none of the hints is for one of the 3 line arts"):
        Benchmark(dataset, "hints", hints={"other": (Hint(0.5, 0.5, (1, 2, 3)),)})


def test_cards_of_a_track_are_ranked(hinted: Benchmark, card: ScoreCard, tmp_path: Path) -> None:
    fid = {"value": 50.0, "standard_error": 1.0, "interval": (48.0, 52.0), "n": (3, 6), "better": "lower"}
    first = replace(
        card, name="First", metrics={**card.metrics, "fid": {**fid, "value": 20.0, "interval": (18, 22)}}
    )
    second = replace(card, name="Second", metrics={**card.metrics, "fid": fid})
    save_card(tmp_path / "second.json", second)
    board = hinted.leaderboard([str(tmp_path / "second.json"), first])
    assert [(row.rank, row.score.card.name) for row in board.rows] == [(1, "First"), (2, "Second")]
    assert "First" in board._repr_markdown_() and "20.0 ± 1.0" in board._repr_html_()
    with pytest.raises(InputError, match="the score card of First is of another data set"):
        hinted.leaderboard([replace(first, dataset="ab" * 32)])


class Tags(HTMLParser):
    """The tags of a fragment, its text, and its pictures."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.text, self.pictures, self.attributes = "", list[bytes](), set[str]()
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag == "img":
            source = dict(attrs)["src"] or ""
            self.pictures.append(
                base64.b64decode(source.removeprefix("data:image/png;base64,"), validate=True)
            )
        else:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_what_notebooks_show_is_escaped(hinted: Benchmark, card: ScoreCard) -> None:
    figure = next(iter(card.metrics.values()))
    dirty = replace(
        card,
        name=DIRTY,
        metrics={**card.metrics, DIRTY: {**figure, "protocol": DIRTY, "warning": DIRTY}, "fid": figure},
        not_measured={DIRTY: DIRTY},
    )
    board = hinted.leaderboard(
        [dirty, replace(dirty, name="<b>", metrics={**dirty.metrics, "fid": {**figure, "value": None}})]
    )
    for shown in (dirty, board):
        page = Tags(shown._repr_html_())
        assert page.seen == {"p", "strong", "table", "thead", "tbody", "tr", "th", "td"}
        assert page.attributes == {"style", "scope"}
        assert DIRTY in page.text
        text = shown._repr_markdown_()
        assert DIRTY not in text and "<" not in re.sub(r"\\<", "", text)
        assert not re.search(r"(?<!\\)[$`]", text)
        rows = [line for line in text.splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1
    assert card.name in Tags(card._repr_html_()).text


def test_items_and_galleries_show_their_pictures(
    hinted: Benchmark, paired: Benchmark, tmp_path: Path
) -> None:
    item = next(item for item in paired if item.truth is not None)
    assert (decode(item._repr_png_())[..., 0] == item.line_art).all()
    page = Tags(item._repr_html_())
    assert len(page.pictures) == 2 and item.id[:12] in page.text
    assert (decode(page.pictures[1]) == item.truth).all()
    dabs = hinted[item.id]
    row, column = dabs.hints[-1].pixel(*dabs.line_art.shape)
    shown = decode(Tags(dabs._repr_html_()).pictures[0])
    assert tuple(shown[row, column]) == dabs.hints[-1].color
    assert (dabbed(dabs.line_art, ())[..., 2] == dabs.line_art).all()
    outputs = paired.submission(tmp_path / "ours")
    outputs[item.id] = painted(item)
    gallery = Tags(paired.show(tmp_path / "ours")._repr_html_())
    assert len(gallery.pictures) == 3 + 2 + 1  # line arts, true pictures, the one output
    assert any(
        decode(data).shape == (120, 120, 3) and (decode(data) == painted(item)).all()
        for data in gallery.pictures
    )
    assert Tags(paired.show(tmp_path / "ours", count=0)._repr_html_()).text == "no line arts"
    wide = Tags(item_html("<b>", np.zeros((300, 900), np.uint8), ()))
    assert decode(wide.pictures[0]).shape == (96, 288, 3) and wide.text == "line art <b>"


def test_a_benchmark_tells_what_it_is_of(paired: Benchmark, dataset: Dataset) -> None:
    told = Tags(paired._repr_html_()).text
    assert dataset.digest[:12] in told and "3, 2 of them with true colours" in told and "lpips-alex" in told
    assert repr(paired) == f"Benchmark({str(dataset.folder)!r}, track='paired', 3 line arts)"


def test_lacbench_has_it_but_imports_it_when_asked() -> None:
    assert lacbench.Benchmark is Benchmark and {"Benchmark", "LacFID", "__version__"} <= set(dir(lacbench))
    with pytest.raises(AttributeError, match="module 'lacbench' has no attribute 'Bench'"):
        lacbench.Bench  # noqa: B018
    code = (
        "import sys, lacbench; assert 'numpy' not in sys.modules; lacbench.Benchmark; "
        "assert 'torch' not in sys.modules; from lacbench import *; assert Benchmark is lacbench.Benchmark"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def blocks(document: str) -> list[str]:
    """A document's Python."""
    text = (Path(__file__).parents[1] / document).read_text()
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def last_value(code: str, names: dict[str, object]) -> object:
    """Run code as a notebook's cell: the value of its last line, where that is an expression."""
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "docs/python.md", "exec"), names)
    return eval(compile(ast.Expression(last.value), "docs/python.md", "eval"), names) if last else None


def test_the_documents_code_runs(
    dataset: Dataset,
    random_cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").symlink_to(dataset.folder)
    names: dict[str, object] = {}
    first, *others = blocks("docs/python.md")
    assert len(first.strip().splitlines()) <= 10 and len(others) == 7
    last_value(first, names)
    before = replace(load_card(tmp_path / "cards/ours.json"), name="Before")
    save_card(tmp_path / "cards/ours-before.json", before)
    shown = [last_value(code, names) for code in others]
    assert [hasattr(value, "_repr_html_") for value in shown] == [False] * 2 + [True] * 5
    card, metric = names["card"], names["fid"]
    assert isinstance(card, ScoreCard) and isinstance(metric, lacbench.LacFID)
    assert (card.name, card.hints, metric.n) == ("Ours", True, 3)
    (tmp_path / "cards/ours-before.json").rename(tmp_path / "cards/model-hints.json")
    (code,) = blocks("README.md")
    board = last_value(code, {"my_model": lambda line_art, hints: np.repeat(line_art[..., None], 3, axis=2)})
    assert isinstance(board, Leaderboard) and {row.score.card.name for row in board.rows} == {
        "Ours",
        "Before",
    }
    printed = capsys.readouterr().out.split()
    assert float(printed[0]) == card.fid["value"] > 0
    assert printed[1::2] == ["2", "4"] and all(float(value) > 0 for value in printed[2::2])
