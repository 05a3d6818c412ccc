"""The configuration of a run: the tree, its fields by name, presets and overrides."""
