"""Vector pictures → PNG, drawn by a process of its own.

The renderer holds the interpreter's lock while it draws, can be kept drawing for years by a small file, and
takes its process down where it crashes. So it gets a process that can be killed: `python -m lacbench.svg`,
which reads requests from its standard input and ends with it. It imports nothing heavy: it starts in 50 ms.
"""

import atexit
import math
import os
import re
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from xml.etree import ElementTree

from lacbench.errors import MissingError

if sys.platform != "win32":
    import resource
    import signal

DEADLINE = 20
"""Seconds that one picture may take."""
MAX_MEMORY = 4 * 2**30
"""Bytes of address space that the process may take, where the platform has such a limit."""
MAX_DEPTH = 200
"""Elements within each other: the renderer's stack ends at some thousands."""
MAX_REFERENCES = 8
"""References within what a reference draws: each level multiplies the work."""
REFUSED = frozenset({"image", "filter", "foreignObject", "script"})
"""Elements, beside filter effects (`fe…`), that could read files or compute without end."""

FILTER_PROPERTY = re.compile(r"(?<![\w.#-])filter\s*(/\*|:(?!\s*none\b))", re.IGNORECASE)
"""A filter in CSS; what hides behind a comment counts as one."""
REFERENCE = re.compile(r"""url\(\s*['"]?\s*#([^'")\s]+)""")
"""What a property draws with."""

REQUEST = struct.Struct(">QQQ")
"""Shortest side, most pixels, bytes that follow."""
ANSWER = struct.Struct(">?Q")
"""Whether it was drawn, bytes that follow: the PNG, or the reason."""
READY = b"+"


