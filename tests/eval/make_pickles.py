#!/usr/bin/env python3
"""Writes tests/eval/fixtures/*.bin: one tiny verification set (two pairs) in every way a pickle may hold it.

Needs Python 3 with numpy; run it from anywhere, then commit what changed. The images are byte strings chosen to be
awkward for text protocols, not pictures. What Python 2 wrote is put together by hand, opcode by opcode, because no
Python 2 is around; tests/eval/verification_set_test.cpp holds the same contents.
"""

import pathlib
import pickle
import struct

import numpy as np

IMAGES = [
    b"\x89PNG\r\n\x1a\n\x00\xff",
    b"it's \"quoted\" \\ \\x41 \t end",
    bytes(range(0x70, 0x100)),
    b"\xff\xd8\xff\xe0 caf\xc3\xa9 \x80\xbf\n",
]
SAME = [True, False]
FOLDER = pathlib.Path(__file__).parent / "fixtures"


def write(name, content):
    (FOLDER / (name + ".bin")).write_bytes(content)


def python3():
    for protocol in range(6):
        write(f"py3_p{protocol}_bytes", pickle.dumps((IMAGES, SAME), protocol))
        write(f"py3_p{protocol}_bytearray", pickle.dumps(([bytearray(i) for i in IMAGES], SAME), protocol))
        arrays = [np.frombuffer(i, np.uint8).copy() for i in IMAGES]
        write(f"py3_p{protocol}_numpy", pickle.dumps((arrays, np.array(SAME)), protocol))
    write("py3_p2_list_of_lists", pickle.dumps([IMAGES, SAME], 2))
    write("py3_p4_tuples", pickle.dumps((tuple(IMAGES), tuple(SAME)), 4))
    write("py3_p4_latin1_text", pickle.dumps(([i.decode("latin1") for i in IMAGES], SAME), 4))
    write("py3_p2_flags_int", pickle.dumps((IMAGES, [1, 0]), 2))
    write("py3_p4_flags_numpy_scalars", pickle.dumps((IMAGES, [np.bool_(True), np.int64(0)]), 4))
    write("py3_p4_flags_int64_array", pickle.dumps((IMAGES, np.array([1, 0], np.int64)), 4))
    columns = [np.frombuffer(i, np.uint8).copy().reshape(-1, 1) for i in IMAGES]
    write("py3_p4_numpy_columns", pickle.dumps((columns, SAME), 4))  # as cv2.imencode returned them
    # numpy 1 called the module numpy.core; the protocols below keep names as lines of text without a length.
    for protocol in (2, 3):
        content = pickle.dumps((arrays, np.array(SAME)), protocol)
        write(f"numpy1_p{protocol}_numpy", content.replace(b"numpy._core.", b"numpy.core."))


def python2_string(value):
    """repr() of a Python 2 str."""
    quote = '"' if b"'" in value and b'"' not in value else "'"
    out = ""
    for byte in value:
        letter = chr(byte)
        if letter in (quote, "\\"):
            out += "\\" + letter
        elif letter in "\t\n\r":
            out += {"\t": "\\t", "\n": "\\n", "\r": "\\r"}[letter]
        elif 0x20 <= byte < 0x7F:
            out += letter
        else:
            out += f"\\x{byte:02x}"
    return (quote + out + quote).encode()


def python2_protocol0():
    """cPickle.dumps((images, same), 0): everything is a line of text."""
    out, key = b"((lp1\n", 2
    for image in IMAGES:
        out += b"S" + python2_string(image) + b"\np" + str(key).encode() + b"\na"
        key += 1
    out += b"(lp" + str(key).encode() + b"\n"
    for flag in SAME:
        out += (b"I01\n" if flag else b"I00\n") + b"a"
    return out + b"tp0\n."


def python2_binary(protocol):
    """cPickle.dumps((images, same), 1 or 2): BINSTRING and SHORT_BINSTRING, memo by BINPUT."""
    out = b"\x80\x02" if protocol == 2 else b"("
    out += b"]q\x01("
    for key, image in enumerate(IMAGES, start=2):
        if len(image) < 256 and key % 2 == 0:
            out += b"U" + struct.pack("<B", len(image)) + image
        else:
            out += b"T" + struct.pack("<i", len(image)) + image
        out += b"q" + bytes([key])
    out += b"e]q\x06("
    for flag in SAME:
        if protocol == 2:
            out += b"\x88" if flag else b"\x89"
        else:
            out += b"I01\n" if flag else b"I00\n"
    return out + (b"e\x86q\x07." if protocol == 2 else b"etq\x07.")


def python2_numpy():
    """numpy arrays of uint8 as Python 2 wrote them at protocol 2; type and first state are memoised."""
    out = b"\x80\x02]q\x01("
    for index, image in enumerate(IMAGES):
        if index == 0:
            out += b"cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nq\x03"
        else:
            out += b"h\x02h\x03"
        out += b"K\x00\x85U\x01b\x87R(K\x01K" + bytes([len(image)]) + b"\x85"
        if index == 0:
            out += b"cnumpy\ndtype\nq\x04U\x02u1K\x00K\x01\x87Rq\x05(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        else:
            out += b"h\x05"
        out += b"\x89U" + bytes([len(image)]) + image + b"tb"
    return out + b"e]q\x06(\x88\x89e\x86q\x07."


def python2():
    write("py2_p0_str", python2_protocol0())
    write("py2_p1_str", python2_binary(1))
    write("py2_p2_str", python2_binary(2))
    write("py2_p2_numpy", python2_numpy())
    # Python 2's long, which some lists of flags hold, at protocol 0 and 2.
    strings = python2_binary(2)
    write("py2_p2_flags_long", strings.replace(b"\x88\x89e", b"\x8a\x01\x01\x8a\x00e"))
    write("py2_p0_flags_long", python2_protocol0().replace(b"I01\n", b"L1L\n").replace(b"I00\n", b"L0L\n"))


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    python3()
    python2()
    for path in sorted(FOLDER.glob("*.bin")):
        images, same = pickle.loads(path.read_bytes(), encoding="latin1")
        content = [i.encode("latin1") if isinstance(i, str) else bytes(i) for i in images]
        assert content == IMAGES and [bool(f) for f in same] == SAME, path
