"""The command line, `ssgan`: one file a verb, thin; the work is done in the packages below.

The result of a verb is all that goes to stdout; progress and logs go to stderr. Exit codes: 0
done, 1 failed, 2 bad input. Verbs import what they need when they run, so that help is instant.
"""

import os
import sys
from collections.abc import Sequence

import click

from ssgan import __version__
from ssgan.cli.data import data
from ssgan.cli.doctor import doctor
from ssgan.cli.evaluate import evaluate
from ssgan.cli.export import export
from ssgan.cli.figures import figures
from ssgan.cli.init import init
from ssgan.cli.label import label
from ssgan.cli.presets import presets
from ssgan.cli.read import read
from ssgan.cli.reproduce import reproduce
from ssgan.cli.sample import sample
from ssgan.cli.screen import report_failure, say
from ssgan.cli.search import search
from ssgan.cli.track import track
from ssgan.cli.train import train
from ssgan.cli.view import view

DONE, FAILED, BAD_INPUT = 0, 1, 2

# Read by the libraries when they are loaded, so set here, before any verb imports them.
_ENVIRONMENT = {
    "OMP_WAIT_POLICY": "PASSIVE",  # threads that wait must not spin beside other workers
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
    "ORT_DISABLE_TELEMETRY": "1",
}


class _InOrder(click.Group):
    """Lists the verbs as they were added, which is the order in which they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(
    cls=_InOrder,
    commands=[
        *(init, label, data, presets, train, search, reproduce),
        *(view, evaluate, sample, read, figures, export, track, doctor),
    ],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  ssgan train digits                       train on embedded digits, minutes on a laptop
  ssgan sample runs/digits digit=7 -n 16   sixteen sevens as a picture
  ssgan init my-photos                     begin with images of your own
\b
Exit codes: 0 done, 1 failed, 2 bad input. Results go to stdout, progress and logs to stderr.""",
)
@click.version_option(__version__, prog_name="ssgan")
def ssgan() -> None:
    """Train image generators whose inputs have names, with few labels (ss-InfoGAN)."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command line, by default the process's own after `ssgan`, and exit with its code."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        ssgan.main(args=arguments, prog_name="ssgan", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code if error.exit_code == BAD_INPUT else FAILED)
    except (click.Abort, KeyboardInterrupt):
        say("interrupted")
        sys.exit(FAILED)
    except BrokenPipeError:  # `ssgan ... | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except Exception as error:
        sys.exit(BAD_INPUT if report_failure(error) else FAILED)
    sys.exit(DONE)
