"""``python -m tests.chaos``: rounds of killed, doubled, moved and resumed programs, by their seeds.

Exit codes: 0 all rounds ended well, 1 some did not. Rounds that ended well with the package that is
here, by the file of outcomes, are not played again.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.harness import Harness, Ledger, isolate
from tests.chaos.page import PAGE, write_page
from tests.chaos.plans import Plan

_OUTCOMES = Path("runs/chaos.jsonl")


def main(argv: Sequence[str] | None = None) -> int:
    """Play rounds, and write the page if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="of the first; those after it count up")
    parser.add_argument("--where", choices=("folder", "s3"), help="by default the seed says")
    parser.add_argument("--outcomes", type=Path, help=f"the file, such as {_OUTCOMES}")
    parser.add_argument("--write", type=Path, nargs="?", const=PAGE, help=f"write {PAGE.name}")
    given = parser.parse_args(argv)
    ledger = None if given.outcomes is None else Ledger(given.outcomes)
    known = {} if ledger is None else ledger.read()
    seeds = range(given.seed, given.seed + given.rounds)
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    isolate(folder)
    harness = Harness(folder)
    for seed in seeds:
        plan = Plan.draw(seed, given.where)
        if seed not in known or known[seed].where != plan.where:
            known[seed] = harness.play(plan)
            if ledger is not None:
                ledger.append(known[seed])
        print(known[seed], flush=True)
    outcomes = [known[seed] for seed in seeds]
    failed = [one for one in outcomes if one.problems]
    print(f"{len(outcomes) - len(failed)} of {len(outcomes)} rounds ended well")
    if any(folder.glob("round-*")):
        print(f"what the others left is in {folder}")
    else:
        shutil.rmtree(folder)
    if given.write is not None:
        write_page(given.write, outcomes)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
