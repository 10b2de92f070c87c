"""Multi-node activations: pools over windows of k nodes."""
