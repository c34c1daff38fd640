"""Shared, tested code of the thoracolumbar fracture study: one package a notebook, and data only walk forward."""

import os

# OpenMP threads that wait for each other by spinning slow training five- to tenfold as soon as another process wants a
# core. It is read once, when torch loads its library, so it is set before anything here can import torch.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
