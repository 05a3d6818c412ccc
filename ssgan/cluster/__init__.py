"""The machines: start or join Ray, set up workers, refuse what cannot fit, examine all of it."""
