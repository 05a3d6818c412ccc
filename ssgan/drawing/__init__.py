"""Pictures: sheets of images, and charts of numbers."""
