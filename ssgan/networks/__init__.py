"""The networks: generator, discriminator with its Q heads, classifier, and averages of them."""

from ssgan.networks import dcgan as dcgan  # a member of the union NetworksConfig from here on
