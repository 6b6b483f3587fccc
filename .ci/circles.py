#!/usr/bin/env python3
"""Finds files of one crate that import each other in a circle: `.ci/circles.py renderer watcher`.

A file imports another one if a path in it, outside tests, leads to an item that the other one defines. Declaring a module and
re-exporting what it defines is no import. Names are followed through re-exports to the file that defines them.
"""

import re
import sys
from pathlib import Path

STRING = re.compile(r'b?c?r(#*)".*?"\1|b?c?"(?:\\.|[^"\\])*"|\'(?:\\.[^\']*|[^\\\'])\'|//[^\n]*|/\*.*?\*/', re.DOTALL)
TEST = re.compile(r"#\[cfg\(test\)\]")
MODULE = re.compile(r"\bmod\s+(\w+)\s*;")
USE = re.compile(r"(\bpub(?:\([^)]*\))?\s+)?\buse\s+([^;]+);")
PATH = re.compile(r"(?<![\w:])(\w+)((?:\s*::\s*\w+)+)")
ITEM = re.compile(r"\b(?:fn|struct|enum|union|trait|type|const|static)\s+(\w+)|\bmacro_rules!\s*(\w+)")


def without_tests(text):
    """Returns the text without strings, comments and what is compiled for tests only."""
    text = STRING.sub(" ", text)
    while found := TEST.search(text):
        depth = 0
        for end in range(found.end(), len(text)):
            depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(text[end], 0)
            if depth == 0 and (text[end] in ";}" or (text[end] == "," and text[end - 1] != "]")):
                break
        text = text[: found.start()] + text[end + 1 :]
    return text


def leaves(tree, prefix=()):
    """Yields each path of a `use` tree with the name that it binds."""
    tree = tree.strip()
    group = re.fullmatch(r"((?:\w+\s*::\s*)*)\{(.*)\}", tree, re.DOTALL)
    if group:
        prefix += tuple(re.findall(r"\w+", group[1]))
        depth, start, inner = 0, 0, group[2] + ","
        for at, char in enumerate(inner):
            depth += {"{": 1, "}": -1}.get(char, 0)
            if char == "," and depth == 0:
                if inner[start:at].strip():
                    yield from leaves(inner[start:at], prefix)
                start = at + 1
        return
    name, _, alias = (part.strip() for part in tree.partition(" as "))
    path = prefix + tuple(re.findall(r"\w+|\*", name))
    if len(path) > 1 and path[-1] == "self":
        path = path[:-1]
    yield path, alias or path[-1]


class Module:
    """A module that has a file of its own."""

    def __init__(self, file, name):
        self.file, self.name = file, name
        self.text = without_tests(file.read_text())
        self.children = set(MODULE.findall(self.text))
        self.items = {a or b for a, b in ITEM.findall(self.text)}
        self.bound, self.globs, self.exported = {}, [], set()
        for public, tree in USE.findall(self.text):
            for path, alias in leaves(tree):
                if alias == "*":
                    self.globs.append(path[:-1])
                else:
                    self.bound[alias] = path
                    self.exported |= {alias} if public else set()
        self.body = USE.sub(" ", self.text)

    def paths(self):
        """Yields the paths to what the file uses of other modules."""
        for alias, path in self.bound.items():
            if alias not in self.exported or re.search(rf"\b{alias}\b", self.body):
                yield path
        for first, rest in PATH.findall(self.body):
            yield (first, *re.findall(r"\w+", rest))


class Crate:
    def __init__(self, root):
        self.modules = {}
        for top in ("lib.rs", "main.rs"):
            if (root / "src" / top).exists():
                self.read(root / "src" / top, root / "src", ())

    def read(self, file, folder, name):
        module = self.modules.setdefault(name, Module(file, name))
        for child in module.children:
            for candidate in (folder / f"{child}.rs", folder / child / "mod.rs"):
                if candidate.exists():
                    self.read(candidate, folder / child, (*name, child))

    def definition(self, at, path, seen=frozenset()):
        """Returns the module whose file defines what a path in the module `at` leads to, and the item's name."""
        if (at, path) in seen:
            return None
        seen |= {(at, path)}
        first, *rest = path
        module = self.modules[at]
        if first == "crate":
            return self.below((), rest, seen)
        if first == "self":
            return self.below(at, rest, seen)
        if first == "super":
            return self.below(at[:-1], rest, seen)
        if first in module.children:
            return self.below((*at, first), rest, seen)
        # A path that begins with the name that it binds leads to another crate.
        if first in module.bound and module.bound[first][0] != first:
            return self.definition(at, (*module.bound[first], *rest), seen)
        return None

    def below(self, at, rest, seen):
        if not rest:
            return None
        module = self.modules.get(at)
        if module is None:
            return None
        first = rest[0]
        if first == "super":
            return self.below(at[:-1], rest[1:], seen)
        if (*at, first) in self.modules:
            return self.below((*at, first), rest[1:], seen)
        if first in module.items:
            return at, first
        if first in module.bound and module.bound[first][0] != first:
            return self.definition(at, (*module.bound[first], *rest[1:]), seen)
        for path in module.globs:
            if found := self.definition(at, (*path, *rest), seen):
                return found
        return None

    def imports(self):
        """Returns, for each module, the modules that it imports, each with the names of what."""
        graph = {}
        for at, module in self.modules.items():
            edges = graph.setdefault(at, {})
            for path in module.paths():
                found = self.definition(at, path)
                if found and found[0] != at:
                    edges.setdefault(found[0], set()).add(found[1])
        return graph


def circles(graph):
    """Returns the sets of modules that reach each other."""
    index, low, stack, found = {}, {}, [], []

    def visit(at):
        index[at] = low[at] = len(index)
        stack.append(at)
        for to in graph[at]:
            if to not in index:
                visit(to)
                low[at] = min(low[at], low[to])
            elif to in stack:
                low[at] = min(low[at], index[to])
        if low[at] == index[at]:
            members = set()
            while at not in members:
                members.add(stack.pop())
            if len(members) > 1:
                found.append(members)

    for at in graph:
        if at not in index:
            visit(at)
    return found


def main(roots):
    sys.setrecursionlimit(10_000)
    number = 0
    for root in map(Path, roots):
        crate = Crate(root)
        graph = crate.imports()
        for members in circles(graph):
            number += 1
            print("these files import each other in a circle:")
            for at in sorted(members):
                for to in sorted(members & graph[at].keys()):
                    names = ", ".join(sorted(graph[at][to]))
                    print(f"  {crate.modules[at].file} -> {crate.modules[to].file}: {names}")
    return 1 if number else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
