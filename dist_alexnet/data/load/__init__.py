"""From a set to batches on the device: DALI, raw squares, images that stay there, and what is done about bad ones."""
