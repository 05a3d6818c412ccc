"""One update, the loop around it, and the runtimes that it runs in."""
