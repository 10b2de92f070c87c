"""Gaussian expectations of activations, in closed form or by quadrature."""
