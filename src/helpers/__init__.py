"""Shared, tested code of the thoracolumbar fracture study: one package a notebook, and data only walk forward."""