class Renderer:
    """A process that draws: started when first needed, and anew after it had to be killed.

    Threads take turns: drawing a usual picture takes 15 ms.
    """

    def __init__(self) -> None:
        self.turn = threading.Lock()
        """Held while a picture is drawn."""
        self._process: subprocess.Popen[bytes] | None = None

    def draw(self, data: bytes, size: int, most: int) -> bytes:
        """PNG of an SVG on white, its shortest side `size` pixels, `most` pixels in all.

        Raises ValueError with the reason why there is none, MissingError where the process does not start.
        """
        with self.turn:
            process, late, answer = self._running(), threading.Event(), None

            def stop() -> None:
                late.set()
                process.kill()

            timer = threading.Timer(DEADLINE, stop)
            timer.start()
            try:
                answer = _exchange(process, REQUEST.pack(size, most, len(data)) + data)
            finally:
                timer.cancel()
                timer.join()  # from here on it is certain whether the process was killed
                if answer is None or late.is_set():
                    self.end()
        if answer is None:
            raise ValueError("it takes too long" if late.is_set() else "it crashes the renderer")
        drawn, content = answer
        if not drawn:
            raise ValueError(content.decode())
        return content

    def end(self) -> None:
        """End the process; the next picture gets a new one."""
        process, self._process = self._process, None
        if process and process.stdin and process.stdout:
            process.kill()
            process.wait()
            process.stdout.close()
            with suppress(OSError):  # what could not be sent any more
                process.stdin.close()

    def disown(self) -> None:
        """Leave the process to the one that we were forked from: two would get each other's answers."""
        process, self._process = self._process, None
        if process and process.stdin and process.stdout:
            process.poll()  # tells Popen that it is no child of ours
            process.stdin.close()
            process.stdout.close()
        self.turn.release()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process and self._process.poll() is None:
            return self._process
        self.end()
        self._process = process = subprocess.Popen(
            [sys.executable, "-P", "-m", "lacbench.svg"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us; a picture must not seem to have crashed by it
        )
        if not process.stdout or process.stdout.read(1) != READY:
            self.end()
            raise MissingError("the SVG renderer does not start; run: pip install 'lacbench[packages]'")
        return process


def _exchange(process: subprocess.Popen[bytes], request: bytes) -> tuple[bool, bytes] | None:
    """Send a request, wait for the answer: whether it was drawn, and PNG or reason. None if it died."""
    assert process.stdin and process.stdout
    try:
        process.stdin.write(request)
        process.stdin.flush()
        head = process.stdout.read(ANSWER.size)
        if len(head) < ANSWER.size:
            return None
        drawn, length = ANSWER.unpack(head)
        content = process.stdout.read(length)
        return (drawn, content) if len(content) == length else None
    except OSError:
        return None


RENDERER = Renderer()
"""This process's own; every thread may ask it."""
atexit.register(RENDERER.end)
if sys.platform != "win32":
    os.register_at_fork(
        before=RENDERER.turn.acquire, after_in_parent=RENDERER.turn.release, after_in_child=RENDERER.disown
    )


class Check:
    """What an XML parser tells of an SVG while it reads: no tree is built, nothing recurses.

    The renderer aborts on a huge canvas, overflows its stack, reads local files that a picture names, and
    computes filters and nested references without end, so it must not be asked.
    """

    def __init__(self) -> None:
        self.root: Mapping[str, str] = {}
        """The attributes of the outermost element."""
        self._names: set[str] = set()
        self._filter = False
        self._style: list[str] = []
        self._open: list[tuple[str, str]] = []  # name and id of each element that we are in
        self._drawn: dict[str, set[str]] = {}  # by id: the ids that the element, or one in it, refers to

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """An element begins."""
        name = _local(tag)
        told = {_local(key): value for key, value in attributes.items()}
        if not self._open:
            self.root = attributes
        self._names.add(name)
        self._open.append((name, told.get("id", "")))
        if len(self._open) > MAX_DEPTH:
            raise ValueError(f"it has more than {MAX_DEPTH} elements within each other")
        css = told.get("style", "")
        self._filter |= told.get("filter", "none").strip() != "none" or bool(FILTER_PROPERTY.search(css))
        targets = {target for value in told.values() for target in REFERENCE.findall(value)}
        href = told.get("href", "").strip()
        if href.startswith("#") and name != "a":
            targets.add(href[1:])
        for _, holder in self._open if targets else ():
            if holder:
                self._drawn.setdefault(holder, set()).update(targets)

    def data(self, text: str) -> None:
        """Text between elements."""
        if self._open[-1][0] == "style":
            self._style.append(text)

    def end(self, tag: str) -> None:
        """An element ends."""
        self._open.pop()

    def close(self) -> None:
        """All is read; raises ValueError for what the renderer must not be asked."""
        if risky := sorted(n for n in self._names if n in REFUSED or n.startswith("fe")):
            raise ValueError(f"it uses <{risky[0]}>")
        if self._filter or FILTER_PROPERTY.search("".join(self._style)):
            raise ValueError("it uses a filter")
        reached = set(self._drawn)
        for _ in range(MAX_REFERENCES):
            reached = {target for one in reached for target in self._drawn.get(one, ())}
        if reached:
            raise ValueError(f"it has more than {MAX_REFERENCES} references within each other")


def shape(text: str, size: int) -> tuple[int, int]:
    """Width and height in pixels of an SVG whose shortest side becomes `size`.

    Raises ValueError for a picture that could hurt (see Check), and for one without a size.
    """
    if "<!ENTITY" in text:
        raise ValueError("it defines entities")
    check = Check()
    parser = ElementTree.XMLParser(target=check)
    try:
        parser.feed(text)
        parser.close()
    except ElementTree.ParseError as error:
        raise ValueError(f"it is no XML ({error})") from error
    width, height = _sides(check.root)
    shortest = min(width, height)
    return max(size, round(width / shortest * size)), max(size, round(height / shortest * size))


def _local(name: str) -> str:
    """A name without its namespace."""
    return name.rpartition("}")[2]


def _sides(told: Mapping[str, str]) -> tuple[float, float]:
    """Width and height in any one unit, from an SVG's root attributes; raises ValueError for none."""
    sides = [re.fullmatch(r"\s*([\d.]+)\s*([a-z]*)\s*", told.get(key, "")) for key in ("width", "height")]
    if sides[0] and sides[1] and sides[0][2] == sides[1][2]:
        width, height = float(sides[0][1]), float(sides[1][1])
    else:
        box = [float(number) for number in re.split(r"[\s,]+", told.get("viewBox", "").strip()) if number]
        width, height = box[2:] if len(box) == 4 else (0.0, 0.0)
    if not (0 < width < math.inf and 0 < height < math.inf):
        raise ValueError("it has no size")
    return width, height


def _drawn(data: bytes, size: int, most: int) -> bytes:
    """PNG of an SVG; raises ValueError with the reason why there is none."""
    import resvg_py

    text = data.decode()
    width, height = shape(text, size)
    if width * height > most:
        raise ValueError(f"it is {width} × {height} pixels then, expected at most {most:,} in all")
    drawn = resvg_py.svg_to_bytes(
        svg_string=text,
        background="#ffffff",
        width=width,
        height=height,
        dpi=96.0,
        skip_system_fonts=True,  # the same picture on every machine, at the price of its text
    )
    return bytes(drawn)


def _limit_memory() -> None:
    """Let no picture take the machine's memory, nor leave a core file behind; where there are such limits."""
    if sys.platform != "win32":
        for kind, limit in ((resource.RLIMIT_AS, MAX_MEMORY), (resource.RLIMIT_CORE, 0)):
            with suppress(ValueError, OSError):  # one that is stricter already stays
                resource.setrlimit(kind, (limit, limit))


def _set_alarm(seconds: int) -> None:
    """End this process after so many seconds, whatever it does then; 0 for never.

    Its parent kills it long before. This is for the parent that was killed itself.
    """
    if sys.platform != "win32":
        signal.alarm(seconds)


def main() -> None:
    """Answer requests until the standard input ends, which it does when the parent does."""
    import resvg_py  # noqa: F401 (not to start is better than to fail at every picture)

    _limit_memory()
    source, target = sys.stdin.buffer, sys.stdout.buffer
    target.write(READY)
    target.flush()
    while len(head := source.read(REQUEST.size)) == REQUEST.size:
        size, most, length = REQUEST.unpack(head)
        data = source.read(length)
        _set_alarm(2 * DEADLINE)
        try:
            drawn, content = True, _drawn(data, size, most)
        except Exception as error:  # parser and renderer have no closed set of errors
            drawn, content = False, (str(error) or type(error).__name__).encode(errors="replace")
        _set_alarm(0)
        with suppress(BrokenPipeError):
            target.write(ANSWER.pack(drawn, len(content)) + content)
            target.flush()


if __name__ == "__main__":
    main()
