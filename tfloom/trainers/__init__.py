"""From a transform output to a trained model and its export."""
