"""A search to look at: a contact sheet of all trials' samples, and charts of their settings."""
