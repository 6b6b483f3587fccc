"""Reads YAML documents with PyYAML, once in pure Python and once through libyaml.

Without arguments it lists the readers, one `name version` a line. With the name of a reader it takes a JSON array of documents on
its input and answers with a JSON array of verdicts in the same order: {"value": …} or {"error": "…"}.
"""

import json
import math
import sys

import yaml


def readers():
    found = {"pyyaml": (yaml.SafeLoader, yaml.__version__)}
    if yaml.__with_libyaml__:
        version = f"{yaml.__version__}+{yaml._yaml.get_version_string()}"
        found["pyyaml-libyaml"] = (yaml.CSafeLoader, version)
    return found


def typed(value):
    """Returns the value if JSON has its type, and refuses it otherwise."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, list):
        return [typed(item) for item in value]
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"a key was read as {key!r} of the type {type(key).__name__}")
        return {key: typed(item) for key, item in value.items()}
    raise TypeError(f"read as {value!r} of the type {type(value).__name__}")


def judge(loader, document):
    try:
        return {"value": typed(yaml.load(document, Loader=loader))}
    except Exception as fault:  # Whatever a reader trips over is its verdict.
        return {"error": f"{type(fault).__name__}: {fault}"}


def main(args):
    found = readers()
    if not args:
        for name, (_, version) in found.items():
            print(name, version)
        return
    loader, _ = found[args[0]]
    documents = json.loads(sys.stdin.buffer.read())
    print(json.dumps([judge(loader, document) for document in documents]))


if __name__ == "__main__":
    main(sys.argv[1:])
