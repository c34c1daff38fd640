"""Drawings that explain the words of the study, made of no image."""
