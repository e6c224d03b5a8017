"""The man page, from what the program says of itself: `python man_page.py VERSION DATE < help > pellucid.1`."""

from __future__ import annotations

import re
import sys

HEAD = """\
.TH PELLUCID 1 "{date}" "Pellucid {version}" "User Commands"
.SH NAME
pellucid \\- restore and enlarge photographs, and train the models that do it
.SH SYNOPSIS
.B pellucid
.RI [ FILE " ...]"
.br
.B pellucid
.I COMMAND
\\&...
.RB [ \\-\\-json ]
.SH DESCRIPTION
Without a command the window opens, with the pictures that are named. With a command Pellucid works in the terminal.
Nothing is uploaded or downloaded.
.SH COMMANDS
"""

TAIL = """\
.SH OPTIONS
.TP
.B \\-\\-version
Say which release, edition and build this is.
.TP
.B \\-\\-selftest
Try out everything that is installed: picture formats, backends, the window's parts and, in the full edition, training.
.TP
.B \\-\\-new\\-window
Open another window instead of handing the pictures to the one that is open.
.TP
.B \\-\\-json
With a command: print JSON lines, the last one the summary.
.SH EXIT STATUS
0 done; 1 some files failed; 2 wrong usage; 130 interrupted
.RB ( "pellucid restore \\-\\-resume"
goes on).
.SH FILES
.TP
.I ~/.config/pellucid
Settings.
.TP
.I ~/.local/share/pellucid/models
The library of models; elsewhere with the environment variable PELLUCID_LIBRARY.
.TP
.I ~/.local/share/pellucid/runs
Trainings.
.TP
.I ~/.local/state/pellucid
The queue that a crash leaves behind, and logs.
.SH EXAMPLES
.nf
pellucid restore old.jpg \\-o restored/
pellucid restore holiday/ \\-o restored/ \\-\\-model photo\\-compact \\-\\-scale 2
pellucid train my\\-photos \\-\\-data pictures/ \\-\\-detach
.fi
.SH COPYRIGHT
Copyright 2026 The Pellucid authors. Apache License 2.0. The licences of all parts are in the window, under Settings,
About, and in the file THIRD\\-PARTY\\-NOTICES.txt.
"""


def man_page(usage: str, version: str, date: str) -> str:
    """`usage`: what `pellucid --help` prints; its commands become entries."""
    commands = re.findall(r"^  ([a-z]+) {2,}(\S.*)$", usage, re.MULTILINE)
    if not commands:
        raise ValueError("the help names no commands")
    entries = "".join(
        f'.TP\n.B {name}\n{what[0].upper()}{what[1:]}. See\n.BR "pellucid {name} \\-\\-help" .\n'
        for name, what in commands
    )
    return HEAD.format(version=version, date=date) + entries + TAIL


if __name__ == "__main__":
    sys.stdout.write(man_page(sys.stdin.read(), *sys.argv[1:]))
