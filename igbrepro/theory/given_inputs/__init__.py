"""The theory of given inputs: the covariance of every pair through a network."""
