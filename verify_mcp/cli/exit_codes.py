"""The exit codes of all commands."""

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended; those from 64 up follow sysexits.h, for cron and systemd."""

    DONE = 0
    PROBLEM = 1
    USAGE = 2
    INCOMPLETE = 3
    FOUND = 4
    NOT_DELIVERED = 69
    CANNOT_WRITE = 73
    TRY_LATER = 75
    CONFIGURE = 78
    INTERRUPTED = 130
    PIPE_CLOSED = 141
    TERMINATED = 143


MEANINGS = {
    ExitCode.DONE: "Done. A report is exact.",
    ExitCode.PROBLEM: "`doctor` found a problem; `install` or `demo` could not do it.",
    ExitCode.USAGE: "The command line cannot be read.",
    ExitCode.INCOMPLETE: "Written, but estimated or with a part missing; `watch` saw a part only.",
    ExitCode.FOUND: "`watch`: something stands out, and goes on.",
    ExitCode.NOT_DELIVERED: "`watch`: the webhook or the command failed; the next look repeats it.",
    ExitCode.CANNOT_WRITE: "The output file is there already, or cannot be written.",
    ExitCode.TRY_LATER: "The API or the database is away, or a part is missing: try later.",
    ExitCode.CONFIGURE: "Credentials, a setting or an argument must be corrected first.",
    ExitCode.INTERRUPTED: "Ended by Ctrl-C.",
    ExitCode.PIPE_CLOSED: "Nobody reads the output any more, as after `| head`.",
    ExitCode.TERMINATED: "`serve` was ended by SIGTERM.",
}
"""What each code means, for the reference."""
