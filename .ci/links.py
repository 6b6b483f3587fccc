"""Checks that every relative link in the repository's Markdown files leads to a file and, if it names one, to a heading.
With `--book FOLDER` it checks the pages of the book that was built there instead.

Links to other sites are not followed: a gate that depends on the network fails for reasons that nobody here can mend.
"""

import re
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

FENCE = re.compile(r"^ {0,3}(```+|~~~+)")
INLINE_CODE = re.compile(r"(`+)(?:(?!\1).)*?\1")
INLINE_LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
REFERENCE = re.compile(r"^ {0,3}\[[^\]]+\]:\s*<?(\S+?)>?(?:\s|$)")
ATTRIBUTE = re.compile(r"<(?:a|img)\b[^>]*?\b(?:href|src)=\"([^\"]+)\"")
ANCHOR = re.compile(r"<a\b[^>]*?\b(?:id|name)=\"([^\"]+)\"")
HEADING = re.compile(r"^ {0,3}#{1,6}\s+(.*?)\s*#*\s*$")
OTHER_SITE = re.compile(r"^[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def main() -> int:
    match sys.argv[1:]:
        case []:
            faults = [fault for path in markdown_files() for fault in faults_of(path)]
        case ["--book", folder]:
            faults = [fault for path in sorted(Path(folder).rglob("*.html")) for fault in faults_of_page(path)]
        case _:
            sys.exit("usage: links.py [--book FOLDER]")
    print("\n".join(faults) or "every relative link leads somewhere")
    return 1 if faults else 0


def markdown_files() -> list[Path]:
    """Returns the Markdown files that git knows or would add, so that a new file is checked before its first commit."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*.md"]
    names = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\0")
    return [Path(name) for name in sorted(set(names)) if name and Path(name).is_file()]


def faults_of(path: Path) -> list[str]:
    faults = []
    for number, line in prose(path):
        text = INLINE_CODE.sub("", line)
        targets = INLINE_LINK.findall(text) + REFERENCE.findall(text) + ATTRIBUTE.findall(text)
        faults += [f"{path}:{number}: {fault}" for target in targets if (fault := fault_of(path, target))]
    return faults


def fault_of(path: Path, target: str) -> str | None:
    if OTHER_SITE.match(target) or target.startswith("//"):
        return None
    name, _, anchor = unquote(target).partition("#")
    file = path if not name else Path(name[1:]) if name.startswith("/") else path.parent / name
    if not file.exists():
        return f"`{target}` leads to no file"
    if anchor and file.suffix == ".md" and anchor not in anchors(file):
        return f"`{target}` leads to no heading"
    return None


def prose(path: Path):
    """Yields the lines outside fenced code blocks with their numbers."""
    fence = None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        match = FENCE.match(line)
        if fence is None and match:
            fence = match[1]
        elif fence is None:
            yield number, line
        elif match and match[1].startswith(fence):
            fence = None


class Page(HTMLParser):
    """A page of the book: where its links lead, and what they can lead to in it."""

    def __init__(self, path: Path):
        super().__init__()
        self.targets: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.anchors.add(value)
            elif name in ("href", "src") and value and tag != "base":
                self.targets.add(value)


@cache
def page(path: Path) -> Page:
    return Page(path)


def faults_of_page(path: Path) -> list[str]:
    # The page for addresses that are not there is shown at any of them, and the one for printing repeats the others.
    if path.name in ("404.html", "print.html", "toc.html"):
        return []
    return [f"{path}: {fault}" for target in sorted(page(path).targets) if (fault := fault_of_page(path, target))]


def fault_of_page(path: Path, target: str) -> str | None:
    if OTHER_SITE.match(target) or target.startswith("//"):
        return None
    name, _, anchor = unquote(target).partition("#")
    file = path if not name else path.parent / name
    if file.is_dir():
        file /= "index.html"
    if not file.exists():
        return f"`{target}` leads to no file"
    # The page of that name only leads on, heading included.
    shown = file.with_name("index.html") if file.name == "README.html" else file
    if anchor and shown.suffix == ".html" and anchor not in page(shown.resolve()).anchors:
        return f"`{target}` leads to no heading"
    return None


@cache
def anchors(path: Path) -> frozenset[str]:
    """Returns the anchors of a file's headings the way GitHub makes them, numbering repeated ones."""
    found: set[str] = set()
    counts: dict[str, int] = {}
    for _, line in prose(path):
        found.update(ANCHOR.findall(line))
        if match := HEADING.match(line):
            slug = slug_of(match[1])
            count = counts.get(slug, 0)
            counts[slug] = count + 1
            found.add(f"{slug}-{count}" if count else slug)
    return frozenset(found)


def slug_of(heading: str) -> str:
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")


if __name__ == "__main__":
    sys.exit(main())
