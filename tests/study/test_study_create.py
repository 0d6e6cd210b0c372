"""From a study file to a folder: what is imported, what is refused, what a killed run leaves."""

import json
import multiprocessing
import os
import re
import shutil
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import sqlalchemy as sa

from lacbench.errors import ImageError, InputError, OutputError, StudyError
from lacbench.files import sha256_file
from lacbench.images import read, write_png
from lacbench.study import create, store
from lacbench.study.create import create_study
from lacbench.study.design import parse_design
from lacbench.study.session import Study
from lacbench.study.stimuli import shape_of

from made import Listener, build, draw_figure
from studies import METHODS, coloured, make_study, study_file


def chunks(png: bytes) -> list[bytes]:
    """Kinds of a PNG's chunks, in order."""
    kinds, at = [], 8
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        kinds.append(kind)
        at += 12 + length
    return kinds


def stimuli(study: Study) -> dict[tuple[str, str], str]:
    """SHA-256 of what is shown, by line art and method; of the line art under no method."""
    joined = sa.select(store.item.c.name, store.stimulus.c.method, store.stimulus.c.picture).join_from(
        store.stimulus, store.item
    )
    with study.store.reading() as connection:
        outputs = {(row.name, row.method): row.picture for row in connection.execute(joined)}
        arts = {(row.name, ""): row.picture for row in connection.execute(sa.select(store.item))}
    return outputs | arts


def with_text(png: Path, text: str) -> None:
    """Put a text chunk into a PNG file, after its header."""
    data = png.read_bytes()
    chunk = b"tEXt" + b"Software\x00" + text.encode()
    whole = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    png.write_bytes(data[:33] + whole + data[33:])


def test_every_picture_is_encoded_anew_at_one_size_without_metadata(tmp_path: Path) -> None:
    dataset = coloured(tmp_path)
    files = {m: {p.stem: p for p in (tmp_path / f"outputs/{m}").iterdir()} for m in METHODS}
    for path in files["ours"].values():
        with_text(path, "made by ours")
    for path in files["noisy"].values():  # a grey JPEG under a PNG's name
        path.write_bytes(cv2.imencode(".jpg", cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))[1].tobytes())
    with create_study(study_file(tmp_path, size=48), tmp_path / "study") as study:
        kept = stimuli(study)
        assert len(kept) == 5 * 4
        for sha256 in kept.values():
            path = study.picture(sha256)
            assert path.name == f"{sha256}.png" and sha256_file(path) == sha256
            data = path.read_bytes()
            assert set(chunks(data)) == {b"IHDR", b"IDAT", b"IEND"}
            assert struct.unpack(">IIBB", data[16:26]) == (48, 48, 8, 2)  # 8-bit RGB, all of them
        for member in dataset.linearts:
            shown = read(study.picture(kept[member.record.sha256, "ours"]))
            source = read(files["ours"][member.record.sha256])
            assert (shown == cv2.resize(source, (48, 48), interpolation=cv2.INTER_AREA)).all()
    everything = b"".join(p.read_bytes() for p in (tmp_path / "study/media").rglob("*.png"))
    assert b"ours" not in everything


def test_equal_outputs_share_a_file_and_sizes_are_those_of_the_line_art(tmp_path: Path) -> None:
    dataset = coloured(tmp_path)
    for member in dataset.linearts:
        name = f"{member.record.sha256}.png"
        image = read(tmp_path / "outputs/ours" / name)
        write_png(tmp_path / "outputs/grey-floor" / name, image)
        write_png(tmp_path / "outputs/noisy" / name, image[:32, :31])  # within rounding of 240 × 240
    with create_study(study_file(tmp_path), tmp_path / "study") as study:
        kept = stimuli(study)
        for member in dataset.linearts:
            key = member.record.sha256
            assert kept[key, "ours"] == kept[key, "grey-floor"] != kept[key, "noisy"]
            assert {read(study.picture(kept[key, m])).shape for m in (*METHODS, "")} == {(64, 64, 3)}
        assert len(list((study.folder / "media").rglob("*.png"))) == 15


def test_shapes_keep_the_longest_side() -> None:
    assert shape_of(1000, 500, 512) == (512, 256)
    assert shape_of(300, 900, 512) == (171, 512)
    assert shape_of(4000, 1, 64) == (64, 1)


def test_an_output_of_another_aspect_is_named(tmp_path: Path) -> None:
    dataset = coloured(tmp_path)
    path = tmp_path / f"outputs/noisy/{dataset.linearts[3].record.sha256}.png"
    write_png(path, np.zeros((90, 96, 3), np.uint8))
    with pytest.raises(
        StudyError, match=re.escape(f"{path} (noisy) has 96 × 90 pixels, its line art 240 × 240")
    ):
        create_study(study_file(tmp_path), tmp_path / "study")


