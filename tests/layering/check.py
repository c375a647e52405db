#!/usr/bin/env python3
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Holds the sources against the layering: plugin -> store <- tools, and one file per outside world.

Usage: check.py ROOT. Prints each breach as `file:line: sentence`; ends with 1 if there are any.
"""

import re
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple


class Rule(NamedTuple):
    files: str  # the rule holds for sources whose path matches this
    allowed: tuple  # but not for these
    pattern: str  # what must not occur
    sentence: str


def include(header):
    return r'#\s*include\s*[<"]' + header


def call(*names):
    return r"(?<![\w.>])(?:%s)\s*\(" % "|".join(names)


MOSQUITTO = include(r"(?:mosquitto/|(?:mosquitto(?:pp|_broker|_plugin)?|mqtt_protocol)\.h)")

CHANGES_FILES = call(
    "p?writev?2?", "pwrite64", "sync", "syncfs", "fsync", "fdatasync", "sync_file_range",
    "renameat2?", "rename", "f?truncate", "posix_fallocate", "fallocate", "mmap", "munmap",
    "mremap", "msync", "unlink(?:at)?", "remove", "mkdir(?:at)?", "rmdir", "link(?:at)?",
    "symlink(?:at)?", "creat", "mknod(?:at)?", "f?chmod(?:at)?", "f?chown(?:at)?", "fopen",
    "fdopen", "fwrite", "sendfile", "copy_file_range", "splice",
) + r"|\bO_CREAT\b"  # fmt: skip

RULES = (
    Rule("plugin/store/*", (), MOSQUITTO, "the engine knows nothing of Mosquitto"),
    Rule("plugin/store/*", (), include(r"[^>\"]*(?:\.\./|plugin/|tools/)"),
         "the engine includes nothing from above it"),
    Rule("plugin/*", ("plugin/store/*",), include(r"[^>\"]*tools/"),
         "the plugin includes nothing of the tools"),
    Rule("tools/*", (), MOSQUITTO, "the tools know nothing of Mosquitto"),
    Rule("tools/*", (), include(r"[^>\"]*(?:plugin/|\.\./)"),
         "the tools include nothing of the plugin but store/"),
    Rule("*", ("plugin/store/tables*", "plugin/store/view*", "plugin/store/apply*"),
         include(r"lmdb\.h"), "only the tables know LMDB"),
    Rule("*", ("plugin/store/payload.c", "plugin/store/dictionary.c"),
         include(r"(?:zstd|zdict)[^>\"]*\.h"), "only the payload codec knows zstd"),
    Rule("*", ("plugin/store/checksum.c",), include(r"xxh(?:ash|3)\.h"),
         "only the checksum knows xxHash"),
    Rule("plugin/store/*", ("plugin/store/os.c",), CHANGES_FILES,
         "only os.c changes files, names and mappings"),
)  # fmt: skip


def without_comments(text):
    """The same text, line by line, with comments blanked and the insides of string literals too,
    except on lines that include something."""

    def blank(match):
        token = match.group(0)
        if token.startswith(("/*", "//")):
            return re.sub(r"[^\n]", " ", token)
        line = text[text.rfind("\n", 0, match.start()) + 1 : match.start()]
        return token if re.match(r"\s*#\s*include", line) else '""'

    return re.sub(r"""/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+'""", blank, text, flags=re.S)


def breaches(root):
    for directory in ("plugin", "tools"):
        for path in sorted((root / directory).rglob("*.[ch]")):
            name = path.relative_to(root).as_posix()
            rules = [
                rule
                for rule in RULES
                if fnmatch(name, rule.files) and not any(fnmatch(name, a) for a in rule.allowed)
            ]
            lines = without_comments(path.read_text(encoding="utf-8")).split("\n")
            for number, line in enumerate(lines, 1):
                for rule in rules:
                    if re.search(rule.pattern, line):
                        yield f"{name}:{number}: {rule.sentence}"


def unlisted(root):
    """Sources and tests that the CMakeLists.txt of their folder, or of the next one above, does not
    name (with or without suffix, from its own folder on): they would rot unbuilt and unrun."""
    for pattern in ("plugin/**/*.c", "tools/**/*.c", "tests/**/*.c", "tests/**/test_*.py"):
        for path in sorted(root.glob(pattern)):
            folder = path.parent
            while folder != root and not (folder / "CMakeLists.txt").exists():
                folder = folder.parent
            listing = folder / "CMakeLists.txt"
            named = re.findall(r"[\w./-]+", listing.read_text()) if listing.exists() else []
            name = path.relative_to(folder)
            if name.as_posix() not in named and name.with_suffix("").as_posix() not in named:
                yield f"{path.relative_to(root).as_posix()}: no CMakeLists.txt names it"


def main():
    root = Path(sys.argv[1])
    found = [*breaches(root), *unlisted(root)]
    if not any((root / "plugin").rglob("*.c")):
        found.append(f"{root}: there are no sources here")
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
