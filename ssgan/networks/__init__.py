"""The networks: generator, discriminator with its Q heads, classifier, and averages of them."""
