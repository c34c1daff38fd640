"""Shared, tested code of the thoracolumbar fracture study: one package per notebook, and the data only walks forward."""
