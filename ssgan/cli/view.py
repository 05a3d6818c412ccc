"""``ssgan view``: the page with sliders from this machine, and training as it goes."""

from __future__ import annotations

import click

from ssgan.cli.screen import say
from ssgan.cli.verb import Answer, Verb


@click.command(
    cls=Verb,
    short_help="Look at a run while it trains, and turn its knobs.",
    examples="""\
  ssgan view runs/digits                   in your browser, while it trains or afterwards
  ssgan view runs/digits/export            an export: sliders alone
  ssgan view runs/digits --port 8765 --no-browser           behind an SSH tunnel
""",
)
@click.argument("source", metavar="RUN|EXPORT")
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the page; a free one else.")
@click.option("--no-browser", is_flag=True, help="Print the address, and open nothing.")
def view(source: str, port: int | None, no_browser: bool) -> Answer:
    """Serve a page with sliders for the codes, and what training says as it goes.

    It draws by the moving average of the newest checkpoint, and takes a newer one as soon as it is
    written. It reads only: start and end it when you like. The page is on 127.0.0.1, for you alone,
    and no request leaves this machine.
    """
    from ssgan.base.local_server import listen, serve
    from ssgan.viewing.server import make_app
    from ssgan.viewing.view import open_view

    with listen(port) as listener:
        app = make_app(open_view(source))
        serve(app, "ssgan view", listener, _say_address, opens=not no_browser)
    return Answer([])


def _say_address(address: str) -> None:
    say(f"the page is at {address}")
    say("Ctrl-C ends it; the run goes on")