def test_missing_and_unreadable_outputs_are_named(tmp_path: Path) -> None:
    dataset = coloured(tmp_path)
    path = tmp_path / f"outputs/noisy/{dataset.linearts[0].record.sha256}.png"
    path.write_bytes(b"no picture")
    with pytest.raises(ImageError, match=f"{path} is no picture"):
        create_study(study_file(tmp_path), tmp_path / "study")
    path.unlink()
    with pytest.raises(InputError, match=f"1 of 5 line arts have no output in .*noisy: {path.name}"):
        create_study(study_file(tmp_path), tmp_path / "other")
    # Only those that are drawn must be there.
    others = [m.record.sha256 for m in dataset.linearts[1:]]
    file = study_file(tmp_path)
    file.write_text(file.read_text().replace("[items]", f"[items]\nlist = {json.dumps(others)}"))
    with create_study(file, tmp_path / "study") as study:
        assert study.told["items"] == 4


def test_folders_that_moved_are_named(tmp_path: Path) -> None:
    coloured(tmp_path)
    file = study_file(tmp_path)
    (tmp_path / "outputs/ours").rename(tmp_path / "moved")
    with pytest.raises(InputError, match=r"outputs/ours is not there"):
        create_study(file, tmp_path / "study")
    (tmp_path / "data").rename(tmp_path / "gone")
    with pytest.raises(InputError, match=str(tmp_path / "data")):
        create_study(file, tmp_path / "study")
    with pytest.raises(StudyError, match=r"nothing\.toml cannot be read as a study file: No such file"):
        create_study(tmp_path / "nothing.toml", tmp_path / "study")


def test_an_empty_data_set_is_refused(tmp_path: Path) -> None:
    coloured(tmp_path)
    shutil.rmtree(tmp_path / "data")
    for seed in range(3):
        write_png(tmp_path / f"only/illustrations/{seed}.png", draw_figure(seed)[0])
    with pytest.raises(InputError, match="has no linearts"):
        build(tmp_path / "only", tmp_path / "data")
    with pytest.raises(StudyError, match="has 0 line arts; expected 2 for the study"):
        create_study(study_file(tmp_path), tmp_path / "study")


def test_line_arts_are_drawn_by_seed_and_training_has_its_own(tmp_path: Path) -> None:
    dataset = coloured(tmp_path, items=8)
    ids = {m.record.sha256 for m in dataset.linearts}
    drawn = []
    for number, seed in enumerate((1, 1, 2)):
        file = study_file(tmp_path, "raters = 2\ntraining = 2", extra="")
        text = file.read_text().replace("seed = 1", f"seed = {seed}").replace("[items]", "[items]\ndraw = 4")
        file.write_text(text)
        with create_study(file, tmp_path / f"study{number}") as study, study.store.reading() as connection:
            roles = sa.select(store.item.c.name, store.assignment.c.role).join_from(
                store.assignment, store.item
            )
            rows = connection.execute(roles).all()
        items = {row.name for row in rows if row.role == "main"}
        training = {row.name for row in rows if row.role == "training"}
        assert len(items) == 4 and len(training) == 2 and not items & training and items | training <= ids
        drawn.append((items, training))
    assert drawn[0] == drawn[1] != drawn[2]
    file.write_text(text.replace("draw = 4", "draw = 7"))
    with pytest.raises(
        StudyError, match="has 8 line arts; expected 7 for the study and 2 others for training"
    ):
        create_study(file, tmp_path / "more")


def test_the_same_file_gives_the_same_study_under_other_keys(tmp_path: Path) -> None:
    coloured(tmp_path)
    orders, keys, told = [], [], []
    for name in ("one", "two"):
        with (
            create_study(study_file(tmp_path), tmp_path / name) as study,
            study.store.reading() as connection,
        ):
            a, s, o = store.assignment, store.shown, store.stimulus
            rows = connection.execute(
                sa.select(a.c.rater, a.c.position, a.c.key, o.c.picture).join_from(a, s).join(o)
                .order_by(a.c.rater, a.c.position)
            ).all()  # fmt: skip
            orders.append([(row.rater, row.position, row.picture) for row in rows])
            keys.append({row.key for row in rows})
            told.append(dict(study.told))
    assert orders[0] == orders[1]
    assert len(keys[0]) == len(orders[0]) and not keys[0] & keys[1]
    assert told[0]["digest"] == told[1]["digest"] and told[0]["study"] != told[1]["study"]


