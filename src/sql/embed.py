#!/usr/bin/env python3
"""Embed .sql files as C strings: FILE.sql becomes `const char PREFIX_FILE[]`, declared in OUT.h, defined in OUT.c.

usage: embed.py PREFIX OUT.h OUT.c FILE.sql…
"""
import pathlib
import sys


def c_string(text):
    lines = []
    for line in text.splitlines():
        escaped = line.replace("\\", "\\\\").replace('"', '\\"').replace("?", "\\?")
        lines.append(f'    "{escaped}\\n"')
    return "\n".join(lines)


def main(prefix, header, source, files):
    paths = [pathlib.Path(f) for f in files]
    declarations = [f"extern const char {prefix}_{p.stem}[];" for p in paths]
    definitions = [f"const char {prefix}_{p.stem}[] =\n{c_string(p.read_text())};" for p in paths]
    pathlib.Path(header).write_text(
        "/* Generated: the statements the program runs, by file name. */\n"
        f"#ifndef PGRECAST_{prefix.upper()}_STATEMENTS_H\n#define PGRECAST_{prefix.upper()}_STATEMENTS_H\n\n"
        + "\n".join(declarations) + "\n\n#endif\n")
    pathlib.Path(source).write_text(f'#include "{pathlib.Path(header).name}"\n\n' + "\n\n".join(definitions) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])
