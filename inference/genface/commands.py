"""What the four commands share: a default command, and errors as one line on stderr."""

from __future__ import annotations

import io
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from types import FrameType
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from genface.errors import UserError


class MainCommandGroup(TyperGroup):
    """A group whose first registered command is the room's main work.

    `genface --model gen.onnx` runs the main command, because its first word names no command; `genface info …` runs
    `info`. A folder that is called like a command is written `./info`.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            main = self.commands[self.main_command]
            # A word that the main command would not take either is a slip of the name of another.
            if args[0].startswith("-") or any(param.param_type_name == "argument" for param in main.params):
                args = [self.main_command, *args]
        return super().parse_args(ctx, args or ["--help"])

    @property
    def main_command(self) -> str:
        return next(iter(self.commands))

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the main command's help, since that is what a newcomer asks for, then name the others."""
        main = self.commands[self.main_command]
        with typer.Context(main, info_name=ctx.info_name) as main_ctx:
            main.format_help(main_ctx, formatter)
        others = [(name, cmd.get_short_help_str(90)) for name, cmd in self.commands.items() if cmd is not main]
        if others:
            with formatter.section("Other commands"):
                formatter.write_dl(others)


def new_app(help_text: str) -> typer.Typer:
    """A Typer app with plain help (rich's costs twice the start-up time); the first command is the default."""
    app = typer.Typer(
        cls=MainCommandGroup,
        help=help_text,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    # Typer makes a lone command the whole app; with a callback it stays one of several to come.
    app.callback()(lambda: None)
    return app


def run_app(app: typer.Typer, name: str, argv: Sequence[str] | None = None) -> NoReturn:
    """Run `app` and leave the process, which it takes for its own: signals, streams and the warnings filter.

    Exit codes:

    - 0: done.
    - 1: the reader of stdout has gone (`| head`), in silence; or an error of the program itself, with its traceback.
    - 2: in one line on stderr, what a person can mend: a mistake on the command line, bad input, an error of the
      system (full disk, permissions), not enough memory.
    - 130: stopped by Ctrl-C or SIGTERM.
    - What a command gives to `typer.Exit`, e.g. 1 by exportface for an export that is not equal to its checkpoint.
    """
    if sys.stderr is None:
        # Closed by `2>&-`. What is printed to None comes out on stdout, and the next file would be opened as stderr.
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    # Pillow's warning of a large picture: `genface.photos.decode` makes it an error that names the picture.
    warnings.filterwarnings("ignore", r"Image size \(\d+ pixels\) exceeds limit")
    # SIGTERM unwinds like Ctrl-C, so that files under a temporary name are taken away.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file's name may hold bytes that are no text
    sys.exit(_exit_code(app, name, list(sys.argv[1:] if argv is None else argv)))


_stop_was_asked = False


def _interrupt(_signum: int, _frame: FrameType | None) -> NoReturn:
    global _stop_was_asked
    _stop_was_asked = True
    raise KeyboardInterrupt


def _exit_code(app: typer.Typer, name: str, argv: list[str]) -> int:
    command: Any = typer.main.get_command(app)
    try:
        result = command.main(args=argv, prog_name=name, standalone_mode=False)
        if result == 130:  # what Typer makes of a KeyboardInterrupt, in silence
            raise KeyboardInterrupt
        _flush_stdout()
        return result if isinstance(result, int) else 0
    except (KeyboardInterrupt, typer.Abort):
        return _stopped(name)
    except Exception as error:
        # A library may have caught the KeyboardInterrupt and raised an exception of its own.
        if _stop_was_asked:
            return _stopped(name)
        code = _told(name, error)
        if code is None:
            raise
        return code


def _told(name: str, error: Exception) -> int | None:
    """Tell in one line what a person can mend, and give the exit code; None for an error of the program itself."""
    match error:
        case UserError():
            return _complain(name, str(error))
        case BrokenPipeError():
            return 1  # as Typer does when the reader goes while the command runs
        case OSError():
            where = f"{error.filename}: " if error.filename else ""
            return _complain(name, f"{where}{error.strerror or error}")
        case MemoryError():
            return _complain(name, f"out of memory: {error}")
        case typer.Exit():
            return error.exit_code
        case typer.TyperException():
            return _complain(name, f"{error.format_message()} (try '{name} --help')")
        case _:
            return None


def _flush_stdout() -> None:
    """Write out what is left, here, where a failure can still be told in one line."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter will flush once more
        error.filename = "standard output"
        raise


def _stopped(name: str) -> int:
    for number in (signal.SIGINT, signal.SIGTERM):  # a second Ctrl-C would be told by a traceback from here on
        signal.signal(number, signal.SIG_IGN)
    print(f"{name}: stopped", file=sys.stderr)
    return 130


def _complain(name: str, message: str) -> int:
    print(f"{name}: error: {' '.join(message.split())}", file=sys.stderr)
    return 2
