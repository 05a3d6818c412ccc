"""The paper: codes, schedules, the objective, and the optimizers' settings."""
