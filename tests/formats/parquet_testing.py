#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads every Parquet file below a folder with our reader and with pyarrow, and compares.

    git clone https://github.com/apache/parquet-testing
    python3 tests/formats/parquet_testing.py build/tests/parquet_dump parquet-testing

Run by hand: it needs pyarrow, and a corpus from the network. A column counts as right where all
values and the lengths of all lists are pyarrow's, as refused where our reader gives an error in
words, as WRONG else. Where pyarrow refuses what we read, that is told apart, for a person to judge.
The status is 1 where anything is wrong, a file crashes the reader, or takes more than 1 GiB.
"""
import argparse
import collections
import decimal
import json
import math
import os
import resource
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq

MEMORY = 1 << 30  # bytes of address space for a file
SECONDS = 60


def is_list(t):
    return (pa.types.is_list(t) or pa.types.is_large_list(t)
            or pa.types.is_fixed_size_list(t) or pa.types.is_map(t))


def leaves(t, path=()):
    """Ways from a column to its leaves: '[]' for the elements of a list, else a member's number."""
    if isinstance(t, pa.BaseExtensionType):
        t = t.storage_type
    if pa.types.is_struct(t):
        for i in range(t.num_fields):
            yield from leaves(t.field(i).type, path + (i,))
    elif pa.types.is_map(t):
        yield from leaves(t.key_type, path + ("[]", 0))
        yield from leaves(t.item_type, path + ("[]", 1))
    elif is_list(t):
        yield from leaves(t.value_type, path + ("[]",))
    else:
        yield path, t


def walk(array, path):
    """Values of a leaf for each element of an array: a value, or a list of them for a list."""
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if not path:
        return array.to_pylist() if not pa.types.is_timestamp(array.type) else array.cast(pa.int64()).to_pylist()
    valid = array.is_valid().to_pylist()
    if path[0] != "[]":
        inner = walk(array.field(path[0]), path[1:])
        return [v if ok else ([] if "[]" in path[1:] else None) for v, ok in zip(inner, valid)]
    out = []
    for i, ok in enumerate(valid):
        if not ok:
            out.append([])
            continue
        one = array[i].values  # the elements of this list; of a map, a struct of key and value
        inner = walk(one, path[1:])
        out.append([x for v in inner for x in v] if "[]" in path[1:] else inner)
    return out


def is_number(t):
    return (pa.types.is_integer(t) or pa.types.is_floating(t) or pa.types.is_boolean(t)
            or pa.types.is_decimal(t) or pa.types.is_null(t))


def encode(v):
    return v.encode("utf-8", "surrogateescape") if isinstance(v, str) else bytes(v)


def same_number(a, b):
    """Ours against pyarrow's; a null is NaN for us."""
    if b is None:
        return math.isnan(a)
    if isinstance(b, decimal.Decimal):
        return a == float(b)
    b = float(b)
    return a == b or (math.isnan(a) and math.isnan(b))


def compare(ours, values, t, listed):
    """None, or what differs."""
    if listed:
        lengths = [len(v) for v in values]
        values = [x for v in values for x in v]
        offsets = ours.get("offsets")
        if offsets is None or [b - a for a, b in zip(offsets, offsets[1:])] != lengths:
            return "other lengths of lists"
    if len(values) != len(ours["values"]):
        return "%d values, not %d" % (len(ours["values"]), len(values))
    if ours["kind"] == "numbers":
        if not is_number(t):
            return "numbers where pyarrow has %s" % t
        for i, (a, b) in enumerate(zip(ours["values"], values)):
            if not same_number(float.fromhex(a), b):
                return "value %d is %s, not %s" % (i, float.fromhex(a), b)
        return None
    if is_number(t) and not pa.types.is_null(t):
        return "bytes where pyarrow has %s" % t
    for i, (a, b) in enumerate(zip(ours["values"], values)):
        if (a is None) != (b is None) or (b is not None and bytes.fromhex(a) != encode(b)):
            return "value %d is %s, not %s" % (i, a, b)
    return None


def limit():
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def read_ours(tool, path):
    run = subprocess.run([tool, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=SECONDS,
                         preexec_fn=limit)
    if run.returncode not in (0, 1):
        raise RuntimeError("status %d: %s" % (run.returncode, run.stderr.decode(errors="replace")[-300:]))
    return [json.loads(line) for line in run.stdout.decode().splitlines()]


def pyarrow_column(file, schema, name, path, t):
    column = file.read(columns=[name], use_threads=False).column(name)
    values = []
    for chunk in column.chunks:
        values += walk(chunk, path)
    return values


def check_file(tool, path, count, tell):
    ours = read_ours(tool, path)
    if len(ours) == 1 and "path" not in ours[0] and "error" in ours[0]:
        count["files refused"] += 1
        tell("refused", path, "", ours[0]["error"])
        return
    count["files opened"] += 1
    try:
        file = pq.ParquetFile(path)
        schema = file.schema_arrow
        theirs = [(f.name, p, t) for f in schema for p, t in leaves(f.type)]
    except Exception as e:
        for o in ours:
            refused = "error" in o
            count["columns refused" if refused else "columns that only we read"] += 1
            tell("refused" if refused else "only ours", path, o["path"],
                 o["error"] if refused else "pyarrow: %s" % e)
        return
    if len(theirs) != len(ours):
        count["WRONG"] += 1
        tell("WRONG", path, "", "%d columns, not %d" % (len(ours), len(theirs)))
        return
    for o, (name, p, t) in zip(ours, theirs):
        if "error" in o:
            count["columns refused"] += 1
            tell("refused", path, o["path"], o["error"])
            continue
        try:
            values = pyarrow_column(file, schema, name, p, t)
        except Exception as e:
            count["columns that only we read"] += 1
            tell("only ours", path, o["path"], "pyarrow: %s" % str(e).splitlines()[0])
            continue
        problem = compare(o, values, t, "[]" in p)
        count["WRONG" if problem else "columns right"] += 1
        if problem:
            tell("WRONG", path, o["path"], problem)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tool", help="build/tests/parquet_dump")
    parser.add_argument("folder")
    parser.add_argument("--quiet", action="store_true", help="the counts, and what is wrong, alone")
    args = parser.parse_args()
    count = collections.Counter()

    def tell(kind, path, column, text):
        if not args.quiet or kind in ("WRONG", "CRASH"):
            print("%-9s %s %s: %s" % (kind, os.path.relpath(path, args.folder), column, text.replace(path + ": ", "")))

    for folder, _, names in sorted(os.walk(args.folder)):
        for name in sorted(names):
            if not (name.endswith(".parquet") or name.endswith(".parquet.encrypted")):
                continue
            path = os.path.join(folder, name)
            try:
                check_file(args.tool, path, count, tell)
            except (RuntimeError, subprocess.TimeoutExpired) as e:
                count["CRASH"] += 1
                tell("CRASH", path, "", str(e))
    for kind in sorted(count):
        print("%6d %s" % (count[kind], kind))
    return 1 if count["WRONG"] or count["CRASH"] else 0


if __name__ == "__main__":
    sys.exit(main())
