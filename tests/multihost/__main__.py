"""``python tests/multihost [--keep FOLDER]``: run the multi-host proof by itself.

Exit codes: 0 proved, 1 not, 2 this machine cannot run it.
"""

import argparse
import sys
import time
import traceback
from pathlib import Path

from hosts import why_not
from proof import prove


def main() -> int:
    parser = argparse.ArgumentParser(description="A search over three hosts on one machine.")
    parser.add_argument("--keep", type=Path, help="folder for runs and logs, not below /tmp")
    arguments = parser.parse_args()
    reason = why_not()
    if reason is not None:
        print(f"The multi-host proof cannot run here: {reason}", file=sys.stderr)
        return 2
    started = time.monotonic()

    def say(message: str) -> None:
        print(f"[{time.monotonic() - started:4.0f} s] {message}", flush=True)

    try:
        prove(say, arguments.keep and arguments.keep.absolute())
    except Exception:
        traceback.print_exc()
        return 1
    say("proved")
    return 0


if __name__ == "__main__":
    sys.exit(main())
