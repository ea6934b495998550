"""How a command ends that fails: a sentence on stderr, and the exit code of that error."""

from collections.abc import Callable

from verify_mcp.cli.exit_codes import ExitCode
from verify_mcp.cli.terminal import print_err
from verify_mcp.cli.wording import explain_error
from verify_mcp.errors import (
    ApiFailed,
    ApiUnreachable,
    DatabaseUnavailable,
    QuotaExhausted,
    RateLimited,
    VerifyError,
)

KEPT = "Run the same command again: what was fetched is kept."
_PASSING = (ApiFailed, ApiUnreachable, DatabaseUnavailable, QuotaExhausted, RateLimited)
"""Errors that a later try may not meet; the others stay until a person corrects something."""


def exit_code_of(error: VerifyError) -> ExitCode:
    """The exit code of a command that an error ended."""
    return ExitCode.TRY_LATER if isinstance(error, _PASSING) else ExitCode.CONFIGURE


def run_command(
    command: Callable[[], int],
    *,
    retry_hint: str = "",
    reword: Callable[[str], str] = str,
    explain_os_error: Callable[[OSError], str] | None = None,
) -> int:
    """Run a command; its exit code, or that of its error, which is printed.

    `retry_hint` follows the sentence where trying later may help, and `reword` makes the sentence
    name options in the place of arguments. Without `explain_os_error` an OSError is raised.
    """
    try:
        return command()
    except VerifyError as error:
        code = exit_code_of(error)
        hint = f" {retry_hint}" if retry_hint and code == ExitCode.TRY_LATER else ""
        print_err(reword(explain_error(error)) + hint)
        return code
    except BrokenPipeError:
        raise
    except OSError as error:
        if explain_os_error is None:
            raise
        print_err(explain_os_error(error))
        return ExitCode.CANNOT_WRITE
