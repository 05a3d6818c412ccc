"""From an experiment to a result: on this machine, or by workers under Ray Train."""
