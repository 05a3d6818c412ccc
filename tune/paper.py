#!/usr/bin/env python
"""Rebuild one of the paper's experiments, on this machine or on a cluster.

python tune/paper.py mnist --budget smoke
ray submit cluster.yaml tune/paper.py -- mnist --budget paper scaling.gpus=0.5

The program is `ssgan reproduce`; ``--help`` lists its options.
"""

import sys

from ssgan.cli import main

if __name__ == "__main__":
    main(["reproduce", *sys.argv[1:]])
