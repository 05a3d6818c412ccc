"""Check the training step on one GPU: ``python -m benchmarks.gpu --out gpu.json --budget 330``.

Phases: parity with float64 on the CPU, determinism, exact resume, synchronizations, speed, the
update as CUDA graphs, kernel launches, several trials at once, a run on real digits, torch.compile.
They run in this order until the budget is spent; each prints JSON lines as it goes, so that a run
that is killed has still told what it found. Without a GPU the phases that need one are skipped, and
the rest runs on the CPU; ``--small`` does that in seconds.

It needs torch, numpy, pyarrow, scikit-learn, safetensors, matplotlib, filelock, PyYAML and
pydantic, but neither Ray nor MLflow nor click, so that it runs on a bare machine with a GPU. As a
file, ``python benchmarks/gpu.py``, it needs the checkout on PYTHONPATH.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.gpu_graph import graph, trials
from benchmarks.gpu_numerics import determinism, parity, real_digits, resume
from benchmarks.gpu_setup import Bench, Result, failure
from benchmarks.gpu_speed import compiled, environment, launches, speed, synchronizations

_LEAST = 15  # seconds of the budget without which no phase begins

PHASES: dict[str, Callable[[Bench], Iterator[Result]]] = {
    phase.__name__: phase
    for phase in (
        environment,
        parity,
        determinism,
        resume,
        synchronizations,
        speed,
        graph,
        launches,
        trials,
        real_digits,
        compiled,
    )
}
"""Phases by name, the most useful ones first."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the phases.

    Returns:
        The exit status: 1 where a phase raised an error, whose text is among its results.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("gpu.json"), help="the file of results")
    parser.add_argument("--budget", type=float, default=330, help="seconds for all phases")
    parser.add_argument("--only", default="", metavar="PHASES", help=", ".join(PHASES))
    parser.add_argument("--small", action="store_true", help="small networks and few repeats")
    arguments = parser.parse_args(argv)
    only = [name for name in arguments.only.split(",") if name]
    for name in only:
        if name not in PHASES:
            parser.error(f"no phase is named {name!r}; there are {', '.join(PHASES)}")
    bench = Bench(arguments.budget, arguments.small)
    results: dict[str, list[Result]] = {}

    def tell(phase: str, **values: Any) -> None:
        results.setdefault(phase, []).append(values)
        print(json.dumps({"phase": phase, "t": round(bench.seconds, 1), **values}), flush=True)
        arguments.out.write_text(json.dumps(results, indent=1))

    for name in only or PHASES:
        if bench.left < _LEAST:
            tell(name, skipped="no time left")
            continue
        started = time.perf_counter()
        try:
            for result in PHASES[name](bench):
                tell(name, **result)
        except Exception as error:  # one phase that fails does not hide the others
            tell(name, **failure(error))
        tell("seconds", name=name, s=round(time.perf_counter() - started, 1))
    return int(any("error" in one for found in results.values() for one in found))


if __name__ == "__main__":
    raise SystemExit(main())
