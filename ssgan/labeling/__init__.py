"""From a heap of images to answers: which image is asked about next, and what was answered."""
