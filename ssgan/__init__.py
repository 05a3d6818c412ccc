"""ss-InfoGAN as a distributed training system: generators whose knobs have names."""

__version__ = "0.1.0"
