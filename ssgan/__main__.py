"""``python -m ssgan`` is the command line, `ssgan`."""

from ssgan.cli import main

main()
