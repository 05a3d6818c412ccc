#!/usr/bin/env python
"""Search over settings with many trainings at once, on this machine or on a cluster.

python tune/run.py                                             lambda1 and lambda2, on MNIST
python tune/run.py --search annealing mnist training.epochs=20
python tune/run.py --resume lambdas-mnist                      after a crash or Ctrl-C
ray submit cluster.yaml tune/run.py -- --search lambdas mnist  the same on a cluster
ray job submit --working-dir . -- python tune/run.py           the same as a job

The program is `ssgan search`; ``--help`` lists its options.
"""

import sys

from ssgan.cli import main

if __name__ == "__main__":
    main(["search", *sys.argv[1:]])
