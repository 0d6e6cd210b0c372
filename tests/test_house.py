"""The house stays a house: imports point one way, every package ships, help is light."""

import ast
import importlib
import pkgutil
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

from lacbench.cli.main import main

ROOT = Path(__file__).parents[1]
FOLDERS = {"lacbench": ROOT / "lacbench", "cli": ROOT / "cli", "dashboards": ROOT / "dashboards",
           "baselines": ROOT / "baselines"}  # fmt: skip
MAY_IMPORT = {
    "lacbench": {"lacbench"},
    "baselines": {"lacbench", "baselines"},
    "dashboards": {"lacbench", "baselines", "dashboards"},
    "cli": {"lacbench", "baselines", "dashboards", "cli"},
}
PACKAGES = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
HEAVY = {"torch", "torchvision", "pandas", "cv2", "streamlit"}


def room(module: str) -> str | None:
    """The folder that a module of ours lives in; None for others' modules."""
    parts = module.split(".")
    if parts[0] != "lacbench":
        return None
    return parts[1] if len(parts) > 1 and parts[1] in FOLDERS else "lacbench"


def imported(file: Path) -> set[str]:
    """Every module that a file imports, at any depth; `from a import b` counts as a and a.b."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} has a relative import; write the whole name"
            names |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("folder", FOLDERS)
def test_imports_point_one_way(folder: str) -> None:
    files = list(FOLDERS[folder].rglob("*.py"))
    assert files
    for file in files:
        up = {m for m in imported(file) if (r := room(m)) and r not in MAY_IMPORT[folder]}
        assert not up, f"{file.relative_to(ROOT)} imports {up}"


def test_room_tells_the_folders_apart() -> None:
    assert [room(m) for m in ("lacbench.images", "lacbench.cli.main", "torch")] == ["lacbench", "cli", None]


def test_every_folder_with_code_is_a_listed_package() -> None:
    found = set()
    for name, folder in {**FOLDERS, "recipes": ROOT / "recipes"}.items():
        for file in folder.rglob("*.py"):
            inner = [name] if name == "lacbench" else ["lacbench", name]
            found.add(".".join([*inner, *file.parent.relative_to(folder).parts]))
    assert set(PACKAGES) == found


def test_every_listed_package_imports_from_another_folder(tmp_path: Path) -> None:
    code = "import importlib; " + "; ".join(f"importlib.import_module({name!r})" for name in PACKAGES)
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


def commands() -> list[list[str]]:
    """Every command's words, groups' members included."""

    def walk(command: click.Command, words: list[str]) -> list[list[str]]:
        inner = command.commands.items() if isinstance(command, click.Group) else ()
        return [words, *(w for name, c in inner for w in walk(c, [*words, name]))]

    return walk(main, [])


def test_help_of_every_command_is_light() -> None:
    code = (
        "import sys\nfrom lacbench.cli.main import main\n"
        f"for words in {commands()!r}:\n"
        "    try: main([*words, '--help'], standalone_mode=False)\n"
        "    except SystemExit: pass\n"
        f"heavy = {HEAVY!r} & set(sys.modules)\nassert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Usage:") == len(commands())


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_and_option_says_what_it_does(words: list[str]) -> None:
    command: click.Command = main
    for word in words:
        assert isinstance(command, click.Group)
        command = command.commands[word]
    assert command.help
    options = [p for p in command.params if isinstance(p, click.Option)]
    assert all(o.help for o in options), [o.name for o in options if not o.help]


def test_the_package_imports_nothing() -> None:
    code = "import sys, lacbench; assert not {m for m in sys.modules if m.startswith('lacbench.')}"
    subprocess.run([sys.executable, "-c", code], check=True)


def public_names() -> list[tuple[str, object]]:
    """Every public class and function defined in the library, the baselines, the commands and the pages."""
    found = []
    for package in PACKAGES:
        folder = importlib.import_module(package).__path__
        for info in pkgutil.iter_modules(folder, f"{package}."):
            for name, value in vars(importlib.import_module(info.name)).items():
                own = getattr(value, "__module__", None) == info.name
                if own and not name.startswith("_") and (isinstance(value, type) or callable(value)):
                    found.append((f"{info.name}.{name}", value))
    return found


def test_every_public_name_has_a_docstring() -> None:
    names = public_names()
    assert {name.split(".")[1] for name, _ in names} >= {"cli", "baselines", "dashboards", "images"}
    # A dataclass without a docstring gets its signature as one.
    bare = [n for n, v in names if not v.__doc__ or v.__doc__.startswith(f"{n.rpartition('.')[2]}(")]
    assert not bare


def test_no_file_names_the_host_of_a_registry() -> None:
    words = ["pypi" + ".org", "python" + "hosted.org", "registry" + ".npm", "deb" + ".debian.org"]
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in filter(None, listed.stdout.split("\0")):
        file = ROOT / name
        if file.is_file() and file.suffix not in {".png", ".webp"}:
            text = file.read_text()
            assert not [w for w in words if w in text], name


def test_files_beside_the_code_ship_too() -> None:
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    for name in PACKAGES:
        folder = Path(str(importlib.import_module(name).__file__)).parent
        shipped = {file for glob in ["*.py", *patterns.get(name, [])] for file in folder.glob(glob)}
        beside = {file for file in folder.iterdir() if file.is_file()}
        assert beside <= shipped, f"{name} leaves out {beside - shipped}"