def test_the_studys_digest_covers_pictures_and_design(tmp_path: Path) -> None:
    dataset = coloured(tmp_path)
    digests = []
    shutil.copytree(tmp_path, elsewhere := tmp_path.with_name("elsewhere"))
    with create_study(study_file(elsewhere), elsewhere / "study") as study:
        told = study.told["digest"]
    for number, change in enumerate(("", "picture", "seed")):
        file = study_file(tmp_path)
        if change == "picture":
            name = f"{dataset.linearts[0].record.sha256}.png"
            write_png(tmp_path / "outputs/ours" / name, np.zeros((96, 96, 3), np.uint8))
        if change == "seed":
            file.write_text(file.read_text().replace("seed = 1", "seed = 2"))
        with create_study(file, tmp_path / f"study{number}") as study:
            digests.append(study.told["digest"])
    assert len(set(digests)) == 3 and digests[0] == told


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    coloured(tmp_path)
    file, folder = study_file(tmp_path), tmp_path / "study"
    folder.mkdir()
    (folder / "thesis.txt").write_text("all of it")
    with pytest.raises(OutputError, match=r"holds thesis.txt, which is no study's; choose an empty folder"):
        create_study(file, folder)
    (folder / "thesis.txt").unlink()
    create_study(file, folder).store.close()
    before = (folder / "ratings.sqlite").read_bytes()
    with pytest.raises(OutputError, match="holds a study already"):
        create_study(file, folder)
    assert (folder / "ratings.sqlite").read_bytes() == before


def die(*_: object) -> None:
    os._exit(9)


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("moment", ["keep_media", "_fill", "write_json"])
def test_a_killed_run_is_gone_on_with(tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    coloured(tmp_path)
    file, folder = study_file(tmp_path), tmp_path / "study"
    with monkeypatch.context() as patch:
        patch.setattr(create, moment, die)
        process = multiprocessing.get_context("fork").Process(target=create_study, args=(file, folder))
        process.start()
        process.join(60)
    assert process.exitcode == 9
    with pytest.raises(StudyError, match="holds no study"):
        Study.open(folder)
    with create_study(file, folder) as study:
        assert len(study.progress()) == 3


def test_what_was_made_is_told(tmp_path: Path) -> None:
    coloured(tmp_path)
    listener = Listener()
    create_study(study_file(tmp_path), tmp_path / "study", progress=listener).store.close()
    assert listener.said == ["study: 5 line arts × 3 methods for 3 raters, 45 trials in all"]


def test_a_study_that_was_moved_is_whole(tmp_path: Path) -> None:
    make_study(tmp_path).store.close()
    shutil.rmtree(tmp_path / "outputs")
    (tmp_path / "study").rename(tmp_path / "elsewhere")
    with pytest.raises(StudyError, match=r"study holds no study \(study.json: No such file"):
        Study.open(tmp_path / "study")
    with Study.open(tmp_path / "elsewhere") as study:
        assert study.name == "drawn" and study.design.ratings.raters == 3
        assert all(study.picture(sha256).is_file() for sha256 in stimuli(study).values())


@pytest.mark.parametrize("text", ["{", "[]", "null", '{"lacbench_study": 1}', "[" * 100_000])
def test_a_broken_study_is_refused(tmp_path: Path, text: str) -> None:
    make_study(tmp_path).store.close()
    (tmp_path / "study/study.json").write_text(text)
    with pytest.raises(StudyError, match=r"study\.json cannot be read"):
        Study.open(tmp_path / "study")


def test_a_study_of_another_version_or_without_ratings_is_refused(tmp_path: Path) -> None:
    make_study(tmp_path).store.close()
    folder = tmp_path / "study"
    told = json.loads((folder / "study.json").read_text())
    (folder / "study.json").write_text(json.dumps({**told, "lacbench_study": 9}))
    with pytest.raises(StudyError, match="layout 9; expected 1"):
        Study.open(folder)
    (folder / "study.json").write_text(json.dumps({**told, "study": "another"}))
    with pytest.raises(StudyError, match="does not hold the study"):
        Study.open(folder)
    (folder / "ratings.sqlite").unlink()
    with pytest.raises(StudyError, match=r"ratings.sqlite, which holds the study's ratings, is not there"):
        Study.open(folder)
    assert not (folder / "ratings.sqlite").exists()


@pytest.mark.parametrize("sha256", ["../study", "0" * 64, "", "/etc/passwd", "../../study.toml\x00"])
def test_only_pictures_of_the_study_are_served(tmp_path: Path, sha256: str) -> None:
    with make_study(tmp_path) as study, pytest.raises(StudyError, match="holds no picture"):
        study.picture(sha256)


GOOD = """
name = "s"
data = "data"
[methods]
a = "a"
b = "b"
[ratings]
raters = 2
"""


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("raters = 2", "rater = 2"), "unknown key, did you mean `raters`"),
        (("raters = 2", "raters = 0"), "ratings.raters: Input should be greater than or equal to 1"),
        (('b = "b"', 'a = "b"'), "is no TOML: Cannot overwrite a value"),
        (('b = "b"', 'b = "./a"'), "one folder to several methods"),
        (('b = "b"', ""), "methods: Dictionary should have at least 2 items"),
        (('b = "b"', '"gold:1" = "b"'), "no method's name"),
        (('b = "b"', '" " = "b"'), "no method's name"),
        (("raters = 2", 'raters = 2\nmode = "pairwise"\nshown = 3'), "shown = 3 asks for more"),
        (("raters = 2", "raters = 2\nshown = 2"), 'belong to mode = "pairwise"'),
        (("[ratings]", "[items]\ndraw = 3\nlist = ['abcdef']\n[ratings]"), "`draw` or `list`, not both"),
        (("[ratings]", "[items]\nlist = ['abcdef', 'abcdef']\n[ratings]"), "'abcdef' is listed twice"),
        (("[ratings]", "[items]\nlist = ['abc']\n[ratings]"), "'abc' is no line art's id"),
        (("[ratings]", "[screening]\nrule = 'mine'\n[ratings]"), "screening.rule: Input should be 'none'"),
        (
            ("[methods]", "[[gold]]\nitem = 'abcdef'\npicture = 'x'\nexpected = [0]\n[methods]"),
            "expected scores from 1 to 5",
        ),
        (("name =", "name ="), None),
    ],
)  # fmt: skip
def test_study_files_that_do_not_hold_are_told_why(change: tuple[str, str], sentence: str | None) -> None:
    text = GOOD.replace(*change)
    if sentence is None:
        design = parse_design(text, Path("/place"))
        assert design.methods == {"a": Path("/place/a"), "b": Path("/place/b")}
        assert design.data == Path("/place/data")
        return
    with pytest.raises(StudyError, match=re.escape(sentence)):
        parse_design(text)


