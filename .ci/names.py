#!/usr/bin/env python3
"""Finds names of charts in the renderer's code: `.ci/names.py renderer/src`.

What a chart does is data of its add-on (docs/design/0020). A name is that of a folder below `templates/addons`, or of the chart
that its `addon.yaml` names, in any case, as a word of the code or of a text in it. Comments and tests may give examples.
"""

import re
import sys
from pathlib import Path

PLACES = {
    "checks/readers/": "where programs are known by name",
    "secrets/": "forms of secrets are called after the programs that issue or keep them",
}
# Charts that are called like something else.
OTHER_MEANINGS = {
    "fleetwright": "this program",
    "base": "a base branch, the base of a name",
    "external-secrets": "the group `external-secrets.io` of Kubernetes objects",
    "gateway": "a kind of the Gateway API",
}
TEXT = r'b?c?r(?P<hashes>#*)".*?"(?P=hashes)|b?c?"(?:\\.|[^"\\])*"|\'(?:\\.[^\']*|[^\\\'])\''
TOKEN = re.compile(rf"(?P<comment>//[^\n]*|/\*.*?\*/)|{TEXT}", re.DOTALL)
TEST = re.compile(r"#\[cfg\(test\)\]\s*(?:#\[[^\]]*\]\s*)*(?:mod\s+(?P<module>\w+)\s*;|)")


def blank(text):
    return re.sub(r"[^\n]", " ", text)


def without_tests(text):
    """Returns the code with everything under `#[cfg(test)]` left blank, and the test modules that have their own file."""
    code, plain, modules = text, TOKEN.sub(lambda found: blank(found[0]), text), []
    while found := TEST.search(plain):
        end = found.end()
        if found["module"]:
            modules.append(found["module"])
        else:
            depth = 0
            for end in range(found.end(), len(plain)):
                depth += {"{": 1, "}": -1}.get(plain[end], 0)
                if depth == 0 and plain[end] in ";}":
                    break
            end += 1
        code = code[: found.start()] + blank(code[found.start() : end]) + code[end:]
        plain = plain[: found.start()] + blank(plain[found.start() : end]) + plain[end:]
    return code, modules


def chart_names():
    for addon in Path("templates/addons").glob("*/addon.yaml"):
        yield addon.parent.name
        chart = re.search(r"^chart:\n(?:[ \t]+.*\n)*?[ \t]+name: *(\S+)", addon.read_text(), re.MULTILINE)
        if chart:
            yield chart[1]


def main(root):
    names = sorted(set(chart_names()) - set(OTHER_MEANINGS))
    word = re.compile(rf"(?<![A-Za-z])(?:{'|'.join(map(re.escape, names))})(?![A-Za-z])", re.IGNORECASE)
    codes, tests = {}, set()
    for file in sorted(root.rglob("*.rs")):
        codes[file], modules = without_tests(file.read_text())
        folder = file.parent if file.name in ("mod.rs", "lib.rs") else file.with_suffix("")
        tests |= {folder / module for module in modules}
    found = 0
    for file, code in codes.items():
        is_test = any(parent in tests for parent in (file.with_suffix(""), *file.parents))
        if is_test or file.relative_to(root).as_posix().startswith(tuple(PLACES)):
            continue
        code = TOKEN.sub(lambda token: blank(token[0]) if token["comment"] else token[0], code)
        for number, line in enumerate(code.splitlines(), 1):
            for name in word.findall(line):
                print(f"{file}:{number}: names the chart `{name}`")
                found += 1
    if found:
        print(f"{found} names of charts; describe what a chart does in its `addon.yaml`", file=sys.stderr)
    return found > 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
