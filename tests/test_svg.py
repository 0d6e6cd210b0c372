"""Vector pictures: what is drawn, what is refused, and that nothing takes the process down with it."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path

import pytest

from lacbench import svg
from lacbench.errors import ImageError, MissingError
from lacbench.images import MAX_SVG_BYTES, decode, render_svg

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="10"><rect width="10" height="10"/></svg>'


def test_svg_is_rendered_on_white_at_the_size() -> None:
    image = decode(render_svg(SVG.encode(), 40))
    assert image.shape == (40, 80, 3)
    assert image[20, 10].tolist() == [0, 0, 0]
    assert image[20, 70].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    ("attributes", "shape"),
    [
        ('width="1000000" height="1000000"', (40, 40, 3)),
        ('width="10mm" height="20mm"', (80, 40, 3)),
        ('viewBox="0 0 30 10"', (40, 120, 3)),
        ('width="100%" viewBox="0,0,30,10"', (40, 120, 3)),
    ],
)
def test_an_svg_of_any_unit_and_size_is_scaled(attributes: str, shape: tuple[int, ...]) -> None:
    text = f'<svg xmlns="http://www.w3.org/2000/svg" {attributes}><rect width="5" height="5"/></svg>'
    assert decode(render_svg(text.encode(), 40)).shape == shape


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('<svg width="1" height="100000"/>', "it is 512 × 51200000 pixels then"),
        ("<svg/>", "it has no size"),
        ('<svg width="0" height="0"/>', "it has no size"),
        ('<svg width="9" height="9"><image href="/etc/passwd"/></svg>', "it uses <image>"),
        ('<svg width="9" height="9"><image id=">" href="/dev/zero"/></svg>', "it is no XML|it uses <image>"),
        (
            '<s:svg xmlns:s="http://www.w3.org/2000/svg" width="9" height="9"><s:image href="/x"/></s:svg>',
            "it uses <image>",
        ),
        ('<svg width="9" height="9"><filter><feImage href="/x"/></filter></svg>', "it uses <feImage>"),
        (
            '<svg width="9" height="9"><filter><feTurbulence numOctaves="200000"/></filter></svg>',
            "it uses <fe",
        ),
        ('<!DOCTYPE s [<!ENTITY a "b">]><svg width="9" height="9"/>', "it defines entities"),
        ("<svg " * 40_000, "it is no XML"),
    ],
)
def test_an_svg_that_would_hurt_is_refused(text: str, told: str) -> None:
    with pytest.raises(ImageError, match=told):
        render_svg(text.encode(), 512)


@pytest.mark.parametrize("text", ["", "<svg", "<html></html>", "\xff"])
def test_a_broken_svg_is_refused(text: str) -> None:
    with pytest.raises(ImageError):
        render_svg(text.encode("latin-1"), 40)


HEAD = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:x="http://www.w3.org/1999/xlink" width="9" height="9">'
BOX = '<rect width="9" height="9"/>'


def drawing(inner: str) -> bytes:
    return f"{HEAD}{inner}</svg>".encode()


def masks(levels: int, uses: int) -> bytes:
    """Masks that each draw through the one before, many times."""
    chain = "".join(
        f'<mask id="m{i}">' + f'<rect width="9" height="9" mask="url(#m{i - 1})"/>' * uses + "</mask>"
        for i in range(1, levels)
    )
    last = f'<rect width="9" height="9" mask="url(#m{levels - 1})"/>'
    return drawing(f'<defs><mask id="m0">{BOX}</mask>{chain}</defs>{last}')


def uses(levels: int) -> bytes:
    chain = "".join(f'<g id="a{i}">' + f'<use x:href="#a{i - 1}"/>' * 10 + "</g>" for i in range(1, levels))
    return drawing(f'<defs><g id="a0">{BOX}</g>{chain}</defs><use x:href="#a{levels - 1}"/>')


SLOW = masks(svg.MAX_REFERENCES, 30)
"""Passes every check; takes ages."""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(svg, "DEADLINE", 1)
    yield
    assert decode(render_svg(SVG.encode(), 40)).shape == (40, 80, 3)  # whatever happened, the next is drawn


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (drawing("<g>" * 10_000 + "</g>" * 10_000), "more than 200 elements within each other"),
        (drawing('<g opacity="0.5">' * 3000 + BOX + "</g>" * 3000), "more than 200 elements"),
        (masks(29, 2), "more than 8 references within each other"),
        (uses(30), "more than 8 references"),
        (drawing('<g id="a"><use href="#a"/></g>'), "more than 8 references"),
        (drawing('<rect width="9" height="9" filter="blur(3)"/>' * 2000), "it uses a filter"),
        (drawing('<g style="opacity:1;filter : blur(3)"/>'), "it uses a filter"),
        (drawing('<g style="FILTER/**/:blur(3)"/>'), "it uses a filter"),
        (drawing("<style>.a{filter:url(#b)}</style>"), "it uses a filter"),
        (drawing("<a/>" * (MAX_SVG_BYTES // 4)), "an SVG of 2,097,.* bytes; expected at most 2,097,152"),
        (b'<svg viewBox="0 0 1%s .%s1"/>' % (b"0" * 200, b"0" * 200), "cannot convert float infinity"),
    ],
)
@pytest.mark.usefixtures("impatient")
def test_an_attack_is_refused_before_it_is_drawn(data: bytes, told: str) -> None:
    with pytest.raises(ImageError, match=f"^the picture .*{told}.*; leave it out$"):
        render_svg(data, 40)


@pytest.mark.parametrize(
    "inner",
    [
        "<g>" * 150 + BOX + "</g>" * 150,
        '<g filter="none" style="filter: none; opacity: 0.5">' + BOX + "</g>",
        "<style>.filter{fill:red} #filter{opacity:1}</style>" + BOX,
        '<g id="top"><a href="#top">' + BOX + "</a></g>",
        f'<clipPath id="c">{BOX}</clipPath><mask id="m"><g clip-path="url(#c)" fill="#fff">{BOX}</g></mask>'
        f'<g mask="url(#m)">{BOX}</g>',
    ],
)
def test_what_drawings_hold_is_still_drawn(inner: str) -> None:
    assert decode(render_svg(drawing(inner), 40)).min() < 200


def test_pixels_stay_what_they_were() -> None:
    """The digest is that of the renderer called in this process."""
    import resvg_py

    text = drawing(f'<circle cx="4" cy="4" r="3.3" fill="#a50" opacity="0.7"/>{BOX}').decode()
    here = resvg_py.svg_to_bytes(
        svg_string=text, background="#ffffff", width=64, height=64, dpi=96.0, skip_system_fonts=True
    )
    assert sha256(render_svg(text.encode(), 64)).digest() == sha256(bytes(here)).digest()


@pytest.mark.usefixtures("impatient")
def test_a_drawing_without_end_is_given_up_and_holds_nobody() -> None:
    started, longest = time.monotonic(), 0.0
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(render_svg, SLOW, 512)
        while not waiting.done():
            before = time.monotonic()
            time.sleep(0.01)
            longest = max(longest, time.monotonic() - before)
        with pytest.raises(
            ImageError, match=r"^the picture cannot be rendered: it takes too long; leave it out$"
        ):
            waiting.result()
    assert time.monotonic() - started < 10
    assert longest < 0.8


def worker() -> int:
    """The number of the process that draws for this one."""
    render_svg(SVG.encode(), 40)
    assert svg.RENDERER._process
    return svg.RENDERER._process.pid


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
def test_a_crash_of_the_renderer_is_the_pictures_fault_alone() -> None:
    crash = threading.Timer(0.3, os.kill, (worker(), signal.SIGSEGV))
    crash.start()
    with pytest.raises(ImageError, match=r"it crashes the renderer; leave it out$"):
        render_svg(SLOW, 512)
    crash.join()
    os.kill(worker(), signal.SIGKILL)  # one that dies between two pictures is nobody's fault
    time.sleep(0.3)
    worker()


def test_an_interrupt_leaves_no_answer_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(process: subprocess.Popen[bytes], request: bytes) -> None:
        assert process.stdin
        process.stdin.write(request)
        process.stdin.flush()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(svg, "_exchange", interrupted)
        render_svg(SVG.encode(), 50)
    assert decode(render_svg(SVG.encode(), 40)).shape == (40, 80, 3)


def test_threads_get_their_own_pictures() -> None:
    with ThreadPoolExecutor(8) as pool:
        drawn = list(pool.map(lambda size: decode(render_svg(SVG.encode(), size)).shape, range(10, 60)))
    assert drawn == [(size, 2 * size, 3) for size in range(10, 60)]


def test_a_daemon_may_render() -> None:
    with get_context("spawn").Pool(1) as pool:
        assert pool.apply(render_svg, (SVG.encode(), 40)) == render_svg(SVG.encode(), 40)
        pool.close()
        pool.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_gets_a_renderer_of_its_own() -> None:
    code = f"""
