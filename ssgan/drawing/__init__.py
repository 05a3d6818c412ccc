"""Pictures: grids of images on sheets, and charts of numbers."""
