# SPDX-License-Identifier: Apache-2.0
"""Has an ELF file ask a library for an older version of what it asks for in a newer one.

    python3 packaging/older_version.py FILE LIBRARY NEWER OLDER

Every symbol that FILE takes from LIBRARY in version NEWER is taken in version OLDER from then on; which
symbols these are, and that LIBRARY has them in both, is for the caller to know.
"""
import struct
import sys


def sections(data):
    """The section headers, each as name, type, flags, address, offset, size, link and info."""
    at, = struct.unpack_from("<Q", data, 0x28)
    size, count = struct.unpack_from("<HH", data, 0x3A)
    return [struct.unpack_from("<IIQQQQII", data, at + i * size) for i in range(count)]


def elf_hash(name):
    h = 0
    for byte in name:
        h = (h << 4) + byte
        high = h & 0xF0000000
        h = (h ^ high >> 24) & ~high
    return h


def main():
    path, library, newer, older = sys.argv[1], *(a.encode() for a in sys.argv[2:5])
    with open(path, "rb") as f:
        data = bytearray(f.read())
    if data[:6] != b"\x7fELF\x02\x01":
        sys.exit(f"{path}: not a 64-bit little-endian ELF file")
    headers = sections(data)
    needs = next((h for h in headers if h[1] == 0x6FFFFFFE), None)  # SHT_GNU_verneed
    if not needs:
        sys.exit(f"{path}: asks for no versions")
    names = headers[needs[6]][4]

    def name(offset):
        return bytes(data[names + offset:data.index(0, names + offset)])

    place = data.find(b"\0" + older + b"\0", names, names + headers[needs[6]][5])
    if place < 0:
        sys.exit(f"{path}: {older.decode()} is not among its names")
    changed, at = 0, needs[4]
    while True:
        _, count, of, aux, after = struct.unpack_from("<HHIII", data, at)
        entry = at + aux
        for _ in range(count):
            _, _, _, wanted, following = struct.unpack_from("<IHHII", data, entry)
            if name(of) == library and name(wanted) == newer:
                struct.pack_into("<I", data, entry, elf_hash(older))
                struct.pack_into("<I", data, entry + 8, place + 1 - names)
                changed += 1
            entry += following
        if not after:
            break
        at += after
    if changed != 1:
        sys.exit(f"{path}: asks {changed} times for {newer.decode()} of {library.decode()}")
    with open(path, "wb") as f:
        f.write(data)


main()
