"""A run or an export to look at, and to turn the knobs of, while it trains: `ssgan view`."""