def test_the_study_file_that_the_docs_show_holds() -> None:
    page = (Path(__file__).parents[2] / "docs/study.md").read_text()
    block = re.search(r"```toml\n(.*?)```", page, re.DOTALL)
    design = parse_design(block[1], Path("/place"))
    assert list(design.methods) == ["model", "model-hints", "grey"]
    assert design.gold[0].picture == Path("/place/gold/noise.png")
    assert design.told.split("\n\n")[1] == "Go by your first impression."


def test_gold_is_for_scores() -> None:
    gold = "[[gold]]\nitem = 'abcdef'\npicture = 'x'\nexpected = [1]\n[methods]"
    text = GOOD.replace("[methods]", gold).replace("raters = 2", 'raters = 2\nmode = "pairwise"')
    with pytest.raises(StudyError, match="expected none in pairwise mode"):
        parse_design(text)


def test_ids_must_name_one_line_art(tmp_path: Path) -> None:
    coloured(tmp_path)
    file = study_file(tmp_path)
    file.write_text(file.read_text().replace("[items]", "[items]\nlist = ['000000', '000001']"))
    with pytest.raises(StudyError, match="000000 is the beginning of no line art ids"):
        create_study(file, tmp_path / "study")


def test_a_study_file_holds_no_password(tmp_path: Path) -> None:
    coloured(tmp_path)
    file = study_file(tmp_path, extra='database = "postgresql://me:secret@127.0.0.1:1/db"')
    with pytest.raises(StudyError, match="study files are passed on") as refusal:
        create_study(file, tmp_path / "study")
    assert "secret" not in str(refusal.value)
    assert not (tmp_path / "study").exists()


@pytest.mark.postgresql
def test_the_study_file_may_name_the_database(
    tmp_path: Path, postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from postgres import PASSWORD, new_database

    monkeypatch.delenv(store.DATABASE, raising=False)
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    url = new_database(postgresql, "named").replace(f":{PASSWORD}", "")
    with make_study(tmp_path, extra=f'database = "{url}"') as study:
        assert study.store.engine.dialect.name == "postgresql"
        assert not (study.folder / "ratings.sqlite").exists()
        assert PASSWORD not in "".join(p.read_text() for p in study.folder.glob("study.*"))
