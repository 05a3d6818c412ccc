"""Images and their labels: where they come from, how they are kept, and how they are drawn."""
