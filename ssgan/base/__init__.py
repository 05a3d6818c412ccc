"""What every package stands on: errors, configuration, storage, random streams, formatting."""