import os, warnings
from lacbench import svg
from lacbench.images import decode, render_svg
warnings.simplefilter("error")
render_svg({SVG.encode()!r}, 9)
first, child = svg.RENDERER._process.pid, os.fork()
for size in range(20, 40):
    assert decode(render_svg({SVG.encode()!r}, size + 40 * (not child))).shape[0] == size + 40 * (not child)
assert (svg.RENDERER._process.pid == first) is bool(child)
if child:
    assert os.waitpid(child, 0)[1] == 0
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stderr) == (0, "")


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended, but that nobody has asked about, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc here")
@pytest.mark.parametrize("ending", ["kill", "exit"])
def test_the_worker_ends_with_its_parent(ending: str) -> None:
    code = f"""
from lacbench import svg
from lacbench.images import render_svg
render_svg({SVG.encode()!r}, 9)
print(svg.RENDERER._process.pid, flush=True)
input()
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdin and parent.stdout
    with parent:
        child = int(parent.stdout.readline())
        assert is_alive(child)
        if ending == "kill":
            parent.kill()
        else:
            parent.communicate(b"\n")
    deadline = time.monotonic() + 10
    while is_alive(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_alive(child)


def test_without_the_renderer_its_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(MissingError, match=r"pip install 'lacbench\[packages\]'"):
        render_svg(SVG.encode(), 40)


def test_a_renderer_that_does_not_start_is_not_the_pictures_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    svg.RENDERER.end()
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    with pytest.raises(MissingError, match="does not start"):
        render_svg(SVG.encode(), 40)
