"""MLflow as a projection of run directories: idempotent, restartable, never in the way."""
