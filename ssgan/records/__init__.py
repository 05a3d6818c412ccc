"""What is kept: run and search directories, checkpoints, and how they are read again."""
